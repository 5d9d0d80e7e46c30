"""Writes the manifests of a version for Seldon Core 2."""

from collections.abc import Sequence
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .difference import Facts
from .manifests import ManifestLabels, facts_text
from .settings import Seldon2Settings

_API = "mlops.seldon.io/v1alpha1"


@lazy_dataclass
class SlotFiles:
    """The files of a version in one of the two slots of a deployment, and its facts."""

    deployment: str
    slot: str
    storage: str
    facts: Facts


def seldon2_model(served: SlotFiles, settings: Seldon2Settings, keys: ManifestLabels) -> dict[str, Any]:
    """The Model of a version, which a server with the runtime for MLflow loads."""
    spec: dict[str, Any] = {
        "storageUri": served.storage,
        "requirements": ["mlflow"],
        "memory": f"{settings.memory}Mi",
        "replicas": settings.replicas,
    }
    if settings.max_replicas is not None:
        most = max(settings.replicas, settings.max_replicas)
        spec |= {"minReplicas": settings.replicas, "maxReplicas": most}
    if settings.storage_secret is not None:
        spec["secretName"] = settings.storage_secret
    if settings.server is not None:
        spec["server"] = settings.server
    metadata = {
        "name": f"{served.deployment}-{served.slot}",
        "namespace": settings.namespace,
        "labels": {keys.deployment: served.deployment, keys.slot: served.slot},
        "annotations": {keys.facts: facts_text(served.facts)},
    }
    return {"apiVersion": _API, "kind": "Model", "metadata": metadata, "spec": spec}


def seldon2_experiment(
    name: str, candidates: Sequence[tuple[str, int]], namespace: str, keys: ManifestLabels
) -> dict[str, Any]:
    """The Experiment that leads the requests to Models by their shares; the first one is what runs."""
    return {
        "apiVersion": _API,
        "kind": "Experiment",
        "metadata": {"name": name, "namespace": namespace, "labels": {keys.deployment: name}},
        "spec": {"candidates": [{"name": model, "weight": weight} for model, weight in candidates]},
    }
