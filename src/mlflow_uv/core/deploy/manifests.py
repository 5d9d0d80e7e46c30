"""Writes the manifests of a version for Kubernetes: pods of one of two colours, and the Service that leads to one."""

import json
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..image.dockerfile import PORT
from ..release.digests import sha256
from .difference import Facts
from .served_containers import DRAIN_S, USER
from .settings import ClusterSettings, KubernetesSettings

Manifest = Mapping[str, Any]
CONTAINER = "model"
_MANAGER = "mlflow-uv"  # with the model, the owner of the fields that are applied
_LONGEST_MANAGER = 128  # characters, as the API server accepts
PROBE = "/ping"
_STARTUP_PERIOD_S = 2
# Endpoints of a Service are removed while the pod ends: until all nodes know it, the server must still answer.
_LINGER_S = 5


@lazy_dataclass
class PodSpec:
    """
    What the pods of a colour run: `image` is a reference by digest, `variables` the names of the model's.

    `server_settings` are variables of the server with values that anybody may see.
    The server may take `start_s` seconds to become healthy, and `request_s` for a response.
    """

    deployment: str
    slot: str
    image: str
    facts: Facts
    settings: ClusterSettings
    start_s: float
    request_s: float
    variables: tuple[str, ...] = ()
    server_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the objects of this colour."""
        return f"{self.deployment}-{self.slot}"


@lazy_dataclass
class ManifestLabels:
    """The keys of the labels that name a deployment and a colour, and of the annotation with the facts."""

    deployment: str
    slot: str
    facts: str


def manager_of(model: str) -> str:
    """
    The owner of the fields of a model's deployments, by its name.

    Two models have different owners, so the server itself refuses what one would change of the other's deployment.
    """
    name = f"{_MANAGER}/{model}"
    plain = len(name) <= _LONGEST_MANAGER and name.isprintable()
    return name if plain else f"{_MANAGER}/{sha256(model.encode(errors='surrogateescape'))}"


def workload(pod: PodSpec, settings: KubernetesSettings, keys: ManifestLabels) -> tuple[Manifest, ...]:
    """The Deployment of a colour, its disruption budget, and its autoscaler if the settings have one."""
    labels = {keys.deployment: pod.deployment, keys.slot: pod.slot}
    metadata = {"name": pod.name, "namespace": settings.namespace, "labels": labels}
    annotations = {keys.facts: facts_text(pod.facts)}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels}, "spec": pod_template(pod)},
    }
    if settings.max_replicas is None:
        spec["replicas"] = settings.replicas  # else it belongs to the autoscaler
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": annotations},
        "spec": spec,
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata,
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }
    return (deployment, budget, *_autoscaler(pod.name, settings, metadata))


def service_to(deployment: str, slot: str, settings: KubernetesSettings, keys: ManifestLabels) -> Manifest:
    """The Service of a deployment that leads to the pods of a colour."""
    port = {"name": "http", "port": settings.port, "targetPort": "http", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": deployment, "namespace": settings.namespace, "labels": {keys.deployment: deployment}},
        "spec": {"type": "ClusterIP", "selector": {keys.deployment: deployment, keys.slot: slot}, "ports": [port]},
    }


def _autoscaler(name: str, settings: KubernetesSettings, metadata: Mapping[str, Any]) -> tuple[Manifest, ...]:
    if settings.max_replicas is None:
        return ()
    utilization = {"type": "Utilization", "averageUtilization": settings.target_cpu}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": settings.replicas,
        "maxReplicas": settings.most_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
    }
    return (
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": dict(metadata), "spec": spec},
    )


def pod_template(pod: PodSpec) -> dict[str, Any]:
    """The pods of a version."""
    settings = pod.settings
    return {
        "automountServiceAccountToken": False,
        "containers": [container(pod)],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": _LINGER_S + DRAIN_S + 5,
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        **pull_secrets(settings),
    }


def facts_text(facts: Facts) -> str:
    """Facts as the text of an annotation."""
    return json.dumps(dict(facts), sort_keys=True)


def pull_secrets(settings: ClusterSettings) -> dict[str, Any]:
    """The part of a template with the login for the registry."""
    return {"imagePullSecrets": [{"name": settings.pull_secret}]} if settings.pull_secret else {}


def container(pod: PodSpec) -> dict[str, Any]:
    """The container of a version in its pod."""
    settings = pod.settings
    given = {"REQUEST_TIMEOUT": f"{pod.request_s:g}", **pod.server_settings}
    variables: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in given.items()]
    variables += (
        {"name": name, "valueFrom": {"secretKeyRef": {"name": settings.secret, "key": name}}} for name in pod.variables
    )
    ping = {"path": PROBE, "port": "http"}
    failures = max(1, math.ceil(pod.start_s / _STARTUP_PERIOD_S))
    return {
        "name": CONTAINER,
        "image": pod.image,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": variables,
        "resources": {
            "requests": {"cpu": f"{settings.cpus:g}", "memory": f"{settings.memory}Mi"},
            "limits": {"memory": f"{settings.memory}Mi"},
        },
        # The model loads before the port is open, for as long as `startupProbe` allows.
        "startupProbe": {"httpGet": ping, "periodSeconds": _STARTUP_PERIOD_S, "failureThreshold": failures},
        "readinessProbe": {"httpGet": ping, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {"httpGet": ping, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_LINGER_S)]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  # in the container
    }
