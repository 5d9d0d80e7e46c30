"""What does an image say of itself? Labels, those of the OCI and ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..release.record import Record

MODEL = "mlflow-uv.model-sha256"
_OCI = "org.opencontainers.image."


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildProvenance:
    """What the record does not say: the base, which packages, the commit's date (RFC 3339) and repository if known."""

    base: str
    base_digest: str
    serving: str
    created: str
    source: str


def labels_of(record: Record, made: BuildProvenance) -> Mapping[str, str]:
    """Nothing in them changes when the same is built again."""
    said = {
        f"{_OCI}base.digest": made.base_digest,
        f"{_OCI}base.name": made.base,
        f"{_OCI}created": made.created,
        f"{_OCI}revision": record.commit.sha,
        f"{_OCI}source": made.source,
        f"{_OCI}title": record.version.name if record.version else record.model.name,
        f"{_OCI}version": record.version.version if record.version else "",
        "mlflow-uv.model-id": record.model.model_id,
        "mlflow-uv.model-uri": record.model.uri,
        "mlflow-uv.serving": made.serving,
        **made_from(record),
    }
    return {name: said[name] for name in sorted(said) if said[name]}


def version_in(labels: Mapping[str, str]) -> str:
    """Which version an image says that it serves: `wine version 2`, or a model where it says none."""
    if version := labels.get(f"{_OCI}version"):
        return f"{labels.get(f'{_OCI}title', 'a model')} version {version}"
    return f"model {labels.get(MODEL, '')[:12]}"


def made_from(record: Record) -> Mapping[str, str]:
    """The labels by which an image repeats the links of the record that it was made from."""
    return {
        "mlflow-uv.lock-sha256": record.lock.sha256,
        MODEL: record.model.sha256,
        "mlflow-uv.requirements-sha256": record.requirements.sha256,
    }
