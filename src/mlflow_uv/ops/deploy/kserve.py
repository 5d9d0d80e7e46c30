"""
Deploys to KServe: one InferenceService, whose newest revision gets a share of the requests.

The version before stays in a ConfigMap until the deployment has settled, since KServe keeps no manifest to return to.
While the InferenceService has a share, that version is the one that runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...command.errors import NotServing, ToolFailed
from ...core.deploy.difference import DeploymentChange, changes_between
from ...core.deploy.inference_manifests import inference_service, storage_of, with_canary
from ...core.deploy.manifests import PodSpec
from ...core.deploy.running import RUNNING
from ...core.deploy.settings import InferenceSettings
from ...core.image.dockerfile import PORT
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.containers import DEPLOYMENT
from ...tools.kubernetes.kubectl import Cluster, Object
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from .cluster_service import ClusterService, Pending
from .kubectl_client import connected
from .pods import (
    KEYS,
    PODS,
    condition_of,
    facts_in,
    facts_of_own_fields,
    hopeless,
    image_in,
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

KINDS = "inferenceservices,configmaps"
_MOVES_S = 120.0  # within which KServe moves the traffic
_BEFORE = "before"
_REVISION = "serving.knative.dev/revision"


@lazy_dataclass
class _Seen:
    """The InferenceService, and the manifest of the version that ran before the newest one, None without one."""

    service: Object | None = None
    kept: Object | None = None

    @property
    def share(self) -> int | None:
        """The share of the requests that the newest version has; None if it has all of them."""
        share: int | None = None if self.service is None else _predictor(self.service).get("canaryTrafficPercent")
        return share

    @property
    def running(self) -> Object | None:
        """The manifest of the version that runs."""
        return self.kept if self.share is not None and self.kept is not None else self.service


class KServeService(ClusterService[InferenceSettings]):
    """See target.DeploymentTarget and target.TrafficSplit."""

    settings_type = InferenceSettings
    kinds = (KINDS,)

    def __init__(self, options: DeploymentOptions, cluster: Cluster, tools: Tools) -> None:
        super().__init__(options, cluster, tools)
        self._before = _Seen()
        self._wanted: dict[str, Any] = {}
        self._pod: PodSpec | None = None
        self._earlier = ""  # the newest revision before `apply`

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return self._deployed(self._seen())

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        self._before = self._seen()
        now = self._deployed(self._before)
        require_same_model(self._options.name, "in this namespace", now, wanted)
        storage = storage_of(self._settings, wanted.record.model, wanted.model, wanted.version)
        pod = served_facts(pod_of(wanted, self._options, "", self._cluster), storage)
        self._wanted = inference_service(pod, self._settings, storage, KEYS)
        self._pod = pod
        return changes_between(now.facts, pod.facts)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget; the manifest of the version before makes a revision like the one before."""
        seen = self._seen()
        for back in (seen.kept, seen.service):
            if seen.service is not None and back is not None and _facts(back).get(VERSION) == version:
                self._return_to(back)
                return True
        return False

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; the new revision gets no request."""
        del wanted  # planned
        running = self._before.running
        if running is not None:
            self._keep(running)
        self._applied = True
        latest = _status(self._before.service).get("latestCreatedRevision", "")
        # The same manifest again, which an interrupted run applied, makes no new revision.
        same = self._before.service is not None and _facts(self._before.service) == _facts(self._wanted)
        self._earlier = "" if same else str(latest)
        self._cluster.apply((with_canary(self._wanted, None if running is None else 0),))
        require_image(_facts(self._wanted).get(IMAGE), image_in(_predictor(self._require())), self._options.name)

    def wait(self) -> None:
        """See DeploymentTarget."""
        self._ready(self._earlier)

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget; through the API server, past the ingress."""
        with self._forwarded(str(_status(self._require()).get("latestReadyRevision", ""))) as address:
            return self._asked(address, expected)

    def share(self, percent: int) -> None:
        """See TrafficSplit."""
        self._cluster.apply((with_canary(self._wanted, percent),))
        self._moved(lambda parts: any(part.get("latestRevision") and part.get("percent") == percent for part in parts))

    def shift(self) -> None:
        """See DeploymentTarget."""
        self._cluster.apply((with_canary(self._wanted, None),))
        self._moved(_all_to_latest)

    @contextmanager
    def live(self) -> Iterator[str]:
        """See DeploymentTarget; where clients ask it if this machine does so too, else in its pods."""
        if self._settings.url is not None:
            yield self._settings.url
            return
        with self._forwarded(str(_status(self._require()).get("latestReadyRevision", ""))) as address:
            yield address

    def settle(self) -> None:
        """See DeploymentTarget; Knative ends the pods of a revision without requests itself."""
        seen = self._seen()
        if seen.share is not None and seen.kept is not None:
            self._return_to(seen.kept)
        self._delete("configmaps", self._label())

    def undo(self) -> None:
        """See DeploymentTarget; KServe gets the manifest before, which makes a revision like the one before."""
        back = self._before.running if self._applied else self._before.kept
        if back is None and self._applied:
            if not others_have(self._options, self.observe()):
                self.remove()
            return
        if back is None:
            raise ToolFailed(what="there is nothing to return to", why="the manifest that ran before is gone")
        self._return_to(back)
        self._delete("configmaps", self._label())

    # what runs

    def _seen(self) -> _Seen:
        service = kept = None
        for found in self._cluster.find(KINDS, self._label()):
            if found["kind"] == "ConfigMap":
                kept = _kept_in(found)
            else:
                service = found
        return _Seen(service=service, kept=kept)

    def _deployed(self, seen: _Seen) -> DeployedVersion:
        leftovers = (f"a share of {seen.share} % for another version",) if seen.share is not None else ()
        models = models_of(
            self._options, *(None if found is None else _facts(found) for found in (seen.service, seen.kept))
        )
        if seen.service is None:
            left = DeployedVersion(leftovers=("the manifest before",), models=models)
            return NOT_DEPLOYED if seen.kept is None else left
        endpoint = self._settings.url or str((seen.service.get("status") or {}).get("url") or "")
        ready, why = condition_of(seen.service, "Ready")
        state = RUNNING if ready == "True" or seen.share is not None else f"not ready {why}".strip()
        assert seen.running is not None  # noqa: S101  # there is a service
        image = image_in(_predictor(seen.running))
        facts = {**_facts(seen.running), **({IMAGE: image} if image else {}), STATE: state}
        return DeployedVersion(facts=facts, endpoint=endpoint, leftovers=leftovers, models=models)

    def _require(self) -> Object:
        service = self._seen().service
        if service is None:
            raise NotServing(what=f"the InferenceService `{self._options.name}` is gone", why="somebody deleted it")
        return service

    @contextmanager
    def _forwarded(self, revision: str) -> Iterator[str]:
        with self._cluster.forwarded(f"deployment/{revision}-deployment", PORT) as port:
            path = f"/v2/models/{self._options.name}" if self._settings.storage_uri else ""
            yield f"http://127.0.0.1:{port}{path}"

    # changes

    def _keep(self, service: Object) -> None:
        """Keep the manifest of the version that runs, for a return also by another run."""
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{self._options.name}-before",
                "namespace": self._settings.namespace,
                "labels": {DEPLOYMENT: self._options.name},
            },
            "data": {_BEFORE: json.dumps(_manifest_of(service))},
        }
        self._cluster.apply((config,))

    def _return_to(self, manifest: Object) -> None:
        """
        Let a manifest run again, without a moment in which the version that is undone gets a request.

        Where the version before still has its revision, that one has the requests until the new one like it is ready.
        """
        seen = self._seen()
        same = seen.service is not None and _facts(seen.service) == _facts(manifest)
        if same and seen.share is None:
            return
        earlier = "" if same else str(_status(seen.service).get("latestCreatedRevision", ""))
        self._cluster.apply((with_canary(_manifest_of(manifest), 0),))
        self._ready(earlier)
        self._cluster.apply((with_canary(_manifest_of(manifest), None),))
        self._moved(_all_to_latest)

    def _ready(self, earlier: str) -> None:
        """Wait until there is a newer revision than an earlier one, and it is ready. Raises NotServing."""

        def pending() -> Pending | None:
            service = self._require()
            status, shown = _status(service), service.get("status") or {}
            created, ready = status.get("latestCreatedRevision", ""), status.get("latestReadyRevision", "")
            current = shown.get("observedGeneration", 1 << 62) >= service["metadata"].get("generation", 0)
            if current and created and created not in (earlier, None) and created == ready:
                return None
            why = _failure(service)
            if not why and created and created != earlier:
                why = hopeless(self._cluster.find("pods", f"{self._label()},{_REVISION}={created}"))
            newest = f"its newest revision is {created or 'not there'}"
            late = f"after {self._options.deadline_s:.0f} s {newest}. {condition_of(service, 'Ready')[1]}"
            return Pending(late=late.strip(), failed=why)

        self._await_ready(f"the InferenceService `{self._options.name}` is", pending, self._options.deadline_s)

    def _moved(self, is_so: Callable[[list[Mapping[str, Any]]], bool]) -> None:
        late = f"after {_MOVES_S:.0f} s its status has another traffic; only its mode with Knative moves it"

        def pending() -> Pending | None:
            return None if is_so(_status(self._require()).get("traffic") or []) else Pending(late=late)

        self._await(
            pending,
            _MOVES_S,
            lambda pending: ToolFailed(
                what="KServe does not move the requests",
                why=pending.late,
                fix=f"look at it with `kubectl describe inferenceservice {self._options.name}"
                f" --namespace {self._settings.namespace}`",
            ),
        )


