"""Renders the model card of a version as Markdown with YAML front matter, in the form that Hugging Face reads."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..image.sbom import marker_of
from ..release.commit import UNKNOWN
from ..security.markdown import code_block, inline
from .description import DescribedMetric, ModelDescription, elements
from .front_matter import front_matter

_PIPELINES = {
    "classifier": "tabular-classification",
    "regressor": "tabular-regression",
    "question-answering": "question-answering",
    "text-summarization": "summarization",
}
_NO_TASK = "other"
_TAGS = ["mlflow", "mlflow-uv"]
_LAST = "Minimum elements of an SBOM for AI"


def render_readme(described: ModelDescription) -> str:
    """Return the card; every value is escaped, so that none of them is read as Markdown, HTML or YAML."""
    return front_matter(_metadata(described)) + "\n".join(("", *_body(described)))


def is_readme_of_version(text: str) -> bool:
    """Whether this module rendered a text: its front matter has the tags of a card, and its last section is there."""
    opening, _, rest = text.partition("---\n")
    metadata, _, body = rest.partition("\n---\n")
    tags = front_matter({"tags": _TAGS}).removeprefix("---\n").removesuffix("\n---\n")
    return not opening and tags in metadata and f"\n## {_LAST}\n" in body


def _metadata(described: ModelDescription) -> dict[str, Any]:
    """Front matter by Hugging Face's names; a licence with more than one part is its `other`."""
    licence = described.license
    values: dict[str, Any] = {"license": UNKNOWN if not licence else licence.lower()}
    if licence and (not described.license_is_spdx or " " in licence):
        values |= {"license": "other", "license_name": licence}
    if described.library:
        values["library_name"] = described.library
    pipeline = _PIPELINES.get(described.task)
    if pipeline:
        values["pipeline_tag"] = pipeline
    values["tags"] = _TAGS
    metrics = [metric for metric in described.metrics if math.isfinite(metric.value) and metric.origin == "evaluation"]
    data = next((dataset for dataset in described.datasets if dataset.role == "evaluation"), None)
    if metrics and data is not None:
        result = {
            "task": {"type": pipeline or _NO_TASK},
            "dataset": {"name": data.name, "type": data.name, "revision": f"sha256:{data.digest}"},
            "metrics": [{"type": metric.name, "value": metric.value, "name": metric.name} for metric in metrics],
        }
        values["model-index"] = [{"name": described.name, "results": [result]}]
    return values


def _body(described: ModelDescription) -> Iterator[str]:
    statements = described.statements
    yield from (f"# {inline(f'{described.name} version {described.version}')}", "")
    yield from (inline(described.description or "Nothing describes what this model does."), "")
    yield from _section("Intended uses", _bullets(statements.intended_uses))
    yield from _section("Users", _bullets(statements.users))
    yield from _section("How to load", code_block(f'mlflow.pyfunc.load_model("{described.uri}")').splitlines())
    yield from _section("Inputs", _bullets(described.inputs))
    yield from _section("Outputs", _bullets(described.outputs))
    if described.params:
        yield from _section("Parameters of a request", _bullets(described.params))
    yield from _section("Data", _data(described))
    yield from _section("Evaluation", _metrics((*described.metrics, *described.champion_metrics)))
    yield from _section("Limitations", _bullets(statements.limitations))
    yield from _section("Trade-offs", _bullets(statements.tradeoffs))
    yield from _section("Ethical considerations", _bullets(statements.ethical_considerations))
    yield from _section("Training", _table(("parameter", "value"), described.parameters))
    yield from _section("Environment", _environment(described))
    yield from _section("Identity", _table(("", "value"), tuple(_identity(described))))
    rows = elements(described)
    yield from _section(_LAST, _table(("cluster", "element", "value"), rows))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    shown = tuple(lines)
    yield from (f"## {title}", "", *(shown or (f"{UNKNOWN.capitalize()}.",)), "")


def _bullets(texts: Iterable[str]) -> Iterator[str]:
    yield from (f"- {inline(text)}" for text in texts)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    cells = [" | ".join(map(inline, row)) for row in rows]
    if cells:
        yield from (f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *(f"| {row} |" for row in cells))


def _data(described: ModelDescription) -> Iterator[str]:
    rows = (
        (
            dataset.role,
            dataset.name,
            f"{dataset.algorithm} {dataset.digest}" if dataset.digest else UNKNOWN,
            dataset.source or UNKNOWN,
        )
        for dataset in described.datasets
    )
    return _table(("role", "dataset", "digest", "source"), rows)


def _metrics(metrics: Iterable[DescribedMetric]) -> Iterator[str]:
    return _table(
        ("metric", "value", "measured"), ((metric.name, repr(metric.value), metric.origin) for metric in metrics)
    )


def _environment(described: ModelDescription) -> Iterator[str]:
    packages = described.packages.get("components", ())
    programs = (("Python", described.python), ("MLflow", described.mlflow), ("uv", described.uv))
    rows = [(name, version or UNKNOWN) for name, version in programs]
    rows += [(_package(package), str(package.get("version", UNKNOWN))) for package in packages]
    return _table(("package", "version"), rows)


def _identity(described: ModelDescription) -> Iterator[tuple[str, str]]:
    yield "version", described.uri
    yield "model", described.model_id or UNKNOWN
    yield "SHA-256 of its files", described.sha256
    yield "run", described.run_id or UNKNOWN
    yield "commit", described.commit
    yield "SHA-256 of uv.lock", described.lock_sha256
    yield "SHA-256 of the requirements", described.requirements_sha256
    image = described.image
    if image is not None:
        yield "image", f"{image.name} {image.digest or image.id}"
        yield "base image", f"{image.base} {image.base_digest}".strip()
    yield "license", described.license or UNKNOWN
    yield "producer", ", ".join(described.producers) or UNKNOWN
    yield "registered", described.created


def _package(package: Mapping[str, Any]) -> str:
    """The name of a package, with the marker of the platforms on which it is installed."""
    marker = marker_of(package)
    return f"{package.get('name')} ; {marker}" if marker else str(package.get("name"))
