"""Describes and watches the pods of a version, for every kind of target that runs in a cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...command.errors import BadInput, ChainBroken
from ...command.wording import step_call
from ...core.deploy.manifests import ManifestLabels, PodSpec, container
from ...core.deploy.pod_facts import (
    ATTESTATIONS,
    REQUEST_TIMEOUT,
    SETTINGS,
    VARIABLES,
    container_facts,
    secrets_of,
    with_variables,
)
from ...core.deploy.settings import ClusterSettings
from ...core.security.documents import parse_json
from ...tools.engines.containers import DEPLOYMENT, FACTS, PART
from ...tools.kubernetes.kubectl import Cluster, Object
from .target import IMAGE, DeploymentOptions, WantedVersion, wanted_facts

KEYS = ManifestLabels(deployment=DEPLOYMENT, slot=PART, facts=FACTS)
# Reasons of a container that waits, after which it does not start by itself.
_HOPELESS = frozenset({
    "CrashLoopBackOff", "CreateContainerConfigError", "ErrImagePull", "ImagePullBackOff", "InvalidImageName",
    "RunContainerError",
})  # fmt: skip
PODS = "pods"  # a fact: their number
_REVISION = ", revision "
VARIABLES_FROM = "variables from"  # a fact: the Secret with the variables, and its revision where it can be read


def pod_of(wanted: WantedVersion, options: DeploymentOptions, slot: str, cluster: Cluster) -> PodSpec:
    """The pods that are to run a version. Raises BadInput for one that no cluster can run."""
    settings = options.settings
    assert isinstance(settings, ClusterSettings)  # noqa: S101  # those of its kind
    image = wanted.record.image
    if image is None or not image.digest:
        raise BadInput(
            what=f"the image of {wanted.model} version {wanted.version} is in no registry",
            why="the nodes of a cluster pull it by its digest",
            fix=step_call("release", push=True, image="REGISTRY/NAME"),
        )
    if wanted.serve_env.names and settings.secret is None:
        raise BadInput(
            what="the deployment has no `secret`",
            why=f"the model needs the variables {', '.join(wanted.serve_env.names)}, which pods get from a Secret",
            fix='secret = "NAME" in the table of the deployment',
        )
    pod = PodSpec(
        deployment=options.name,
        slot=slot,
        image=wanted.address,
        facts={},
        settings=settings,
        start_s=options.deadline_s,
        request_s=options.answer_s,
        variables=wanted.serve_env.names,
        server_settings=wanted.server_settings,
    )
    more = {PODS: pods_fact(settings.replicas, settings.most_replicas), **container_facts(container(pod))}
    if settings.secret is not None and wanted.serve_env.names:
        revision = cluster.revision("secret", settings.secret)
        more[VARIABLES_FROM] = f"{settings.secret}{_REVISION}{revision}" if revision else settings.secret
    return replace(pod, facts=wanted_facts(wanted, wanted.address, more))


def pods_fact(least: Any, most: Any) -> str:
    """The number of pods, or the limits of their autoscaler."""
    return f"{least}" if most == least else f"{least} to {most}"


def facts_of_pods(annotations: Any, container: Mapping[str, Any]) -> dict[str, str]:
    """
    The facts in the annotations of an object, with what its container runs with instead of what was written down.

    Somebody may have changed the object since it was applied, and an annotation stays as it is then.
    """
    facts = facts_in(annotations)
    if not facts:
        return {}
    running = container_facts(container)
    ours = {name: value for name, value in facts.items() if name not in (*running, SETTINGS, VARIABLES_FROM)}
    secrets, recorded = secrets_of(container), facts.get(VARIABLES_FROM, "")
    if secrets:
        running[VARIABLES_FROM] = recorded if recorded.partition(_REVISION)[0] == secrets else secrets
    return {**ours, **running}


def served_facts(pod: PodSpec, storage: str | None) -> PodSpec:
    """The pods with the address of the files that a platform's own server runs, instead of the image."""
    if storage is None:
        return pod
    facts = {name: value for name, value in pod.facts.items() if name != IMAGE}
    return replace(pod, facts={**facts, "files": storage})


def facts_in(annotations: Any) -> dict[str, str]:
    """The facts in the annotations of an object; none where somebody else wrote them."""
    text = (annotations or {}).get(FACTS, "{}")
    try:
        return {str(name): str(value) for name, value in parse_json(text).items()}
    except (ValueError, AttributeError):
        return {}


def facts_of_own_fields(annotations: Any, container: Mapping[str, Any]) -> dict[str, str]:
    """
    The same without the variables that others added to the object.

    An object that is applied again keeps them: its server removes no field that somebody else owns.
    """
    names = facts_in(annotations).get(VARIABLES, "").split(", ")
    return facts_of_pods(annotations, with_variables(container, (REQUEST_TIMEOUT, ATTESTATIONS, *names)))


def image_in(template: Mapping[str, Any]) -> str:
    """The image of the first container of a template; empty where a platform's own server runs."""
    containers = template.get("containers") or ()
    return str(containers[0].get("image", "")) if containers else ""


def require_image(wanted: str | None, found: str, name: str) -> None:
    """Raise ChainBroken unless an object names the image that it is to run."""
    if (wanted or "") != found:
        raise ChainBroken("image", why=f"`{name}` is to run {found or 'nothing'}, and the record says {wanted}")


def hopeless(pods: tuple[Object, ...]) -> str:
    """Why a pod will not start by itself; empty if each still may."""
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            waiting: Any = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _HOPELESS:
                message = " ".join(str(waiting.get("message", "")).split())[:200]
                return f"{pod['metadata']['name']}: {waiting['reason']} {message}".strip()
    return ""


def condition_of(found: Object, kind: str) -> tuple[str, str]:
    """The status and the message of a condition of an object, both empty without it."""
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            return str(condition.get("status", "")), str(condition.get("message", ""))
    return "", ""


def is_ready(pod: Object) -> bool:
    """Whether a pod gets requests: it is ready, and does not end."""
    return condition_of(pod, "Ready")[0] == "True" and not pod["metadata"].get("deletionTimestamp")
