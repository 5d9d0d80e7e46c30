"""Converts a version to ONNX or TFLite in an isolated environment, and compares it with the original."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...command.errors import ModelUnusable, NotConvertible, ToolMissing
from ...command.wording import Wording, option
from ...core.conversion.bundle_files import SCORER, SIGNATURE, signature_text
from ...core.conversion.formats import FORMATS, TFLITE, ModelFormat
from ...core.conversion.parity import Parity, ParityBudget, compare_outputs
from ...core.conversion.refusals import help_for
from ...core.model import model_files
from ...core.model.derived_formats import JSON_TYPE
from ...core.model.recorded_requests import RecordedRequest, RequestOrigin
from ...core.release.digests import sha256
from ...core.security.documents import parse_json
from ...core.security.serve_env import ServeVariables
from ...payloads.messages.conversion import (
    ConversionResult,
    ConvertModel,
    ConvertToTflite,
    MeasureOriginal,
    PortableSignature,
)
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import AnswerRequests
from ...tools.mlflow.bundle_scorer import EDGE, BundleScorer, ScoredBundle
from ...tools.mlflow.store_client import StoreClient
from ...tools.system.commands import TooSlow
from ...tools.system.untrusted_file import read_untrusted
from ..image.environment import needs_in
from ..image.isolation import EvaluatedVersion
from ..lineage.registry_client import RegistryClient
from ..versions.evaluation import model_interpreter
from .conversion_environments import conversion_interpreter, runtime_interpreter

REPEATS = 100  # predictions of one row
_OLDEST_PYTHON = (3, 11)  # of our lock
_ORIGINS = {RequestOrigin.EXAMPLE: "recorded", RequestOrigin.FILE: "file", RequestOrigin.DERIVED: "derived"}
_LONGEST_FILE = 256 << 20  # bytes of outputs


@lazy_dataclass
class ConversionPlan:
    """A version to convert, its recorded requests, and how it is compared; `scratch` is a private folder."""

    subject: EvaluatedVersion
    format: ModelFormat
    requests: tuple[RecordedRequest, ...]
    budget: ParityBudget
    sample_rows: int
    timeout_s: float
    serve_env: ServeVariables
    scratch: Path


@lazy_dataclass
class Figures:
    """Bytes of the model's files, median seconds of the prediction for one row, and the peak of the memory in bytes."""

    size: int
    row_s: float
    memory: int


@lazy_dataclass
class Conversion:
    """
    A converted model and its comparison.

    `model` is the folder with MLflow's model, `bundle` one with the model and the scorer. `original` and `converted`
    are the answers that were compared, `runtime` is the package that runs it, with its version.
    """

    result: ConversionResult
    signature: PortableSignature
    parity: Parity
    before: Figures
    after: Figures
    model: Path
    bundle: Path
    file_sha256: str
    runtime: str
    original: tuple[dict[str, Any], ...]
    converted: tuple[Any, ...]


def convert_and_compare(plan: ConversionPlan, registry: RegistryClient) -> Conversion:
    """
    Convert a version, and compare the outputs of both models for recorded, derived and generated requests.

    Nothing is written to the store. Raises NotConvertible, ModelUnusable, ToolFailed.
    """
    tools, subject = registry.tools, plan.subject
    require_flavor(subject, plan.format)
    needs = needs_in(subject.model)
    if tuple(map(int, needs.minor.split("."))) < _OLDEST_PYTHON:
        raise NotConvertible(
            what=f"{subject.shown} cannot be converted",
            why=f"it needs Python {needs.minor}, and the converters need Python {'.'.join(map(str, _OLDEST_PYTHON))}",
            fix="train it with a newer Python, then release it again",
        )
    python = model_interpreter(subject, needs, registry, fix="")
    converter, packages = conversion_interpreter(needs, python, plan.format, tools)
    runtime, runtime_version = runtime_interpreter(python, plan.format, tools)
    with tools.console.group(f"convert {subject.shown}"):
        result = _converted(plan, registry, converter, packages)
        assert result.signature is not None  # noqa: S101  # it is no refusal
        before, original = _measured(plan, registry, python)
        bundle = _staged_bundle(plan, result.signature)
        scored = _scored(plan, registry, runtime, bundle, original)
    file = bundle / plan.format.file
    conversion = Conversion(
        result=result,
        signature=result.signature,
        parity=compare_outputs(original, scored.answers, result.signature, plan.budget.tolerance),
        before=before,
        after=Figures(size=file.stat().st_size, row_s=scored.row_s, memory=scored.memory),
        model=plan.scratch / "converted" / "model",
        bundle=bundle,
        file_sha256=sha256(file.read_bytes()),
        runtime=f"{plan.format.runtime} {runtime_version}",
        original=original,
        converted=scored.answers,
    )
    _record_served(plan, registry, converter, conversion)
    require_plain(conversion.model)
    require_measured(conversion.model, plan.format, conversion.file_sha256)
    return conversion


