"""
Deploys to Seldon Core 1: one SeldonDeployment, in which each version is a predictor with a share of the requests.

The first predictor is the version that runs, whatever its share is, so a run that was killed leaves a clear state.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...command.errors import NotServing, ToolFailed
from ...core.deploy.difference import DeploymentChange, changes_between
from ...core.deploy.inference_manifests import seldon_deployment, seldon_predictor, storage_of, with_shares
from ...core.deploy.manifests import CONTAINER
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...core.deploy.settings import InferenceSettings
from ...core.image.dockerfile import PORT
from ...tools.kubernetes.kubectl import Cluster, Object
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from .cluster_service import ClusterService, Pending
from .kubectl_client import connected
from .pods import (
    KEYS,
    PODS,
    facts_in,
    facts_of_own_fields,
    hopeless,
    image_in,
    is_ready,
    pod_of,
    pods_fact,
    require_image,
    served_facts,
)
from .target import (
    IMAGE,
    NOT_DEPLOYED,
    STATE,
    VERSION,
    DeployedVersion,
    DeploymentOptions,
    WantedVersion,
    models_of,
    others_have,
    require_same_model,
)

KINDS = "seldondeployments"
_MLSERVER_PORT = 9000  # of the server that Seldon runs for MLFLOW_SERVER

Predictor = Mapping[str, Any]


class SeldonService(ClusterService[InferenceSettings]):
    """See target.DeploymentTarget and target.TrafficSplit."""

    settings_type = InferenceSettings
    kinds = (KINDS,)

    def __init__(self, options: DeploymentOptions, cluster: Cluster, tools: Tools) -> None:
        super().__init__(options, cluster, tools)
        self._before: tuple[Predictor, ...] = ()
        self._new: dict[str, Any] | None = None

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return self._deployed(self._seen())

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        seen = self._seen()
        self._before, now = _predictors(seen), self._deployed(seen)
        require_same_model(self._options.name, "in this namespace", now, wanted)
        active = self._before[0]["name"] if self._before else None
        storage = storage_of(self._settings, wanted.record.model, wanted.model, wanted.version)
        slot = next(slot for slot in SLOTS if slot != active)
        pod = served_facts(pod_of(wanted, self._options, slot, self._cluster), storage)
        self._new = seldon_predictor(pod, storage, KEYS)
        return changes_between(now.facts, pod.facts)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget; the other predictor keeps its pods."""
        predictors, planned = _predictors(self._seen()), _facts(self._planned())
        backs = [item for item in predictors if _facts(item).get(VERSION) == version]
        backs.sort(key=lambda item: _facts(item) == planned)
        if not backs:
            return False
        others = [item for item in predictors if item["name"] != backs[0]["name"]]
        if others:
            self._apply((backs[0], *others), 100, *(0 for _ in others))
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; what an interrupted run left is removed first."""
        del wanted  # planned
        new, active = self._planned(), self._before[:1]
        if len(self._before) > 1:
            self._apply(active, 100)
            self._gone(str(new["name"]))
        self._applied = True
        self._apply((*active, new), *((100, 0) if active else (100,)))
        found = next((item for item in _predictors(self._seen()) if item["name"] == new["name"]), None)
        image = "" if found is None else _image(found)
        require_image(_facts(new).get(IMAGE), image, f"{self._options.name}-{new['name']}")

    def wait(self) -> None:
        """See DeploymentTarget."""
        slot = self._planned()["name"]
        self._await_ready(f"the pods of the predictor `{slot}` are", self._pending, self._options.deadline_s)

    def _pending(self) -> Pending | None:
        pods = self._pods(str(self._planned()["name"]))
        ready, wanted = sum(map(is_ready, pods)), self._settings.replicas
        if ready >= wanted:
            return None
        return Pending(
            shown=f"  {ready} of {wanted} pods are ready",
            failed=hopeless(pods) or _failure(self._seen()),
            late=f"{ready} of {wanted} are after {self._options.deadline_s:.0f} s",
        )

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget; a ready pod is asked through the API server, past Seldon's executor."""
        with self._forwarded(str(self._planned()["name"])) as address:
            return self._asked(address, expected)

    def share(self, percent: int) -> None:
        """See TrafficSplit."""
        self._apply((self._before[0], self._planned()), 100 - percent, percent)

    def shift(self) -> None:
        """See DeploymentTarget."""
        active = self._before[:1]
        self._apply((self._planned(), *active), *((100, 0) if active else (100,)))

    @contextmanager
    def live(self) -> Iterator[str]:
        """See DeploymentTarget; where clients ask it if this machine does so too, else in a pod."""
        predictors = _predictors(self._seen())
        if self._settings.url is not None:
            yield self._settings.url
        elif predictors:
            with self._forwarded(str(predictors[0]["name"])) as address:
                yield address
        else:
            yield ""

    def settle(self) -> None:
        """See DeploymentTarget."""
        predictors = _predictors(self._seen())
        if len(predictors) > 1:
            self._apply(predictors[:1], 100)

    def undo(self) -> None:
        """See DeploymentTarget; the predictor before has kept its pods."""
        # Without `apply`, an earlier run led to what is wrong, and was killed before it removed what ran before.
        back = self._before[:1] if self._applied else self._before[1:2]
        if back:
            self._apply(back, 100)
        elif self._applied:
            if not others_have(self._options, self.observe()):
                self.remove()
        else:
            raise ToolFailed(what="there is nothing to return to", why="the predictor that ran before is gone")

    # what runs

    def _seen(self) -> Object | None:
        return next(iter(self._cluster.find(KINDS, self._label())), None)

    def _deployed(self, seen: Object | None) -> DeployedVersion:
        predictors = _predictors(seen)
        if seen is None or not predictors:
            return NOT_DEPLOYED
        active = predictors[0]
        leftovers = tuple(f"the predictor {item['name']}" for item in predictors[1:])
        address = ((seen.get("status") or {}).get("address") or {}).get("url") or ""
        state = RUNNING if any(map(is_ready, self._pods(str(active["name"])))) else "no pod is ready"
        image = _image(active)
        facts = {**_facts(active), **({IMAGE: image} if image else {}), STATE: state}
        return DeployedVersion(
            facts=facts,
            endpoint=self._settings.url or str(address),
            leftovers=leftovers,
            models=models_of(self._options, *map(_facts, predictors)),
        )

    def _pods(self, slot: str) -> tuple[Object, ...]:
        return self._cluster.find("pods", self._label(slot))

    def _planned(self) -> dict[str, Any]:
        assert self._new is not None  # noqa: S101  # plan made it
        return self._new

    @contextmanager
    def _forwarded(self, slot: str) -> Iterator[str]:
        ready = next((pod for pod in self._pods(slot) if is_ready(pod)), None)
        if ready is None:
            raise NotServing(what=f"no pod of the predictor `{slot}` is ready", why="it ended, or somebody deleted it")
        own = self._settings.storage_uri is None
        with self._cluster.forwarded(f"pod/{ready['metadata']['name']}", PORT if own else _MLSERVER_PORT) as port:
            yield f"http://127.0.0.1:{port}{'' if own else f'/v2/models/{CONTAINER}'}"

    # changes

    def _apply(self, predictors: tuple[Predictor, ...], *shares: int) -> None:
        shared = with_shares(predictors, shares)
        self._cluster.apply((seldon_deployment(self._options.name, shared, self._settings.namespace, KEYS),))

    def _gone(self, slot: str) -> None:
        """Wait until the pods of a predictor that was removed are gone, since the next one has its name."""
        pending = Pending(late="an interrupted run left them, and the new ones have their name")
        self._await(
            lambda: pending if self._pods(slot) else None,
            self._options.deadline_s,
            lambda pending: ToolFailed(what=f"the pods of the predictor `{slot}` do not end", why=pending.late),
        )


