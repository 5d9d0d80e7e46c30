"""Targets of deployments over machines of our own, for the tests that are the same for every target."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, Protocol, cast

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.deploy.settings import HostSettings, KubernetesSettings
from mlflow_uv.core.image.labels import MODEL as MODEL_LABEL
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin
from mlflow_uv.core.release.record import ImageLink, Record
from mlflow_uv.core.security.serve_env import NO_VARIABLES, ServeVariables
from mlflow_uv.ops.deploy.host_service import HostService
from mlflow_uv.ops.deploy.kubernetes import KubernetesService
from mlflow_uv.ops.deploy.rollout import RolloutPlan
from mlflow_uv.ops.deploy.settings import DeploymentName
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget, WantedVersion
from mlflow_uv.ops.image.serving_check import Expected
from mlflow_uv.tools.engines.build_errors import NotPulled
from mlflow_uv.tools.engines.containers import Container
from mlflow_uv.tools.engines.deployed import ContainerSpec, DeployedContainer, DeployedContainers
from mlflow_uv.tools.engines.engine import BuiltImage
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole

PROXY_IMAGE = "haproxy:2.6"
EXPECTED = Expected(
    requests=(
        RecordedRequest(
            name="example 1", origin=RequestOrigin.EXAMPLE, body='{"inputs": [1]}', answer={"predictions": [2]}
        ),
    ),
    tolerance=1e-6,
    deadline_s=0.05,
    network=True,
)


class QuickClock:
    """A clock whose waiting passes at once."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now_s(self) -> float:
        """See Clock."""
        return time.monotonic() + self._ahead

    def date_s(self) -> float:
        """See Clock."""
        return time.time() + self._ahead

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self._ahead += seconds


def tools_of_tests() -> Tools:
    """What a target needs of the tools."""
    return cast("Tools", SimpleNamespace(clock=QuickClock(), console=KeptConsole(), web=Web({})))


def raising(error: BaseException, *, at: int = 1) -> Callable[[], None]:
    """A check of a run that raises when it is called for the given time."""
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == at:
            raise error

    return check


def digest_of(version: str) -> str:
    """The id of the image of a version."""
    return f"sha256:{version.rjust(64, '0')}"


def wanted_version(version: str, *, model: str = "wine", registered: str = "") -> WantedVersion:
    """A released version with an image of its own."""
    digest = digest_of(version)
    image = ImageLink(kind="image", id=digest, tag=f"wine:{version}", base="b", base_digest="d", digest=digest)
    link = SimpleNamespace(sha256=f"model {version}", model_id=f"m-{version}", run_id="r")
    record = SimpleNamespace(image=image, model=link)
    return WantedVersion(
        model=model,
        version=version,
        record=cast("Record", record),
        address=digest_of(version),
        serve_env=NO_VARIABLES,
        registered=registered,
    )


class World(Protocol):
    """Where a kind of target deploys to; what was done in it stays when a run ends."""

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """A target as a new run opens it, for a version of a model; `more` are other options of the deployment."""

    def plant(self, version: str, fault: str) -> None:
        """Let a version be wrong: `wrong`, `silent`, `ends`, or `swapped`, an image that is not the recorded one."""

    def accept_deletions(self, *, without_effect: bool) -> None:
        """Accept what is to be deleted, and keep it or not."""


