"""What does an image say of itself? Labels, those of the OCI and ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from .record import Record

_OCI = "org.opencontainers.image."


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What the record does not say: the base, which packages, the commit's date (RFC 3339) and repository if known."""

    base: str
    base_digest: str
    serving: str
    created: str
    source: str


def labels_of(record: Record, made: Made) -> Mapping[str, str]:
    """Nothing in them changes when the same is built again."""
    said = {
        f"{_OCI}base.digest": made.base_digest,
        f"{_OCI}base.name": made.base,
        f"{_OCI}created": made.created,
        f"{_OCI}revision": record.commit.sha,
        f"{_OCI}source": made.source,
        f"{_OCI}title": record.version.name if record.version else record.model.name,
        f"{_OCI}version": record.version.version if record.version else "",
        "mlflow-uv.lock-sha256": record.lock.sha256,
        "mlflow-uv.model-id": record.model.model_id,
        "mlflow-uv.model-sha256": record.model.sha256,
        "mlflow-uv.model-uri": record.model.uri,
        "mlflow-uv.requirements-sha256": record.requirements.sha256,
        "mlflow-uv.serving": made.serving,
    }
    return {name: value for name, value in said.items() if value}
