"""
Contract: deployments to Kubernetes, KServe and Seldon Core in a real API server, by a real kubectl.

No kubelet and no controller runs: the status of what was applied is written by a script, and a port that is forwarded
leads to a server of this process. What the server validates, merges, owns, refuses and waits for is real.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest

from mlflow_uv.command.errors import ChainBroken, NotServing, PlanOutdated, ToolFailed
from mlflow_uv.core.deploy.manifests import manager_of
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.deploy.settings import InferenceSettings, KubernetesSettings
from mlflow_uv.ops.deploy.kserve import KServeService
from mlflow_uv.ops.deploy.kubernetes import KubernetesService
from mlflow_uv.ops.deploy.seldon import SeldonService
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget, TrafficSplit
from mlflow_uv.tools.kubernetes.kubectl import Kubectl
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.unit.ops.deploy.inference_platforms import KeptKServe
from tests.unit.ops.deploy.test_target import begin
from tests.unit.ops.deploy.worlds import EXPECTED, PROXY_IMAGE, digest_of, multiplying, wanted_version

from .api_server import ApiServer, Refused, api_server, kubectl_program

pytestmark = pytest.mark.extended
TARGETS: Mapping[str, Any] = {"kubernetes": KubernetesService, "kserve": KServeService, "seldon": SeldonService}
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
        image = self._controllers.kserve.revisions_of.get(name.removesuffix("-deployment"))
        if image is None and kind == "service":
            (service,) = [found for found in self.find("services", NAME) if found["metadata"]["name"] == name]
            kind, name = "deployment", f"{name}-{service['spec']['selector'][SLOT]}"
        if image is None:
            (found,) = [item for item in self.find(f"{kind}s", NAME) if item["metadata"]["name"] == name]
            image = found["spec"].get("template", found)["spec"]["containers"][0]["image"]
        with multiplying(3 if self._controllers.faults.get(image) == "wrong" else 2) as number:
            yield number


class RealWorld:
    """A namespace of the server with a kind of target; a new run opens a target, which knows what is in the server."""

    def __init__(self, kind: str, controllers: ScriptedControllers, kubectl: Path) -> None:
        self.kind = kind
        self.controllers = controllers
        self.kubectl = kubectl

    def target(self, token: str | None = None, *, model: str = "wine") -> DeploymentTarget:
        """A target as a new run for a model opens it, with the login of the administrator, or with another one."""
        server, namespace = self.controllers.server, self.controllers.namespace
        shape = KubernetesSettings if self.kind == "kubernetes" else InferenceSettings
        options = DeploymentOptions(
            name="prod",
            settings=shape(target=self.kind, namespace=namespace, replicas=1),
            is_preview=False,
            proxy_image=PROXY_IMAGE,
            deadline_s=20,
            answer_s=60,
            model=model,
        )
        cluster = KubectlWithoutPods(self.controllers, server.variables(token or server.admin, self.kubectl), model)
        tools = SimpleNamespace(clock=SystemClock(), console=KeptConsole(), web=Web({}))
        opened: DeploymentTarget = TARGETS[self.kind](options, cluster, cast("Tools", tools))
        return opened

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.controllers.faults[digest_of(version)] = fault

    def typed(self, *argv: str, stdin: str = "") -> str:
        """What somebody does by hand with kubectl."""
        server = self.controllers.server
        done = subprocess.run(
            (self.kubectl, "--namespace", self.controllers.namespace, *argv),
            env=server.variables(server.admin, self.kubectl), input=stdin, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    return kubectl_program(tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="module")
def server(kubernetes_programs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The server, started once."""
    with api_server(tmp_path_factory.mktemp("server"), *kubernetes_programs) as found:
        yield found


@pytest.fixture(params=TARGETS)
def world(request: pytest.FixtureRequest, server: ApiServer, kubectl: Path) -> Iterator[RealWorld]:
    """A namespace of its own for a kind of target."""
    namespace = f"n{abs(hash(request.node.name)) % 10**9}"
    server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    with ScriptedControllers(server, namespace) as controllers:
        yield RealWorld(request.param, controllers, kubectl)


def runs(world: RealWorld) -> tuple[str | None, str | None, tuple[str, ...]]:
    """What a new run sees: version, state, and what was left."""
    deployed = world.target().observe()
    return deployed.version, deployed.facts.get("state"), deployed.leftovers


def test_a_version_is_created_changed_and_removed(world: RealWorld) -> None:
    """
    A second run of the same version changes nothing, although the server added fields of its own.
    """
    begin(world.target(), wanted_version("1")).settle()
    first, again = runs(world), world.target().plan(wanted_version("1"))
    target = world.target()
    planned = [change.part for change in target.plan(wanted_version("2"))]
    begin(target, wanted_version("2")).settle()
    second = runs(world)
    world.target().remove()

    assert ("1", RUNNING, ()) == first
    assert ((), ["version", "image"]) == (again, planned)
    assert ("2", RUNNING, ()) == second
    assert (None, None, ()) == runs(world)


