"""Describes a registered version: the values that its ML-BOM and its model card both show."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.commit import UNKNOWN
from ..security.control_characters import visible
from ..security.masking import is_secret_name, mask
from .statements import CardStatements

MASKED = "***"
# Of one value. A parameter or the source of a dataset may be a whole document.
_TEXT = 2000


@lazy_dataclass
class DescribedDataset:
    """
    A dataset: its role (`training`, `evaluation`), and its digest with the algorithm.

    `algorithm` is `SHA-256` for the file of an evaluation, and `MLflow` for a digest of a part of the data; both are
    empty where no digest is known.
    """

    role: str
    name: str
    digest: str = ""
    algorithm: str = ""
    source: str = ""


@lazy_dataclass
class DescribedMetric:
    """A metric as it was recorded: `origin` is what was measured, and on what."""

    name: str
    value: float
    origin: str


@lazy_dataclass
class DescribedImage:
    """The serving image: its name, its digest in the registry (empty if it was not pushed), its id, and its base."""

    name: str
    digest: str
    id: str
    base: str
    base_digest: str


@lazy_dataclass
class ModelDescription:
    """
    A version as its record, the store and the registry describe it; every text is masked and visible (`cleaned`).

    `created` is when the version was registered (UTC, RFC 3339). `packages` is the CycloneDX table of the lock's
    packages, and `task` the model type of its evaluation; empty values are unknown.
    """

    name: str
    version: str
    created: str
    model_id: str
    run_id: str
    sha256: str
    commit: str
    lock_sha256: str
    requirements_sha256: str
    python: str
    mlflow: str
    uv: str
    description: str
    license: str
    license_is_spdx: bool
    producers: tuple[str, ...]
    pages: tuple[tuple[str, str], ...]
    flavors: tuple[tuple[str, str], ...]
    task: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    datasets: tuple[DescribedDataset, ...]
    metrics: tuple[DescribedMetric, ...]
    champion_metrics: tuple[DescribedMetric, ...]
    image: DescribedImage | None
    tested: str
    statements: CardStatements
    packages: Mapping[str, Any]

    @property
    def uri(self) -> str:
        """The URI of the version."""
        return f"models:/{self.name}/{self.version}"

    @property
    def library(self) -> str:
        """The flavor other than `python_function`, empty if there is none."""
        return next((name for name, _ in self.flavors if name != "python_function"), "")


def cleaned(value: Any, secrets: Sequence[str]) -> Any:
    """A value with every text in it masked, without control characters, and of limited length."""
    match value:
        case str():
            text = visible(mask(value, secrets))
            return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
        case tuple() | list():
            return type(value)(cleaned(item, secrets) for item in value)
        case Mapping():
            return {str(cleaned(key, secrets)): cleaned(item, secrets) for key, item in value.items()}
        case None | bool() | int() | float():
            return value
    return replace(value, **{part.name: cleaned(getattr(value, part.name), secrets) for part in fields(value)})


def safe_parameters(parameters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The parameters of a training in the order of their names; one with the name of a secret is masked as a whole."""
    return tuple((name, MASKED if is_secret_name(name) else parameters[name]) for name in sorted(parameters))


def elements(described: ModelDescription) -> tuple[tuple[str, str, str], ...]:
    """
    Cluster, element and value of each minimum element of an SBOM for AI, `unknown` where nothing says it.

    The clusters and elements are those of "SBOM for AI - Minimum Elements" by the G7 Cybersecurity Working Group and
    CISA (May 2026), as far as public summaries list them.
    """
    return tuple(
        (cluster, element, value or UNKNOWN)
        for cluster, values in (
            ("Metadata", _metadata(described)),
            ("System Level Properties", _system(described)),
            ("Models", _model(described)),
            ("Dataset Properties", _datasets(described)),
            ("Infrastructure", _infrastructure(described)),
            ("Security Properties", _security()),
            ("Key Performance Indicators", _indicators(described)),
        )
        for element, value in values
    )


