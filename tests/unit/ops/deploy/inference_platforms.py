"""Namespaces of clusters with KServe and Seldon Core, whose controllers are scripted."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from mlflow_uv.core.deploy.settings import InferenceSettings, Seldon2Settings
from mlflow_uv.ops.deploy.kserve import KServeService
from mlflow_uv.ops.deploy.seldon import SeldonService
from mlflow_uv.ops.deploy.seldon2 import Seldon2Service
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget

from .worlds import PROXY_IMAGE, KeptCluster, World, digest_of, multiplying, tools_of_tests

SLOT, REVISION = "mlflow-uv.deployment-part", "serving.knative.dev/revision"
WAITING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


class KeptKServe(KeptCluster):
    """
    KServe with Knative: a change of the template makes a revision, and a share of the requests follows the field.

    `revisions_of` has the image of each revision, and `seen_by_clients` the revisions that had requests, in turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.revisions_of: dict[str, str] = {}
        self.seen_by_clients: list[tuple[str, int]] = []
        self._template = ""

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """See Cluster."""
        for applied in objects:
            earlier = self.objects.get((applied["kind"].lower(), applied["metadata"]["name"]), {})
            super().apply((applied,))
            found = self.objects[applied["kind"].lower(), applied["metadata"]["name"]]
            if found["kind"] == "InferenceService":
                found["status"] = self.controlled(found, dict(earlier.get("status") or {}))

    def controlled(self, found: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """The status of an InferenceService after a change, from the one before."""
        predictor = found["spec"]["predictor"]
        percent = predictor.get("canaryTrafficPercent")
        template = {key: value for key, value in predictor.items() if key != "canaryTrafficPercent"}
        text = json.dumps([template, found["metadata"]["annotations"]], sort_keys=True)
        component = dict((status.get("components") or {}).get("predictor") or {})
        image = template["containers"][0]["image"]
        fault = self.faults.get(image, "")
        if text != self._template or not component:
            self._template = text
            name = f"{found['metadata']['name']}-predictor-{len(self.revisions_of) + 1:05}"
            self.revisions_of[name] = image
            component["latestCreatedRevision"] = name
        if fault == "swapped":
            template["containers"][0]["image"] = digest_of("9")
        if fault not in ("silent", "ends"):
            component["latestReadyRevision"] = component["latestCreatedRevision"]
        latest, rolled = component.get("latestReadyRevision"), component.get("latestRolledoutRevision")
        if latest is not None:
            share = 100 if percent is None or rolled is None else percent
            component["traffic"] = [{"latestRevision": True, "percent": share, "revisionName": latest}]
            if share < 100:
                component["traffic"].append({"revisionName": rolled, "percent": 100 - share, "tag": "prev"})
            else:
                component["latestRolledoutRevision"] = latest
            self.seen_by_clients += [(part["revisionName"], part["percent"]) for part in component["traffic"]]
        ready = "True" if component.get("latestReadyRevision") == component["latestCreatedRevision"] else "False"
        conditions = [{"type": "Ready", "status": ready, **({} if ready == "True" else {"message": "revision failed"})}]
        return {"components": {"predictor": component}, "conditions": conditions, "url": "http://prod.models.example"}

    def find(self, kinds: str, label: str) -> tuple[Mapping[str, Any], ...]:
        """See Cluster."""
        if kinds != "pods":
            return super().find(kinds, label)
        revision = dict(part.split("=") for part in label.split(","))[REVISION]
        state = WAITING if self.faults.get(self.revisions_of[revision]) == "ends" else {"running": {}}
        return ({"metadata": {"name": "pod-1"}, "status": {"containerStatuses": [{"state": state}]}},)

    @contextmanager
    def forwarded(self, place: str, port: int) -> Iterator[int]:
        """See Cluster."""
        assert port == 8080
        image = self.revisions_of[place.removeprefix("deployment/").removesuffix("-deployment")]
        with multiplying(3 if self.faults.get(image) == "wrong" else 2) as number:
            yield number


class KeptSeldon(KeptCluster):
    """Seldon Core, which makes the pods of each predictor at once; `shares` are those of each change."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[dict[str, int]] = []

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """See Cluster."""
        super().apply(objects)
        for found in self.objects.values():
            predictors = found["spec"]["predictors"]
            self.shares.append({item["name"]: item["traffic"] for item in predictors})
            assert 100 == sum(item["traffic"] for item in predictors)
            for item in predictors:
                container = item["componentSpecs"][0]["spec"]["containers"][0]
                if self.faults.get(container["image"]) == "swapped":
                    container["image"] = digest_of("9")

    def find(self, kinds: str, label: str) -> tuple[Mapping[str, Any], ...]:
        """See Cluster."""
        if kinds != "pods":
            return super().find(kinds, label)
        slot = dict(part.split("=") for part in label.split(","))[SLOT]
        return tuple(
            pod
            for found in self.objects.values()
            for item in found["spec"]["predictors"]
            if item["name"] == slot
            for pod in self._pods_of(item)
        )

    def _pods_of(self, predictor: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        fault = self.faults.get(predictor["componentSpecs"][0]["spec"]["containers"][0]["image"])
        ready = "False" if fault in ("silent", "ends") else "True"
        state = WAITING if fault == "ends" else {"running": {}}
        status = {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [{"state": state}]}
        for number in range(predictor["replicas"]):
            yield {"metadata": {"name": f"prod-{predictor['name']}-{number}"}, "status": status}

    @contextmanager
    def forwarded(self, place: str, port: int) -> Iterator[int]:
        """See Cluster."""
        assert port == 8080
        slot = place.removeprefix("pod/").split("-")[1]
        (found,) = self.objects.values()
        (image,) = (
            item["componentSpecs"][0]["spec"]["containers"][0]["image"]
            for item in found["spec"]["predictors"]
            if item["name"] == slot
        )
        with multiplying(3 if self.faults.get(image) == "wrong" else 2) as number:
            yield number


@dataclass
class KServeWorld:
    """A namespace with KServe."""

    cluster: KeptKServe
    options: DeploymentOptions

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        return KServeService(replace(self.options, model=model, **more), self.cluster, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[digest_of(version)] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.cluster.keeps = without_effect


@dataclass
class SeldonWorld:
    """A namespace with Seldon Core."""

    cluster: KeptSeldon
    options: DeploymentOptions

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        return SeldonService(replace(self.options, model=model, **more), self.cluster, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[digest_of(version)] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.cluster.keeps = without_effect


def _options(kind: str, settings: dict[str, Any]) -> DeploymentOptions:
    return DeploymentOptions(
        name="prod",
        settings=InferenceSettings(target=kind, **settings),
        is_preview=False,
        proxy_image=PROXY_IMAGE,
        deadline_s=5,
        answer_s=60,
    )


def kserve_world(**settings: Any) -> KServeWorld:
    """A namespace without a deployment."""
    return KServeWorld(cluster=KeptKServe(), options=_options("kserve", settings))


def seldon_world(**settings: Any) -> SeldonWorld:
    """A namespace without a deployment."""
    return SeldonWorld(cluster=KeptSeldon(), options=_options("seldon", settings))


class KeptSeldon2(KeptCluster):
    """Seldon Core 2, whose servers load at once; `weights` are those of each change. Faults are by the digest."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[dict[str, int]] = []

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """See Cluster."""
        super().apply(objects)
        for applied in objects:
            found = self.objects[applied["kind"].lower(), applied["metadata"]["name"]]
            found["metadata"]["generation"] = 2
            condition = {"type": "Ready", "status": "True"}
            if found["kind"] == "Model":
                fault = self._fault(found)
                if fault == "swapped":
                    found["spec"]["storageUri"] = "s3://bucket/other"
                if fault in ("silent", "ends"):
                    reason = "ModelFailed" if fault == "ends" else "ModelProgressing"
                    condition = {"type": "Ready", "status": "False", "reason": reason, "message": "no such file"}
            else:
                candidates = found["spec"]["candidates"]
                assert all(("model", item["name"]) in self.objects for item in candidates)
                assert 100 == sum(item["weight"] for item in candidates)
                self.weights.append({item["name"]: item["weight"] for item in candidates})
            found["status"] = {"observedGeneration": 2, "conditions": [condition]}

    def find(self, kinds: str, label: str) -> tuple[Mapping[str, Any], ...]:
        """See Cluster."""
        return super().find(kinds.removesuffix(".mlops.seldon.io"), label)

    def delete(self, kinds: str, label: str) -> None:
        """See Cluster; a Model that gets requests is not deleted."""
        kind = kinds.removesuffix(".mlops.seldon.io")
        super().delete(kind, label)
        experiment = self.objects.get(("experiment", "prod"))
        named = [] if experiment is None else [item["name"] for item in experiment["spec"]["candidates"]]
        assert all(("model", name) in self.objects for name in named)

    @contextmanager
    def forwarded(self, place: str, port: int) -> Iterator[int]:
        """See Cluster; the mesh leads a request to the model that its header names."""
        assert ("service/seldon-mesh", 80) == (place, port)
        with v2_server(self._factor) as number:
            yield number

    def _factor(self, name: str) -> float:
        if name.endswith(".experiment"):
            experiment = self.objects["experiment", name.removesuffix(".experiment")]
            name = max(experiment["spec"]["candidates"], key=lambda item: item["weight"])["name"]
        return 3.0 if self._fault(self.objects["model", name]) == "wrong" else 2.0

    def _fault(self, model: Mapping[str, Any]) -> str:
        facts = json.loads(model["metadata"]["annotations"]["mlflow-uv.deployment-facts"])
        return self.faults.get(facts["model digest"], "")


@contextmanager
def v2_server(factor: Callable[[str], float]) -> Iterator[int]:
    """The port of a server that multiplies in the V2 protocol, by a factor for the name in the header Seldon-Model."""

    class Model(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"name": "prod", "inputs": [], "outputs": []})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                (tensor,) = json.loads(body)["inputs"]
                values = [value * factor(self.headers["Seldon-Model"]) for value in tensor["data"]]
            except (ValueError, KeyError):
                self._send(400, {"error": "malformed"})
                return
            output = {"name": "output-0", "datatype": "FP64", "shape": [len(values)], "data": values}
            self._send(200, {"model_name": "prod", "outputs": [output]})

        def _send(self, status: int, document: Any) -> None:
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Seldon2World:
    """A namespace with Seldon Core 2."""

    cluster: KeptSeldon2
    options: DeploymentOptions

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        return Seldon2Service(replace(self.options, model=model, **more), self.cluster, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[f"model {version}"] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.cluster.keeps = without_effect


def seldon2_world(**settings: Any) -> Seldon2World:
    """A namespace without a deployment."""
    own = Seldon2Settings(target="seldon2", **{"storage_uri": "s3://bucket/models", **settings})
    return Seldon2World(cluster=KeptSeldon2(), options=replace(_options("seldon", {}), settings=own))


INFERENCE_PLATFORMS: Mapping[str, Callable[[], World]] = {
    "kserve": kserve_world,
    "seldon": seldon_world,
    "seldon2": seldon2_world,
}
