"""
Deploys to Seldon Core 2: each version is a Model, and an Experiment leads the requests to one, or to two by shares.

The first candidate of the Experiment is the version that runs, whatever its share is, so a run that was killed leaves a
clear state. Servers of Seldon run the files of the model, not the image of the release.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...command.errors import BadInput, ChainBroken, NotServing, PlanOutdated, ToolFailed
from ...core.deploy.difference import DeploymentChange, changes_between
from ...core.deploy.inference_manifests import stored_at
from ...core.deploy.manifests import manager_of
from ...core.deploy.running import RUNNING
from ...core.deploy.seldon2_manifests import SlotFiles, seldon2_experiment, seldon2_model
from ...core.deploy.served_containers import SLOTS
from ...core.deploy.settings import Seldon2Settings
from ...core.security.endpoint_address import NO_HEADERS, endpoint_address
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.containers import PART
from ...tools.kubernetes.kubectl import Cluster, Object
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from .cluster_service import ClusterService, Pending
from .kubectl_client import connected
from .pods import KEYS, condition_of, facts_in
from .target import (
    MODEL,
    MODEL_DIGEST,
    NOT_DEPLOYED,
    REGISTERED,
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

MODELS, EXPERIMENTS = "models.mlops.seldon.io", "experiments.mlops.seldon.io"
_MESH, _MESH_PORT = "service/seldon-mesh", 80
_HEADER = "Seldon-Model"
_FILES = "files"
_MOVES_S = 120.0  # within which an Experiment leads the requests


@lazy_dataclass
class _SeenModels:
    """The Models by their slots, and the slot that runs, None before an Experiment names one."""

    models: Mapping[str, Object]
    active: str | None = None
    experiment: Object | None = None


class Seldon2Service(ClusterService[Seldon2Settings]):
    """See target.DeploymentTarget and target.TrafficSplit."""

    settings_type = Seldon2Settings
    kinds = (EXPERIMENTS, MODELS)  # an Experiment refers to Models

    def __init__(self, options: DeploymentOptions, cluster: Cluster, tools: Tools) -> None:
        super().__init__(options, cluster, tools)
        self._before: str | None = None
        self._new: dict[str, Any] | None = None
        self._slot = SLOTS[0]
        self._begun = False

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return self._deployed(self._seen())

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        if wanted.serve_env.names:
            raise BadInput(
                what="a Model of Seldon Core 2 has no variables",
                why=f"the model needs {', '.join(wanted.serve_env.names)}, and servers of Seldon are shared by models",
                fix="log the model without `serve-env`, or deploy its image to another target",
            )
        seen = self._seen()
        now = self._deployed(seen)
        require_same_model(self._options.name, "in this namespace", now, wanted)
        storage = stored_at(self._settings, wanted.record.model, wanted.model, wanted.version)
        facts = {
            MODEL: wanted.model,
            VERSION: wanted.version,
            MODEL_DIGEST: wanted.record.model.sha256,
            STATE: RUNNING,
            _FILES: storage,
            "replicas": f"{self._settings.replicas}",
            "memory": f"{self._settings.memory} MiB",
            **({REGISTERED: wanted.registered} if wanted.registered else {}),
        }
        self._before = seen.active
        self._slot = next(slot for slot in SLOTS if slot != seen.active)
        served = SlotFiles(deployment=self._options.name, slot=self._slot, storage=storage, facts=facts)
        self._new = seldon2_model(served, self._settings, KEYS)
        return changes_between(now.facts, facts)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget; the Model is there until the deployment has settled."""
        seen, planned = self._seen(), _facts(self._planned())
        backs = [slot for slot, model in seen.models.items() if _facts(model).get(VERSION) == version]
        backs.sort(key=lambda slot: _facts(seen.models[slot]) == planned)
        if not backs:
            return False
        self._lead((backs[0], 100))
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; what an interrupted run left in its place is removed first."""
        del wanted  # planned
        self._begun, new, seen = True, self._planned(), self._seen()
        if self._slot in seen.models:
            self._require_free(seen)
            if self._before is not None:
                self._lead((self._before, 100))
            self._unload(self._slot)
        self._applied = True
        self._cluster.apply((new,))
        applied = self._seen().models.get(self._slot)
        found = "nothing" if applied is None else applied["spec"].get("storageUri", "nothing")
        if found != new["spec"]["storageUri"]:
            why = f"`{self._name(self._slot)}` has the files {found}, and {new['spec']['storageUri']} were applied"
            raise ChainBroken("model", why=why)

    def wait(self) -> None:
        """See DeploymentTarget."""
        self._ready(MODELS, self._slot, self._options.deadline_s)

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget; the Model by its own name, which no client knows."""
        with self._forwarded(self._name(self._slot)) as endpoint:
            return self._asked(endpoint, expected)

    def share(self, percent: int) -> None:
        """See TrafficSplit."""
        assert self._before is not None  # noqa: S101  # a version ran before
        self._lead((self._before, 100 - percent), (self._slot, percent))

    def shift(self) -> None:
        """See DeploymentTarget."""
        self._lead((self._slot, 100))

    @contextmanager
    def live(self) -> Iterator[Endpoint]:
        """See DeploymentTarget; as clients ask it, at `url` or at the mesh of the namespace."""
        if self._settings.url is not None:
            yield self._endpoint(self._settings.url.rstrip("/"), f"{self._options.name}.experiment")
            return
        with self._forwarded(f"{self._options.name}.experiment") as endpoint:
            yield endpoint

    def settle(self) -> None:
        """See DeploymentTarget."""
        seen = self._seen()
        if seen.active is not None and len(seen.models) > 1:
            self._lead((seen.active, 100))
            self._unload(*(slot for slot in seen.models if slot != seen.active))

    def undo(self) -> None:
        """See DeploymentTarget; the Model before is still loaded."""
        if self._begun and not self._applied:  # nothing was created
            return
        seen = self._seen()
        others = [slot for slot in seen.models if slot != seen.active]
        # Without `apply`, an earlier run led to what is wrong, and was killed before it removed what ran before.
        back = self._before if self._applied else next(iter(others), None)
        if back is None:
            if not self._applied:
                raise ToolFailed(what="there is nothing to return to", why="the Model that ran before is gone")
            if others_have(self._options, self._deployed(seen)):
                self._unload(*(slot for slot, model in seen.models.items() if is_own(self._options, _facts(model))))
            else:
                self.remove()
            return
        self._lead((back, 100))
        self._unload(*(slot for slot in seen.models if slot != back))

    # what runs

    def _name(self, slot: str) -> str:
        return f"{self._options.name}-{slot}"

    def _seen(self) -> _SeenModels:
        found = self._cluster.find(MODELS, self._label())
        models = {str(model["metadata"]["labels"].get(PART)): model for model in found}
        experiment = next(iter(self._cluster.find(EXPERIMENTS, self._label())), None)
        candidates = () if experiment is None else experiment["spec"].get("candidates") or ()
        active = next((slot for slot in models for first in candidates[:1] if first["name"] == self._name(slot)), None)
        return _SeenModels(models=models, active=active, experiment=experiment)

    def _deployed(self, seen: _SeenModels) -> DeployedVersion:
        names = models_of(self._options, *map(_facts, seen.models.values()))
        leftovers = tuple(f"the Model {self._name(slot)}" for slot in sorted(seen.models) if slot != seen.active)
        if seen.active is None or seen.experiment is None:
            return DeployedVersion(leftovers=leftovers, models=names) if leftovers else NOT_DEPLOYED
        model = seen.models[seen.active]
        ready = all(condition_of(part, "Ready")[0] == "True" for part in (model, seen.experiment))
        facts = {
            **_facts(model),
            _FILES: str(model["spec"].get("storageUri", "")),
            STATE: RUNNING if ready else "not ready",
        }
        if len(seen.experiment["spec"]["candidates"]) > 1:
            leftovers = (*leftovers, "a share for another version")
        url = self._settings.url
        endpoint = f"{url.rstrip('/')}/v2/models/{self._options.name}" if url else ""
        return DeployedVersion(facts=facts, endpoint=endpoint, leftovers=leftovers, models=names)

    def _require_free(self, seen: _SeenModels) -> None:
        """Raise PlanOutdated if what is in the place of the new version was not left by an interrupted run."""
        model = seen.models[self._slot]
        if seen.active == self._slot or not is_own(self._options, _facts(model)):
            raise PlanOutdated(
                what=f"somebody else changed the deployment `{self._options.name}` after the plan",
                why=f"`{self._name(self._slot)}` is one of {manager_of(_facts(model).get(MODEL, 'nobody'))} now",
                fix="run it again, or give one of them another name in pyproject.toml",
            )

    def _planned(self) -> dict[str, Any]:
        assert self._new is not None  # noqa: S101  # plan made it
        return self._new

    def _endpoint(self, base: str, name: str) -> Endpoint:
        address = endpoint_address(f"{base}/v2/models/{self._options.name}")
        return Endpoint(self._tools.web, address, NO_HEADERS, plain={_HEADER: name})

    @contextmanager
    def _forwarded(self, name: str) -> Iterator[Endpoint]:
        with self._cluster.forwarded(_MESH, _MESH_PORT) as port:
            yield self._endpoint(f"http://127.0.0.1:{port}", name)

    # changes

    def _lead(self, *shares: tuple[str, int]) -> None:
        """Let the Experiment have these shares, the first of the version that runs, and wait until it does."""
        candidates = [(self._name(slot), share) for slot, share in shares]
        self._cluster.apply((seldon2_experiment(self._options.name, candidates, self._settings.namespace, KEYS),))
        self._ready(EXPERIMENTS, None, _MOVES_S)

    def _unload(self, *slots: str) -> None:
        for slot in slots:
            self._delete(MODELS, self._label(slot))

    def _ready(self, kind: str, slot: str | None, seconds: float) -> None:
        """Wait until an object is ready in its newest generation. Raises NotServing."""
        name = self._options.name if slot is None else self._name(slot)

        def pending() -> Pending | None:
            found = next(iter(self._cluster.find(kind, self._label(slot))), None)
            if found is None:
                raise NotServing(what=f"{kind} `{name}` is gone", why="somebody deleted it")
            current = (found.get("status") or {}).get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
            ready, why = condition_of(found, "Ready")
            if current and ready == "True":
                return None
            late = f"after {seconds:.0f} s: {why or 'Seldon gives no reason'}"
            return Pending(late=late, failed=_failure(found) if current else "")

        self._await_ready(f"`{name}` is", pending, seconds)


def open_target(options: DeploymentOptions, tools: Tools) -> Seldon2Service:
    """See target.OpenTarget."""
    assert isinstance(options.settings, Seldon2Settings)  # noqa: S101  # those of its kind
    return Seldon2Service(options, connected(options, options.settings.namespace, tools), tools)


def _facts(model: Object) -> dict[str, str]:
    return facts_in(model["metadata"].get("annotations"))


def _failure(found: Object) -> str:
    """Why Seldon gave a Model up; empty if it still may become ready, as one that waits for a server."""
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "False" and condition.get("reason") == "ModelFailed":
            return f"ModelFailed {condition.get('message') or ''}".strip()[:300]
    return ""