def test_a_version_that_fails_is_undone(world: RealWorld) -> None:
    """
    One that never becomes ready, and one that answers wrong while it has a part of the requests.
    """
    begin(world.target(), wanted_version("1")).settle()
    world.plant("2", "silent")
    world.plant("3", "wrong")
    silent = world.target()
    silent_options = vars(silent)
    silent_options["_options"] = replace(silent_options["_options"], deadline_s=3)
    with pytest.raises(NotServing):
        begin(silent, wanted_version("2"), up_to="wait")
    # The version before is ready again within its own deadline.
    silent_options["_options"] = replace(silent_options["_options"], deadline_s=20)
    silent.undo()
    after_silent = runs(world)

    wrong = begin(world.target(), wanted_version("3"), up_to="wait")
    if isinstance(wrong, TrafficSplit):
        wrong.share(20)
    observed = wrong.ask_new(EXPECTED)
    wrong.undo()

    assert ("1", RUNNING, ()) == after_silent == runs(world)
    assert observed is not None
    assert ["answers-differ"] == [finding.rule for finding in observed.complaints]


def test_a_run_that_was_killed_is_finished_by_the_next(world: RealWorld) -> None:
    """
    Before its traffic moved; another version replaces what it left.
    """
    begin(world.target(), wanted_version("1")).settle()
    begin(world.target(), wanted_version("2"), up_to="ask")
    during = runs(world)

    begin(world.target(), wanted_version("3")).settle()

    assert ("1", True) == (during[0], bool(during[2]))
    assert ("3", RUNNING, ()) == runs(world)


def test_a_field_of_somebody_else_is_not_overwritten(world: RealWorld) -> None:
    """
    The server names the owner; what runs is not changed by the refusal.
    """
    begin(world.target(), wanted_version("1")).settle()
    kind = {"kubernetes": "service", "kserve": "inferenceservice", "seldon": "seldondeployment"}[world.kind]
    found = json.loads(world.typed("get", kind, "prod", "--output=json"))
    of_kind: dict[str, dict[str, Any]] = {
        "service": {"selector": {SLOT: "grey"}},
        "inferenceservice": {"predictor": {"minReplicas": 3}},
        "seldondeployment": {"protocol": "seldon"},
    }
    theirs = of_kind[kind]
    manifest = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": {"name": "prod"}, "spec": theirs}
    argv = ("apply", "--server-side", "--force-conflicts", "--field-manager=somebody", "--validate=false")
    if kind == "seldondeployment":
        manifest["spec"] = {**theirs, "predictors": found["spec"]["predictors"]}
    world.typed(*argv, "--filename=-", stdin=json.dumps(manifest))

    with pytest.raises(PlanOutdated, match="somebody") as caught:
        begin(world.target(), wanted_version("2"))

    assert "conflict" in str(caught.value)


def test_a_deployment_that_another_model_made_after_the_plan_is_refused_by_the_server(world: RealWorld) -> None:
    """
    In the call that would change it: nothing was there when it was planned, and the last look is over.
    """
    cats = world.target(model="cats")
    cats.plan(wanted_version("2", model="cats"))
    begin(world.target(), wanted_version("1")).settle()
    before = world.target().observe()

    with pytest.raises(PlanOutdated, match="mlflow-uv/wine"):
        cats.apply(wanted_version("2", model="cats"))

    assert before == world.target().observe()


def test_a_login_that_may_not_deploy_changes_nothing(world: RealWorld, server: ApiServer) -> None:
    """
    The same for a token that the server does not know; the message has no token.
    """
    for token in (server.stranger, "unknown-token"):
        with pytest.raises(ToolFailed) as caught:
            world.target(token).plan(wanted_version("1"))
        assert token not in str(caught.value)
    assert (None, None, ()) == runs(world)


def test_an_image_that_something_in_the_cluster_replaces_is_refused(world: RealWorld) -> None:
    """
    As a webhook would between two requests; the record says another one.
    """
    target = world.target()
    target.plan(wanted_version("1"))
    cluster = vars(target)["_cluster"]

    class Replacing:
        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def apply(self, objects: Any) -> None:
            text = json.dumps(list(objects)).replace(digest_of("1"), digest_of("9"))
            cluster.apply(json.loads(text))

    vars(target)["_cluster"] = Replacing()
    with pytest.raises(ChainBroken):
        target.apply(wanted_version("1"))


def test_a_misspelt_field_is_refused(world: RealWorld) -> None:
    """
    So what the manifests have, the server knows.
    """
    cluster = vars(world.target())["_cluster"]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
               "spec": {"selectors": {}, "ports": [{"port": 80, "protocol": "TCP"}]}}  # fmt: skip

    with pytest.raises(ToolFailed, match="selectors"):
        cluster.apply((service,))