@dataclass
class HostWorld:
    """A host whose containers are kept in memory."""

    containers: "KeptContainers"
    options: DeploymentOptions

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        return HostService(replace(self.options, model=model, **more), self.containers, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.containers.faults[digest_of(version)] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.containers.keeps = without_effect


def host_world(*, is_preview: bool = False, **settings: Any) -> HostWorld:
    """A host without a deployment."""
    options = DeploymentOptions(
        name="prod",
        settings=HostSettings(target="compose", **settings),
        is_preview=is_preview,
        proxy_image=PROXY_IMAGE,
        deadline_s=5,
        answer_s=60,
    )
    return HostWorld(containers=KeptContainers("prod"), options=options)


@dataclass
class ClusterWorld:
    """A namespace whose objects are kept in memory."""

    cluster: "KeptCluster"
    options: DeploymentOptions

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        return KubernetesService(replace(self.options, model=model, **more), self.cluster, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[digest_of(version)] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.cluster.keeps = without_effect


def cluster_world(**settings: Any) -> ClusterWorld:
    """A namespace without a deployment."""
    options = DeploymentOptions(
        name="prod",
        settings=KubernetesSettings(target="kubernetes", **settings),
        is_preview=False,
        proxy_image=PROXY_IMAGE,
        deadline_s=5,
        answer_s=60,
    )
    return ClusterWorld(cluster=KeptCluster(), options=options)


WORLDS: Mapping[str, Callable[[], World]] = {"host": host_world, "kubernetes": cluster_world}


@dataclass
class _KeptContainer:
    described: DeployedContainer
    workers: int = 1


class KeptContainers(DeployedContainers):
    """The containers of a deployment in memory; every image is there, and `faults` are by its id."""

    engine = "docker"
    title = "memory"

    def __init__(self, deployment: str) -> None:
        super().__init__(cast("Any", None), deployment)
        self.kept: dict[str, _KeptContainer] = {}
        self.faults: dict[str, str] = {}
        self.missing: set[str] = set()
        self.keeps = False
        self.stopped: list[tuple[str, int]] = []
        self.created = 0
        self.settings: list[Mapping[str, str]] = []
        self.signals: list[str] = []
        self.volume: dict[str, str] = {}  # its files stay when a container is removed
        self.kept_networks: tuple[str, ...] = ()
        self.served: list[str] = []  # what the proxy logs of requests: the container, the status, milliseconds

    @contextmanager
    def _alone(self, image: str) -> Iterator[None]:
        """See DeployedContainers; nothing else is created meanwhile."""
        del image
        yield

    def _created(self, spec: ContainerSpec) -> str:
        """See DeployedContainers."""
        name = f"{self.project}-{spec.part}"
        if name in self.kept:
            raise ToolFailed(what=f"the container `{name}` cannot be created", why="the name is already in use")
        published = spec.publish.replace("::", ":49999:").removesuffix(":8080")
        self.created += 1
        self.settings.append(spec.settings)
        described = DeployedContainer(
            id=f"id {self.created}",
            run=spec.run,
            name=name,
            part=spec.part,
            image=digest_of("9") if self.faults.get(spec.image) == "swapped" else spec.image,
            running=False,
            exit_code=0,
            facts=spec.facts,
            published=published,
            memory_mib=spec.memory_mib,
            cpus=spec.cpus,
            variables=spec.serve_env,
        )
        self.kept[name] = _KeptContainer(described)
        return name

    def image(self, name: str) -> BuiltImage:
        """See DeployedContainers."""
        if name in self.missing:
            raise NotPulled(what=f"docker cannot pull `{name}`", why="manifest unknown")
        number = name.removeprefix("sha256:").lstrip("0")
        return BuiltImage(id=name, labels={MODEL_LABEL: f"model {number}"}, size=1, digest=name)

    def all(self) -> tuple[DeployedContainer, ...]:
        """See DeployedContainers."""
        return tuple(kept.described for kept in self.kept.values())

    def start(self, name: str) -> None:
        """See DeployedContainers."""
        kept = self.kept[name]
        if not kept.described.startable:
            raise ToolFailed(what=f"`{name}` cannot be started", why="container state improper")
        ends = self.faults.get(kept.described.image) == "ends"
        kept.described = replace(kept.described, running=not ends, exit_code=3 if ends else 0)

    def server(self, name: str, serve_env: ServeVariables) -> Container:  # as in the engine's
        """See DeployedContainers."""
        return cast("Container", _Server(self.faults.get(self.kept[name].described.image, "")))

    def log(self, name: str) -> str:
        """See DeployedContainers."""
        return f"log of {name}\n"

    def lines(self, name: str, marker: str) -> tuple[str, ...]:
        """See DeployedContainers; requests that were served before the marker are in it, too."""
        return tuple(f"{marker}{line}" for line in self.served) if name in self.kept else ()

    def write(self, name: str, path: str, text: str) -> None:
        """See DeployedContainers."""
        if not self.kept[name].described.startable:
            raise ToolFailed(what=f"`{path}` cannot be written in `{name}`")
        self.volume[path] = text

    def read(self, name: str, path: str) -> str | None:
        """See DeployedContainers."""
        return self.volume.get(path) if self.kept[name].described.startable else None

    def check(self, name: str, *argv: str) -> None:
        """See DeployedContainers."""
        if self.faults.get(name) == "check":
            raise ToolFailed(what=f"`{argv[0]}` fails in `{name}`")

    def signal(self, name: str, number: str) -> None:
        """See DeployedContainers; the proxy starts a worker, and the old one has no request left."""
        self.signals.append(number)
        if self.faults.get(name) != "deaf":
            self.kept[name].workers += 1

    def processes(self, name: str) -> frozenset[str]:
        """See DeployedContainers."""
        kept = self.kept[name]
        return frozenset({"1", str(kept.workers + 1)}) if kept.described.running else frozenset()

    def stop(self, container: DeployedContainer, grace_s: int) -> None:
        """See DeployedContainers."""
        self.stopped.append((container.name, grace_s))
        if self.keeps:
            return
        self.kept = {name: kept for name, kept in self.kept.items() if kept.described.id != container.id}

    def remove(self) -> None:
        """See DeployedContainers."""
        assert not self.kept
        assert not self.keeps
        self.kept_networks = ()
        self.volume.clear()

    def remnants(self) -> tuple[str, ...]:
        """See DeployedContainers."""
        return self.kept_networks


class _Server:
    """A model server that doubles, or does not."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        if self._fault in ("silent", "ends"):
            return None
        if request.path == "/ping":
            return ModelReply(status=200, body="")
        try:
            value = json.loads(request.body or b"")["inputs"][0]
        except ValueError:
            return ModelReply(status=400, body="malformed")
        return ModelReply(status=200, body=json.dumps({"predictions": [value * (3 if self._fault == "wrong" else 2)]}))

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See ServingContainer."""
        return tuple(map(self.send, requests))

    def code(self) -> int | None:
        """See ServingContainer."""
        return 3 if self._fault == "ends" else None

    def log(self) -> str:
        """See ServingContainer."""
        return "loading"


class KeptCluster:
    """The objects of a namespace in memory, whose pods are ready at once; `faults` are by the image."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.faults: dict[str, str] = {}
        self.applied: list[str] = []
        self.keeps = False  # whether objects that are deleted wait for a finalizer
        self.revisions: dict[str, str] = {}

    def find(self, kinds: str, label: str) -> tuple[Mapping[str, Any], ...]:
        """See Cluster."""
        names = {kind.rstrip("s") for kind in kinds.split(",")}
        if "pod" in names:
            return tuple(pod for found in self._labelled({"deployment"}, label) for pod in self._pods(found))
        return tuple(self._labelled(names, label))

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """See Cluster; what a server would add is added."""
        for applied in objects:
            found = json.loads(json.dumps(applied))
            self.applied.append(f"{found['kind']}/{found['metadata']['name']}")
            self.objects[found["kind"].lower(), found["metadata"]["name"]] = found
            if found["kind"] != "Deployment":
                continue
            container = found["spec"]["template"]["spec"]["containers"][0]
            fault, count = self.faults.get(container["image"], ""), found["spec"].get("replicas", 2)
            if fault == "swapped":
                container["image"] = digest_of("9")
            ready = 0 if fault in ("silent", "ends") else count
            found["metadata"]["generation"] = 1
            found["status"] = {"observedGeneration": 1, "updatedReplicas": count, "availableReplicas": ready}

    def revision(self, kind: str, name: str) -> str:
        """See Cluster; nobody may read a Secret unless `revisions` says so."""
        return self.revisions.get(f"{kind}/{name}", "")

    def delete(self, kinds: str, label: str) -> None:
        """See Cluster."""
        for found in list(self._labelled({kind.rstrip("s") for kind in kinds.split(",")}, label)):
            if self.keeps:
                found["metadata"]["finalizers"] = ["example.com/hold"]
                continue
            del self.objects[found["kind"].lower(), found["metadata"]["name"]]

    @contextmanager
    def forwarded(self, place: str, port: int) -> Iterator[int]:
        """See Cluster; the port of a server that answers as the pods would."""
        del port
        kind, _, name = place.partition("/")
        found = self.objects[kind, name]
        if kind == "service":
            slot = found["spec"]["selector"]["mlflow-uv.deployment-part"]
            found = self.objects["deployment", f"{name}-{slot}"]
        image = found["spec"]["template"]["spec"]["containers"][0]["image"]
        with multiplying(3 if self.faults.get(image) == "wrong" else 2) as number:
            yield number

    def _labelled(self, kinds: set[str], label: str) -> Iterator[dict[str, Any]]:
        wanted = dict(part.split("=") for part in label.split(","))
        for (kind, _), found in self.objects.items():
            if kind in kinds and wanted.items() <= found["metadata"]["labels"].items():
                yield found

    def _pods(self, deployment: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
        state = waiting if self.faults.get(image) == "ends" else {"running": {}}
        yield {"metadata": {"name": "pod-1"}, "status": {"containerStatuses": [{"state": state}]}}


@contextmanager
def multiplying(factor: int) -> Iterator[int]:
    """The port of a server that multiplies."""

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, text = 200, json.dumps({"predictions": [json.loads(body)["inputs"][0] * factor]}).encode()
            except ValueError:
                status, text = 400, b'{"message": "malformed"}'
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


PROD = DeploymentName(table="prod")


def rollout_plan(
    target: DeploymentTarget, wanted: WantedVersion, *, name: DeploymentName = PROD, **more: Any
) -> RolloutPlan:
    """The plan to deploy a version, with what runs now."""
    changes = target.plan(wanted)
    return RolloutPlan(name=name, target=target, wanted=wanted, before=target.observe(), changes=changes, **more)