def open_target(options: DeploymentOptions, tools: Tools) -> KServeService:
    """See target.OpenTarget."""
    assert isinstance(options.settings, InferenceSettings)  # noqa: S101  # those of its kind
    return KServeService(options, connected(options, options.settings.namespace, tools), tools)


def _predictor(service: Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = service["spec"]["predictor"]
    return found


def _status(service: Object | None) -> Mapping[str, Any]:
    """The status of the predictor, empty before KServe wrote one."""
    components = ((service or {}).get("status") or {}).get("components") or {}
    found: Mapping[str, Any] = components.get("predictor") or {}
    return found


def _facts(service: Object) -> dict[str, str]:
    annotations, predictor = service["metadata"].get("annotations"), _predictor(service)
    if not predictor.get("containers"):  # the files of the model in a server of KServe
        return facts_in(annotations)
    least, most = predictor.get("minReplicas", 1), predictor.get("maxReplicas", 0)
    facts = facts_of_own_fields(annotations, predictor["containers"][0])
    return {**facts, PODS: pods_fact(least, most)} if facts else {}


def _all_to_latest(parts: list[Mapping[str, Any]]) -> bool:
    return any(part.get("latestRevision") and part.get("percent") == 100 for part in parts)  # noqa: PLR2004


def _failure(service: Object) -> str:
    """Why KServe gave the newest version up; empty if it did not."""
    model = (service.get("status") or {}).get("modelStatus") or {}
    if model.get("transitionStatus") in ("BlockedByFailedLoad", "InvalidSpec"):
        failure = model.get("lastFailureInfo") or {}
        return f"{failure.get('reason') or model['transitionStatus']} {failure.get('message') or ''}".strip()[:300]
    return ""


def _manifest_of(service: Object) -> dict[str, Any]:
    """The parts of an object that were applied."""
    metadata = service["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    ours = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key in (KEYS.facts, "serving.kserve.io/deploymentMode")
    }
    return {
        "apiVersion": service["apiVersion"],
        "kind": service["kind"],
        "metadata": {**kept, "annotations": ours},
        "spec": service["spec"],
    }


def _kept_in(config: Object) -> Object | None:
    try:
        found = parse_json((config.get("data") or {}).get(_BEFORE, ""))
    except ValueError:
        return None
    return found if isinstance(found, dict) and "spec" in found else None