def open_target(options: DeploymentOptions, tools: Tools) -> SeldonService:
    """See target.OpenTarget."""
    assert isinstance(options.settings, InferenceSettings)  # noqa: S101  # those of its kind
    return SeldonService(options, connected(options, options.settings.namespace, tools), tools)


def _predictors(seen: Object | None) -> tuple[Predictor, ...]:
    return () if seen is None else tuple(seen["spec"].get("predictors") or ())


def _facts(predictor: Predictor) -> dict[str, str]:
    annotations, specs = predictor.get("annotations"), predictor.get("componentSpecs")
    component: Mapping[str, Any] = specs[0] if specs else {}
    containers = (component.get("spec") or {}).get("containers")
    if not containers or "implementation" in (predictor.get("graph") or {}):  # the files of the model in MLServer
        return facts_in(annotations)
    scaler, count = component.get("hpaSpec"), predictor.get("replicas", 1)
    least, most = (count, count) if scaler is None else (scaler.get("minReplicas", 1), scaler.get("maxReplicas"))
    facts = facts_of_own_fields(annotations, containers[0])
    return {**facts, PODS: pods_fact(least, most)} if facts else {}


def _image(predictor: Predictor) -> str:
    specs = predictor.get("componentSpecs") or ()
    return image_in(specs[0].get("spec") or {}) if specs else ""


def _failure(seen: Object | None) -> str:
    """Why Seldon gave the SeldonDeployment up; empty if it did not."""
    status = (seen or {}).get("status") or {}
    return str(status.get("description") or "Seldon says that it failed") if status.get("state") == "Failed" else ""