def require_flavor(subject: EvaluatedVersion, wanted: ModelFormat) -> None:
    """Raise NotConvertible for a model of another flavor, before an environment is made for it."""
    text = (subject.model / "MLmodel").read_text(encoding="utf-8")
    found = re.search(r"^[ \t]+loader_module: (\S+)[ \t\r]*$", text, re.MULTILINE)
    loader = found[1] if found else "MLmodel"
    if loader in wanted.loaders:
        return
    error = refused(subject, loader, wanted.other_flavor, wanted)
    for other in FORMATS.values():
        if loader in other.loaders:
            raise NotConvertible(what=error.what, why=error.why, fix=option("export-format", other.name))
    raise error


def _client(plan: ConversionPlan, registry: RegistryClient, python: Path) -> StoreClient:
    tools = registry.tools
    store = tools.mlflow.store(f"sqlite:///{plan.scratch / 'unused.db'}", embedded=False)
    return StoreClient(mlflow=tools.mlflow, python=python, store=store)


def _converted(
    plan: ConversionPlan, registry: RegistryClient, python: Path, packages: tuple[str, ...]
) -> ConversionResult:
    destination = plan.scratch / "converted"
    destination.mkdir()
    parts: dict[str, Any] = {
        "model": str(plan.subject.model),
        "destination": str(destination),
        "requests": tuple(item.body for item in plan.requests if _is_usable(item) and not item.is_derived),
        "sample_rows": plan.sample_rows,
        "packages": packages,
    }
    request = ConvertToTflite(**parts, edge=str(EDGE)) if plan.format is TFLITE else ConvertModel(**parts)
    client = _client(plan, registry, python)
    try:
        result = client.convert(request, plan.serve_env, timeout_s=plan.timeout_s)
    except ToolMissing as error:
        raise NotConvertible(
            what=f"the converters do not work beside the packages of {plan.subject.shown}",
            why=error.why,
            fix="uv lock --upgrade, then release again",
        ) from error
    except TooSlow as error:
        raise TooSlow(what=error.what, why=error.why, fix=option("export-timeout", "SECONDS")) from error
    if result.refusal is not None:
        raise refused(plan.subject, result.refusal.operator, result.refusal.reason, plan.format)
    if result.signature is None:
        raise ValueError("the response to `convert` has neither a signature nor a refusal")
    require_plain(destination)
    return result


def require_plain(folder: Path) -> None:
    """Raise ModelUnusable for a converted model with a link: what it leads to would be logged, and be in the bundle."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ModelUnusable(
                what=f"`{path.relative_to(folder)}` of the converted model is a link",
                why="its packages wrote it during the conversion, and a link may lead to any file of this machine",
                fix="release a model whose packages leave the files of its conversion alone",
            )


def require_measured(folder: Path, wanted: ModelFormat, digest: str) -> None:
    """Raise ModelUnusable if the file of the model in a folder is not the one that was measured."""
    if sha256((folder / wanted.logged).read_bytes()) != digest:
        raise ModelUnusable(
            what=f"`{wanted.file}` changed after it was measured",
            why="its packages started something that went on after the conversion",
            fix="release a model whose packages leave the files of its conversion alone",
        )


def refused(subject: EvaluatedVersion, operator: str, reason: str, wanted: ModelFormat) -> NotConvertible:
    """The error for a model that is not converted, with the operator, the reason and what helps."""
    return NotConvertible(
        what=f"{subject.shown} cannot be converted: `{operator}`",
        why=reason,
        fix=help_for(operator, reason, wanted.converter),
    )


def _is_usable(item: RecordedRequest) -> bool:
    return item.content_type == JSON_TYPE and item.is_answered and not item.is_stream


def _listed(plan: ConversionPlan) -> Iterator[dict[str, str]]:
    """The requests that the original answers, then the generated ones."""
    for item in plan.requests:
        if _is_usable(item):
            yield {"name": item.name, "origin": _ORIGINS[item.origin], "body": item.body}
    for generated in parse_json(read_untrusted(plan.scratch / "converted" / "sample.json", limit=_LONGEST_FILE)):
        yield {**generated, "body": json.dumps(generated["body"])}


def _measured(
    plan: ConversionPlan, registry: RegistryClient, python: Path
) -> tuple[Figures, tuple[dict[str, Any], ...]]:
    requests, destination = plan.scratch / "requests.json", plan.scratch / "original.json"
    requests.write_text(json.dumps(list(_listed(plan))), encoding="utf-8")
    request = MeasureOriginal(
        model=str(plan.subject.model), requests=str(requests), destination=str(destination), repeats=REPEATS
    )
    client = _client(plan, registry, python)
    figures = client.measure_original(request, plan.serve_env, timeout_s=plan.timeout_s)
    size = sum(file.stat().st_size for file in plan.subject.model.rglob("*") if file.is_file())
    before = Figures(size=size, row_s=figures.row_s, memory=figures.memory)
    return before, tuple(_document(destination))


def _document(file: Path) -> Any:
    if file.stat().st_size > _LONGEST_FILE:
        raise ModelUnusable(
            what="the outputs of the model are too large to be compared",
            why=f"they have more than {_LONGEST_FILE >> 20} MB",
            fix=option("sample-rows", "100"),
        )
    return parse_json(file.read_bytes())


def _staged_bundle(plan: ConversionPlan, signature: PortableSignature) -> Path:
    bundle = plan.scratch / "bundle"
    bundle.mkdir()
    shutil.copyfile(plan.scratch / "converted" / "model" / plan.format.logged, bundle / plan.format.file)
    shutil.copyfile(EDGE / SCORER, bundle / SCORER)
    subject = plan.subject
    origin = {"version": subject.uri, "model_sha256": subject.sha256}
    text = signature_text(signature, tolerance=plan.budget.tolerance, origin=origin)
    (bundle / SIGNATURE).write_text(text, encoding="utf-8")
    return bundle


def _scored(
    plan: ConversionPlan, registry: RegistryClient, python: Path, bundle: Path, original: Sequence[dict[str, Any]]
) -> ScoredBundle:
    tools = registry.tools
    rows = plan.scratch / "rows.json"
    rows.write_text(json.dumps([item["rows"] for item in original if "rows" in item]), encoding="utf-8")
    scorer = BundleScorer(runner=tools.runner, host=tools.host, on_line=tools.console.foreign, timeout_s=plan.timeout_s)
    scored = scorer.score(python, bundle, rows, repeats=REPEATS)
    if isinstance(scored, str):
        reason = f"it does not load the converted model: {scored}"
        raise refused(plan.subject, plan.format.runtime, reason, plan.format)
    return scored


def _record_served(plan: ConversionPlan, registry: RegistryClient, python: Path, conversion: Conversion) -> None:
    """
    Answer the recorded requests with MLflow and the converted model, and write them and the answers into its folder.

    Raises ModelUnusable if the answers are not those of the scorer.
    """
    signature = conversion.signature
    usable = [item for item in plan.requests if _is_usable(item)]
    scored = iter(conversion.converted)
    pairs: list[tuple[str, Any, Any]] = []
    for item, original in zip(usable, conversion.original, strict=False):
        answer = next(scored) if "outputs" in original else None
        if answer is not None and "outputs" in answer and not item.is_derived:
            pairs.append((item.name, parse_json(item.body), answer))
    request = AnswerRequests(model=str(conversion.model), requests=tuple(body for _, body, _ in pairs))
    answers = _client(plan, registry, python).answer(request, plan.serve_env, timeout_s=plan.timeout_s).answers
    expected = [{"name": name, "origin": "recorded", "outputs": answer["outputs"]} for name, _, answer in pairs]
    observed = [{"outputs": _by_output(answer, signature)} for answer in answers]
    parity = compare_outputs(expected, observed, signature, plan.budget.tolerance)
    if any(output.beyond or output.flips for output in parity.outputs):
        raise ModelUnusable(
            what=f"MLflow answers otherwise with the converted model than {plan.format.runtime}",
            why=f"the outputs differ by up to {parity.absolute:.2g}",
            fix=Wording("use the files of ", option("bundle", "FOLDER"), " without MLflow"),
        )
    (conversion.model / model_files.FOLDER).mkdir()
    for file, content in ((model_files.CASES, [body for _, body, _ in pairs]), (model_files.ANSWERS, list(answers))):
        (conversion.model / file).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _by_output(answer: Any, signature: PortableSignature) -> dict[str, list[Any]]:
    """The predictions of MLflow's server by output: a list of rows, or for a matrix an object of vectors."""
    predictions = answer["predictions"]
    if signature.outputs[0].shape:
        (port,) = signature.outputs
        return {port.name: [list(row.values()) if isinstance(row, dict) else row for row in predictions]}
    if isinstance(predictions, dict):
        return {port.name: list(predictions[port.name]) for port in signature.outputs}
    return {port.name: [row[port.name] for row in predictions] for port in signature.outputs}
