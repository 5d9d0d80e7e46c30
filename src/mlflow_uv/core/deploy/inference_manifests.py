"""Writes the manifests of a version for the platforms KServe and Seldon Core."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...command.errors import BadInput
from ..image.dockerfile import PORT
from ..release.record import ModelLink
from .manifests import CONTAINER, Manifest, ManifestLabels, PodSpec, container, facts_text, pod_template, pull_secrets
from .served_containers import USER
from .settings import InferenceSettings, Seldon2Settings

KSERVE_KIND, SELDON_KIND = "InferenceService", "SeldonDeployment"
_V2 = "v2"


def storage_of(settings: InferenceSettings, model: ModelLink, name: str, version: str) -> str | None:
    """The address of the files of a version; None where its image runs."""
    if settings.storage_uri is None:
        return None
    return with_parts(settings.storage_uri, model, name, version)


def stored_at(settings: Seldon2Settings, model: ModelLink, name: str, version: str) -> str:
    """The address of the files of a version. Raises BadInput without one in the settings."""
    if settings.storage_uri is None:
        raise BadInput(
            what="the deployment has no `storage-uri`",
            why="servers of Seldon Core 2 run the files of a model, and no image",
            fix='storage-uri = "s3://BUCKET/{model-id}/artifacts" in the table of the deployment',
        )
    return with_parts(settings.storage_uri, model, name, version)


def with_parts(address: str, model: ModelLink, name: str, version: str) -> str:
    """An address of files with the parts that differ between versions."""
    parts = {"model-id": model.model_id, "run-id": model.run_id, "name": name, "version": version}
    for part, value in parts.items():
        address = address.replace(f"{{{part}}}", value)
    return address


def inference_service(
    pod: PodSpec, settings: InferenceSettings, storage: str | None, keys: ManifestLabels
) -> dict[str, Any]:
    """
    The InferenceService of a version, which has all requests.

    Its annotations are those of the pods too: KServe starts new ones where one changes.
    """
    labels = {keys.deployment: pod.deployment}
    predictor: dict[str, Any] = {
        "minReplicas": settings.replicas,
        "maxReplicas": settings.most_replicas,
        "timeout": math.ceil(pod.request_s),
        "labels": labels,
        "annotations": {"serving.knative.dev/progress-deadline": f"{max(1, math.ceil(pod.start_s))}s"},
        **pull_secrets(settings),
    }
    if storage is None:
        predictor |= {"containers": [_knative_container(pod)], "volumes": [{"name": "tmp", "emptyDir": {}}]}
    else:
        inner = container(pod)
        format_ = {"name": "mlflow"}
        model = {"modelFormat": format_, "protocolVersion": _V2, "storageUri": storage, "resources": inner["resources"]}
        predictor["model"] = model | ({"env": _secrets_of(inner)} if pod.variables else {})
    metadata = {
        "name": pod.deployment,
        "namespace": settings.namespace,
        "labels": labels,
        "annotations": {
            # Only with Knative KServe splits requests between two versions.
            "serving.kserve.io/deploymentMode": "Serverless",
            keys.facts: facts_text(pod.facts),
        },
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": KSERVE_KIND,
        "metadata": metadata,
        "spec": {"predictor": predictor},
    }


def with_canary(service: Manifest, percent: int | None) -> dict[str, Any]:
    """The InferenceService whose newest version has a share of the requests, with None all of them."""
    predictor = {key: value for key, value in service["spec"]["predictor"].items() if key != "canaryTrafficPercent"}
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    return {**service, "spec": {**service["spec"], "predictor": predictor}}


def seldon_deployment(
    name: str, predictors: Sequence[Mapping[str, Any]], namespace: str, keys: ManifestLabels
) -> dict[str, Any]:
    """The SeldonDeployment with its predictors; the first one is what runs, others are compared with it."""
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": SELDON_KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": {keys.deployment: name}},
        "spec": {"name": name, "protocol": _V2, "predictors": list(predictors)},
    }


def seldon_predictor(pod: PodSpec, storage: str | None, keys: ManifestLabels) -> dict[str, Any]:
    """The predictor of a version, without a share of the requests."""
    inner = {**pod_template(pod)}
    graph: dict[str, Any] = {"name": CONTAINER, "type": "MODEL", "children": []}
    if storage is None:
        graph["endpoint"] = {"type": "REST", "httpPort": int(PORT)}
    else:
        graph |= {"implementation": "MLFLOW_SERVER", "modelUri": storage}
        server = inner["containers"][0]
        kept = {"name": CONTAINER, "resources": server["resources"]}
        inner = {"containers": [kept | ({"env": _secrets_of(server)} if pod.variables else {})]}
    hpa = {} if pod.settings.max_replicas is None else {"hpaSpec": _autoscaler(pod)}
    return {
        "name": pod.slot,
        "replicas": pod.settings.replicas,
        "labels": {keys.deployment: pod.deployment, keys.slot: pod.slot},
        "annotations": {keys.facts: facts_text(pod.facts)},
        "componentSpecs": [{"spec": inner, **hpa}],
        "graph": graph,
    }


def with_shares(predictors: Sequence[Mapping[str, Any]], shares: Sequence[int]) -> tuple[dict[str, Any], ...]:
    """Predictors with their shares of the requests in percent."""
    return tuple({**found, "traffic": share} for found, share in zip(predictors, shares, strict=True))


def _autoscaler(pod: PodSpec) -> dict[str, Any]:
    utilization = {"type": "Utilization", "averageUtilization": 70}
    return {
        "minReplicas": pod.settings.replicas,
        "maxReplicas": pod.settings.most_replicas,
        "metricsv2": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
    }


def _knative_container(pod: PodSpec) -> dict[str, Any]:
    """The container as Knative accepts it: it knows no hooks, and a security context of the pod only by choice."""
    accepted = {key: value for key, value in container(pod).items() if key not in ("lifecycle", "startupProbe")}
    ping = {"path": "/ping", "port": int(PORT)}
    return accepted | {
        "name": "kserve-container",
        "ports": [{"name": "http1", "containerPort": int(PORT), "protocol": "TCP"}],
        "readinessProbe": {"httpGet": ping, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {"httpGet": ping, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "securityContext": {
            **accepted["securityContext"],
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _secrets_of(inner: Mapping[str, Any]) -> list[Any]:
    return [variable for variable in inner["env"] if "valueFrom" in variable]
