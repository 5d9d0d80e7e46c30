"""Namespaces of clusters with KServe and Seldon Core, whose controllers are scripted."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mlflow_uv.core.deploy.settings import InferenceSettings
from mlflow_uv.ops.deploy.kserve import KServeService
from mlflow_uv.ops.deploy.seldon import SeldonService
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

    def target(self, model: str = "wine") -> DeploymentTarget:
        """See World."""
        return KServeService(replace(self.options, model=model), self.cluster, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[digest_of(version)] = fault


@dataclass
class SeldonWorld:
    """A namespace with Seldon Core."""

    cluster: KeptSeldon
    options: DeploymentOptions

    def target(self, model: str = "wine") -> DeploymentTarget:
        """See World."""
        return SeldonService(replace(self.options, model=model), self.cluster, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[digest_of(version)] = fault


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


INFERENCE_PLATFORMS: Mapping[str, Callable[[], World]] = {"kserve": kserve_world, "seldon": seldon_world}
