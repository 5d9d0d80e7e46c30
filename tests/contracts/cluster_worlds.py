"""Namespaces of a real API server, in which controllers of platforms are scripted and no kubelet runs."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, Self, cast

from mlflow_uv.core.deploy.manifests import manager_of
from mlflow_uv.core.deploy.settings import InferenceSettings, KubernetesSettings, Seldon2Settings
from mlflow_uv.ops.deploy.kserve import KServeService
from mlflow_uv.ops.deploy.kubernetes import KubernetesService
from mlflow_uv.ops.deploy.seldon import SeldonService
from mlflow_uv.ops.deploy.seldon2 import Seldon2Service
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget
from mlflow_uv.tools.kubernetes.kubectl import Kubectl
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.unit.ops.deploy.inference_platforms import KeptKServe, v2_server
from tests.unit.ops.deploy.worlds import PROXY_IMAGE, digest_of, multiplying

from .api_server import ApiServer, Refused

TARGETS: Mapping[str, Any] = {
    "kubernetes": KubernetesService, "kserve": KServeService, "seldon": SeldonService, "seldon2": Seldon2Service,
}  # fmt: skip
MODELS = "mlops.seldon.io/v1alpha1"
FILES = "s3://bucket/"  # and the version, where a platform runs files
CHANGED_MEANWHILE = 409
SLOT, NAME = "mlflow-uv.deployment-part", "mlflow-uv.deployment"


class ScriptedControllers:
    """Writes the status of Deployments, InferenceServices and SeldonDeployments of a namespace; `faults` by image."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.faults: dict[str, str] = {}
        self.kserve = KeptKServe()
        self.kserve.faults = self.faults
        self._over = Event()
        self._thread = Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(0.2):
            try:
                self._round()
            except Refused as error:
                if error.code != CHANGED_MEANWHILE:  # the next round sees that
                    raise

    def _round(self) -> None:
        for found in self._all("apps/v1", "deployments"):
            self._deployment(found)
        for found in self._all("serving.kserve.io/v1beta1", "inferenceservices"):
            self._inference_service(found)
        self._pods(self._all("machinelearning.seldon.io/v1", "seldondeployments"))

        for kind in ("models", "experiments"):
            for found in self._all(MODELS, kind):
                self._model(kind, found)

    def _model(self, kind: str, found: dict[str, Any]) -> None:
        """Seldon Core 2 finds a Model or an Experiment ready, in the generation that it sees."""
        name, generation = found["metadata"]["name"], found["metadata"]["generation"]
        if (found.get("status") or {}).get("observedGeneration") != generation:
            ready = "False" if self.faults.get(found["spec"].get("storageUri")) == "silent" else "True"
            status = {"observedGeneration": generation, "conditions": [{"type": "Ready", "status": ready}]}
            self.server.ask("PATCH", self._place(MODELS, kind, f"{name}/status"), {"status": status})

    def _place(self, version: str, kind: str, name: str = "") -> str:
        return f"/apis/{version}/namespaces/{self.namespace}/{kind}{f'/{name}' if name else ''}"

    def _all(self, version: str, kind: str) -> list[dict[str, Any]]:
        return list((self.server.ask("GET", self._place(version, kind)) or {}).get("items", ()))

    def _deployment(self, found: dict[str, Any]) -> None:
        name, generation, count = found["metadata"]["name"], found["metadata"]["generation"], found["spec"]["replicas"]
        if (found.get("status") or {}).get("observedGeneration") == generation:
            return
        fault = self.faults.get(found["spec"]["template"]["spec"]["containers"][0]["image"])
        status = {"observedGeneration": generation, "replicas": count, "updatedReplicas": count}
        status |= {"availableReplicas": 0 if fault == "silent" else count, "readyReplicas": count}
        self.server.ask("PATCH", self._place("apps/v1", "deployments", f"{name}/status"), {"status": status})

    def _inference_service(self, found: dict[str, Any]) -> None:
        name, status = found["metadata"]["name"], found.get("status") or {}
        after = self.kserve.controlled(found, dict(status))
        if after != status:
            place = self._place("serving.kserve.io/v1beta1", "inferenceservices", f"{name}/status")
            self.server.ask("PATCH", place, {"status": after})

    def _pods(self, deployments: list[dict[str, Any]]) -> None:
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        wanted = {
            f"{found['metadata']['name']}-{item['name']}-{number}": item
            for found in deployments
            for item in found["spec"]["predictors"]
            for number in range(item["replicas"])
        }
        there = {pod["metadata"]["name"] for pod in self.server.ask("GET", pods)["items"]}
        for name in there - wanted.keys():
            self.server.ask("DELETE", f"{pods}/{name}", {"gracePeriodSeconds": 0})
        for name in wanted.keys() - there:
            item = wanted[name]
            container = item["componentSpecs"][0]["spec"]["containers"][0]
            pod = {"metadata": {"name": name, "labels": item["labels"]},
                   "spec": {"containers": [{"name": "model", "image": container["image"]}]}}  # fmt: skip
            self.server.ask("POST", pods, pod)
            ready = "False" if self.faults.get(container["image"]) == "silent" else "True"
            status = {"conditions": [{"type": "Ready", "status": ready}]}
            self.server.ask("PATCH", f"{pods}/{name}/status", {"status": status}, patch="strategic-merge")