def _metadata(described: ModelDescription) -> Iterator[tuple[str, str]]:
    yield "SBOM author", ", ".join(described.producers)
    yield "SBOM version", "1"
    yield "SBOM data format", "CycloneDX 1.6"
    yield "SBOM author signature", "not in this document"
    yield "SBOM tool", "mlflow-uv"
    yield "SBOM generation context", "after the build, from the release record and the registry"
    yield "SBOM timestamp", f"{described.created}, when the version was registered"
    yield "SBOM dependency relationships", "in the ML-BOM"


def _system(described: ModelDescription) -> Iterator[tuple[str, str]]:
    yield "System name", described.name
    yield "System components", f"the model, its packages{', its serving image' if described.image else ''}"
    yield "System producer", ", ".join(described.producers)
    yield "System version", described.version
    yield "System timestamp", described.created
    yield "System data flow", ""
    yield "System data usage", ""
    yield "System input and output properties", _interface(described)
    yield "Intended application area", "; ".join(described.statements.intended_uses)


def _model(described: ModelDescription) -> Iterator[tuple[str, str]]:
    yield "Model name", described.name
    yield "Model identifier", f"{described.uri}, {described.model_id}"
    yield "Model version", described.version
    yield "Model timestamp", described.created
    yield "Model producer", ", ".join(described.producers)
    yield "Model description", described.description
    yield "Model hash value", described.sha256
    yield "Model hash algorithm", "SHA-256, of the list of paths and SHA-256 digests of its files"
    yield "Model properties", ", ".join(" ".join(filter(None, flavor)) for flavor in described.flavors)
    yield "Model input and output properties", _interface(described)
    yield "Model training properties", described.statements.learning or ""
    yield "Model license", described.license
    yield "Model external references", ", ".join(address for _, address in described.pages)


def _datasets(described: ModelDescription) -> Iterator[tuple[str, str]]:
    known = [dataset for dataset in described.datasets if dataset.role != "evaluation"]
    yield "Dataset name", ", ".join(dataset.name for dataset in described.datasets)
    yield "Dataset description", ""
    yield "Dataset content", ""
    yield "Dataset identifier", ", ".join(dataset.name for dataset in known)
    yield (
        "Dataset hash",
        ", ".join(
            f"{dataset.algorithm} {dataset.digest} ({dataset.role})" for dataset in described.datasets if dataset.digest
        ),
    )
    yield "Dataset provenance", ", ".join(dataset.source for dataset in known if dataset.source)
    yield "Dataset statistical properties", ""
    yield "Dataset sensitivity", described.statements.sensitive_data or ""
    yield "Dataset dependency relationships", ""
    yield "Dataset license", ""


def _infrastructure(described: ModelDescription) -> Iterator[tuple[str, str]]:
    programs = (("Python", described.python), ("MLflow", described.mlflow), ("uv", described.uv))
    software = [f"{name} {version}" for name, version in programs if version]
    image = described.image
    if image is not None:
        software.append(f"image {image.name} {image.digest or image.id}")
    yield "Infrastructure software", ", ".join(software)
    yield "Infrastructure hardware", ""


def _security() -> Iterator[tuple[str, str]]:
    yield "Security controls", ""
    yield "Security compliance", ""
    yield "Cybersecurity policy information", ""
    yield "Vulnerability referencing", ""


def _indicators(described: ModelDescription) -> Iterator[tuple[str, str]]:
    yield "Security metrics", ""
    yield "Operational performance", ", ".join(f"{metric.name} {metric.value!r}" for metric in described.metrics)


def _interface(described: ModelDescription) -> str:
    parts = [("inputs", described.inputs), ("outputs", described.outputs), ("parameters", described.params)]
    return "; ".join(f"{name} {', '.join(lines)}" for name, lines in parts if lines)
