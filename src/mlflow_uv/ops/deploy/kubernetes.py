"""Deploys to Kubernetes: pods of a new colour beside the old ones, and a Service that leads to one colour."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field

from ...command.errors import NotServing, ToolFailed
from ...core.deploy.difference import DeploymentChange, changes_between
from ...core.deploy.manifests import PodSpec, service_to, workload
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...core.deploy.settings import KubernetesSettings
from ...core.image.dockerfile import PORT
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.containers import PART
from ...tools.kubernetes.kubectl import Cluster, Object
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from .cluster_service import ClusterService, Pending
from .kubectl_client import connected
from .pods import KEYS, PODS, facts_of_pods, hopeless, image_in, pod_of, pods_fact, require_image
from .target import (
    IMAGE,
    NOT_DEPLOYED,
    STATE,
    VERSION,
    DeployedVersion,
    DeploymentOptions,
    WantedVersion,
    is_own,
    models_of,
    others_have,
    require_same_model,
)

WORKLOAD = "deployments,poddisruptionbudgets,horizontalpodautoscalers"


@lazy_dataclass
class _Colours:
    """
    The Deployments by colour, and the colour that the Service leads to, None without a Service.

    `colours` are those of all objects. An autoscaler is of a colour without a Deployment where a removal was
    interrupted; it would scale the next pods of the colour.
    """

    deployments: Mapping[str, Object]
    active: str | None
    colours: frozenset[str] = frozenset()
    scalers: Mapping[str, Object] = field(default_factory=dict)

    def facts(self, colour: str) -> dict[str, str]:
        """What the pods of a colour run."""
        return _facts_of(self.deployments[colour], self.scalers.get(colour))

    def colour_for_new(self) -> str:
        """The colour of new pods."""
        return next(colour for colour in SLOTS if colour != self.active)


class KubernetesService(ClusterService[KubernetesSettings]):
    """See target.DeploymentTarget."""

    settings_type = KubernetesSettings
    kinds = (f"services,{WORKLOAD}",)

    def __init__(self, options: DeploymentOptions, cluster: Cluster, tools: Tools) -> None:
        super().__init__(options, cluster, tools)
        self._before = _Colours(deployments={}, active=None)
        self._pod: PodSpec | None = None

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return self._deployed(self._seen())

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        self._before = self._seen()
        now = self._deployed(self._before)
        require_same_model(self._options.name, "in this namespace", now, wanted)
        self._pod = pod_of(wanted, self._options, self._before.colour_for_new(), self._cluster)
        return changes_between(now.facts, self._pod.facts)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget."""
        seen, planned = self._seen(), self._planned().facts
        colours = [colour for colour in seen.deployments if seen.facts(colour).get(VERSION) == version]
        # Of two with the version, the one that is not like the planned one, and then the one with the traffic.
        colours.sort(key=lambda colour: (seen.facts(colour) == planned, colour != seen.active))
        if not colours or seen.active is None:
            return False
        if colours[0] != seen.active:
            self._cluster.apply((service_to(self._options.name, colours[0], self._settings, KEYS),))
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; what an interrupted run left in this colour is removed first."""
        del wanted  # planned
        pod = self._planned()
        if pod.slot in self._before.colours:
            self._delete(WORKLOAD, self._label(pod.slot))
        self._applied = True
        self._cluster.apply(workload(pod, self._settings, KEYS))
        deployment = self._seen().deployments.get(pod.slot)
        require_image(pod.image, "" if deployment is None else _image_of(deployment), pod.name)

    def wait(self) -> None:
        """See DeploymentTarget."""
        self._await_ready(f"the pods of `{self._planned().name}` are", self._pending, self._options.deadline_s)

    def _pending(self) -> Pending | None:
        pod, wanted = self._planned(), self._settings.replicas
        deployment = self._seen().deployments.get(pod.slot)
        if deployment is None:
            raise NotServing(what=f"the Deployment `{pod.name}` is gone", why="somebody deleted it")
        status = deployment.get("status") or {}
        available = status.get("availableReplicas") or 0
        current = (status.get("observedGeneration") or 0) >= deployment["metadata"].get("generation", 0)
        if current and available >= wanted and (status.get("updatedReplicas") or 0) >= wanted:
            return None
        return Pending(
            shown=f"  {available} of {wanted} pods are ready",
            failed=hopeless(self._cluster.find("pods", self._label(pod.slot))),
            late=f"{available} of {wanted} are after {self._options.deadline_s:.0f} s",
        )

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget; through the API server, so that no address of a pod must be reachable."""
        with self._cluster.forwarded(f"deployment/{self._planned().name}", PORT) as port:
            return self._asked(f"http://127.0.0.1:{port}", expected)

    def shift(self) -> None:
        """See DeploymentTarget."""
        self._cluster.apply((service_to(self._options.name, self._planned().slot, self._settings, KEYS),))

    @contextmanager
    def live(self) -> Iterator[str]:
        """See DeploymentTarget; through the Service."""
        with self._cluster.forwarded(f"service/{self._options.name}", self._settings.port) as port:
            yield f"http://127.0.0.1:{port}"

    def settle(self) -> None:
        """See DeploymentTarget; pods that end answer what they got."""
        seen = self._seen()
        for colour in seen.colours - {seen.active}:
            self._delete(WORKLOAD, self._label(colour))

    def undo(self) -> None:
        """See DeploymentTarget; the Service before is applied again."""
        seen = self._seen()
        if self._before.active is None and others_have(self._options, self._deployed(seen)):
            self._remove_own(seen, keep=None)
            return
        if self._before.active is None:
            self.remove()
            return
        back: str | None = self._before.active
        if not self._applied:  # an earlier run led to what is wrong, and was killed before it removed what ran before
            back = next((colour for colour in seen.deployments if colour != seen.active), None)
        if back is None or back not in seen.deployments:
            raise ToolFailed(what="there is nothing to return to", why="the pods that ran before are gone")
        if seen.active != back:
            self._cluster.apply((service_to(self._options.name, back, self._settings, KEYS),))
        self._remove_own(seen, keep=back)

    def _remove_own(self, seen: _Colours, *, keep: str | None) -> None:
        """Delete the other colours of this model; those of another one, and its Service, are not touched."""
        for colour in seen.colours - {keep}:
            facts = seen.facts(colour) if colour in seen.deployments else None
            if is_own(self._options, facts):
                self._delete(WORKLOAD, self._label(colour))

    # what runs

    def _seen(self) -> _Colours:
        objects = self._cluster.find(f"services,{WORKLOAD}", self._label())
        deployments, scalers = (
            {str(found["metadata"]["labels"].get(PART)): found for found in objects if found["kind"] == kind}
            for kind in ("Deployment", "HorizontalPodAutoscaler")
        )
        services = [found for found in objects if found["kind"] == "Service"]
        active = services[0]["spec"].get("selector", {}).get(PART) if services else None
        workloads = [found for found in objects if found["kind"] != "Service"]
        colours = frozenset(str(found["metadata"]["labels"].get(PART)) for found in workloads)
        return _Colours(deployments=deployments, active=active, colours=colours, scalers=scalers)

    def _deployed(self, seen: _Colours) -> DeployedVersion:
        leftovers = tuple(f"{self._options.name}-{colour}" for colour in sorted(seen.colours) if colour != seen.active)
        models = models_of(self._options, *map(seen.facts, seen.deployments))
        if seen.active is None:
            return DeployedVersion(leftovers=leftovers, models=models) if leftovers else NOT_DEPLOYED
        address = f"http://{self._options.name}.{self._settings.namespace}.svc:{self._settings.port}"
        if seen.active not in seen.deployments:
            return DeployedVersion(facts={STATE: "no pods"}, endpoint=address, leftovers=leftovers, models=models)
        return DeployedVersion(facts=seen.facts(seen.active), endpoint=address, leftovers=leftovers, models=models)

    def _planned(self) -> PodSpec:
        assert self._pod is not None  # noqa: S101  # plan made it
        return self._pod


def open_target(options: DeploymentOptions, tools: Tools) -> KubernetesService:
    """See target.OpenTarget."""
    assert isinstance(options.settings, KubernetesSettings)  # noqa: S101  # those of its kind
    return KubernetesService(options, connected(options, options.settings.namespace, tools), tools)


def _facts_of(deployment: Object, scaler: Object | None) -> dict[str, str]:
    spec = deployment["spec"]
    facts = facts_of_pods(deployment["metadata"].get("annotations"), spec["template"]["spec"]["containers"][0])
    if facts:
        count = spec.get("replicas", 1)
        limits = {"minReplicas": count, "maxReplicas": count} if scaler is None else scaler["spec"]
        facts[PODS] = pods_fact(limits.get("minReplicas", 1), limits["maxReplicas"])
    available = (deployment.get("status") or {}).get("availableReplicas") or 0
    state = RUNNING if available else "no pod is ready"
    return {**facts, IMAGE: _image_of(deployment), STATE: state}


def _image_of(deployment: Object) -> str:
    return image_in(deployment["spec"]["template"]["spec"])
