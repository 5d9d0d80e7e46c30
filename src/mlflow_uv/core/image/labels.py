"""Computes the labels of an image: those of the OCI image specification, and `mlflow-uv.*`."""

from collections.abc import Mapping

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.record import Record

MODEL = "mlflow-uv.model-sha256"
# Annotations of a layer in a manifest: the digest of what it was made from; digest and size of the list at its end.
LAYER_KEY = "mlflow-uv.layer-key"
LAYER_LIST = "mlflow-uv.layer-list"
_OCI = "org.opencontainers.image."


@lazy_dataclass
class BuildProvenance:
    """
    Facts of a build that are not in the record.

    `serving` is the selection of packages, `created` the commit's date (RFC 3339), and `source` the repository's URL;
    both may be empty.
    """

    base: str
    base_digest: str
    serving: str
    created: str
    source: str


def image_labels(record: Record, build: BuildProvenance) -> Mapping[str, str]:
    """The labels of an image, sorted and without empty ones; building the same again gives the same labels."""
    labels = {
        f"{_OCI}base.digest": build.base_digest,
        f"{_OCI}base.name": build.base,
        f"{_OCI}created": build.created,
        f"{_OCI}revision": record.commit.sha,
        f"{_OCI}source": build.source,
        f"{_OCI}title": record.version.name if record.version else record.model.name,
        f"{_OCI}version": record.version.version if record.version else "",
        "mlflow-uv.model-id": record.model.model_id,
        "mlflow-uv.model-uri": record.model.uri,
        "mlflow-uv.serving": build.serving,
        **link_labels(record),
    }
    return {name: labels[name] for name in sorted(labels) if labels[name]}


def version_in(labels: Mapping[str, str]) -> str:
    """The version that an image's labels name, such as `wine version 2`; the model's digest where they name none."""
    if version := labels.get(f"{_OCI}version"):
        return f"{labels.get(f'{_OCI}title', 'a model')} version {version}"
    return f"model {labels.get(MODEL, '')[:12]}"


def other_version_in(labels: Mapping[str, str], record: Record) -> str:
    """The version that the labels of another image name; if it is called as that of the record, the model's digest."""
    version = version_in(labels)
    if record.version is None or version != f"{record.version.name} version {record.version.version}":
        return version
    return f"another model, {labels.get(MODEL, '')[:12]}, that is called {version}, too"


def link_labels(record: Record) -> Mapping[str, str]:
    """The labels that repeat links of the record that an image was made from."""
    return {
        "mlflow-uv.lock-sha256": record.lock.sha256,
        MODEL: record.model.sha256,
        "mlflow-uv.requirements-sha256": record.requirements.sha256,
    }