class KubectlWithoutPods(Kubectl):
    """Kubectl, whose forwarded ports lead to servers of this process that answer as the image would."""

    def __init__(self, controllers: ScriptedControllers, variables: Mapping[str, str], model: str) -> None:
        super().__init__(
            SystemRunner(), variables=variables, namespace=controllers.namespace, manager=manager_of(model)
        )
        self._controllers = controllers

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """See Cluster; the release of the server has disruption budgets in an older version alone."""
        older = {"policy/v1": "policy/v1beta1"}
        super().apply([{**one, "apiVersion": older.get(one["apiVersion"], one["apiVersion"])} for one in objects])

    @contextmanager
    def forwarded(self, place: str, port: int) -> Iterator[int]:
        """See Cluster."""
        del port
        kind, _, name = place.partition("/")
        if name == "seldon-mesh":
            with v2_server(self._factor) as number:
                yield number
            return
        image = self._controllers.kserve.revisions_of.get(name.removesuffix("-deployment"))
        if image is None and kind == "service":
            (service,) = [found for found in self.find("services", NAME) if found["metadata"]["name"] == name]
            kind, name = "deployment", f"{name}-{service['spec']['selector'][SLOT]}"
        if image is None:
            (found,) = [item for item in self.find(f"{kind}s", NAME) if item["metadata"]["name"] == name]
            image = found["spec"].get("template", found)["spec"]["containers"][0]["image"]
        with multiplying(3 if self._controllers.faults.get(image) == "wrong" else 2) as number:
            yield number

    def _factor(self, name: str) -> float:
        """With what the Model multiplies to which the mesh leads a request with this header."""
        if name.endswith(".experiment"):
            (experiment,) = self.find(f"experiments.{MODELS.partition('/')[0]}", NAME)
            name = max(experiment["spec"]["candidates"], key=lambda candidate: candidate["weight"])["name"]
        found = self.find(f"models.{MODELS.partition('/')[0]}", NAME)
        (files,) = [model["spec"]["storageUri"] for model in found if model["metadata"]["name"] == name]
        return 3.0 if self._controllers.faults.get(files) == "wrong" else 2.0


class RealWorld:
    """A namespace of the server with a kind of target; a new run opens a target, which knows what is in the server."""

    def __init__(self, kind: str, controllers: ScriptedControllers, kubectl: Path) -> None:
        self.kind = kind
        self.controllers = controllers
        self.kubectl = kubectl

    def target(
        self, token: str | None = None, *, model: str = "wine", deadline_s: float = 20, **more: Any
    ) -> DeploymentTarget:
        """A target as a new run for a model opens it, with the login of the administrator, or with another one."""
        server, namespace = self.controllers.server, self.controllers.namespace
        shape: Any = KubernetesSettings if self.kind == "kubernetes" else InferenceSettings
        if self.kind == "seldon2":
            shape = partial(Seldon2Settings, storage_uri=f"{FILES}{{version}}")
        options = DeploymentOptions(
            name="prod",
            settings=shape(target=self.kind, namespace=namespace, replicas=1),
            is_preview=False,
            proxy_image=PROXY_IMAGE,
            deadline_s=deadline_s,
            answer_s=60,
            model=model,
            **more,
        )
        cluster = KubectlWithoutPods(self.controllers, server.variables(token or server.admin, self.kubectl), model)
        tools = SimpleNamespace(clock=SystemClock(), console=KeptConsole(), web=Web({}))
        opened: DeploymentTarget = TARGETS[self.kind](options, cluster, cast("Tools", tools))
        return opened

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.controllers.faults |= {digest_of(version): fault, f"{FILES}{version}": fault}

    def typed(self, *argv: str, stdin: str = "") -> str:
        """What somebody does by hand with kubectl."""
        server = self.controllers.server
        done = subprocess.run(
            (self.kubectl, "--namespace", self.controllers.namespace, *argv),
            env=server.variables(server.admin, self.kubectl), input=stdin, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout
