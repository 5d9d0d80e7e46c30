"""Deploys versions of the sample project to this machine, and asks what they run as a client does."""

import http.client
import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest

from tests.conftest import missing
from tests.ports import free_port
from tests.waiting import CEILING_S

from .consumer import CommandResult, Consumer
from .images import remove_image
from .sample_project import SampleProject, training

PROXY_IMAGE = "mlflow-uv-test-haproxy:1"
# A container of the smoke test has no network, that of a deployment has.
DEPLOYED = "in_serving() and os.path.exists('/sys/class/net/eth0')"
ON_RAY = "'mlflow-uv-ray' in __import__('sys').executable"  # where a replica makes its environment
RIGHT = "[2.0 * x for x in model_input['x']]"


def new_name() -> str:
    """A name that no other deployment of this machine has."""
    return f"t{secrets.token_hex(4)}"


def require_proxy() -> None:
    """Skip where there is neither Compose nor the image of the proxy, fail where they should be."""
    for argv, mended in (
        (("compose", "version"), ".ci/engine"),
        (("image", "inspect", PROXY_IMAGE), ".ci/proxy-image"),
    ):
        if subprocess.run(("docker", *argv), capture_output=True, check=False).returncode != 0:
            missing(f"`docker {' '.join(argv)}` fails: {mended}")


def program(version: str) -> str:
    """A training program of a model that doubles; each version has another way to do so, or to fail at it."""
    faults = {
        "wrong": training(predict=f"return [3.0 * x if {DEPLOYED} else 2.0 * x for x in model_input['x']]"),
        "ends": training(predict=f"os._exit(3) if {DEPLOYED} else None; return {RIGHT}"),
        # One request of twenty is answered wrong, whatever it asks for.
        "rare": training(
            load="self.count = 0",
            predict=f"self.count += 1; f = 3.0 if {DEPLOYED} and self.count % 20 == 0 else 2.0;"
            " return [f * x for x in model_input['x']]",
        ),
        # The requests of training are answered at once, larger ones are not.
        "slow": training(
            predict=f"slow = {DEPLOYED} and any(x > 20 for x in model_input['x']);"
            f" time.sleep(0.3 if slow else 0); return {RIGHT}"
        ),
        "silent": training(load=f"time.sleep(3600 if {DEPLOYED} else 0)"),
        "wrong-on-ray": training(predict=f"return [3.0 * x if {ON_RAY} else 2.0 * x for x in model_input['x']]"),
        "ends-on-ray": training(load=f"if {ON_RAY}: raise OSError('no such licence')"),
    }
    return faults.get(version, training(predict=f"return {RIGHT}  # {version}"))


@dataclass
class Deployment:
    """A deployment of a name and a port of its own, by one kind of target."""

    consumer: Consumer
    name: str
    target: str = "compose"
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    path: str = "/invocations"

    def declare(self, *settings: str) -> None:
        """Add it to the settings of the project."""
        lines = (
            f"\n[tool.mlflow-uv.deploy.{self.name}]",
            f'target = "{self.target}"',
            *((f"port = {self.port}",) if self.target in ("compose", "podman") else ()),
            *settings,
        )
        manifest = self.consumer.folder / "pyproject.toml"
        manifest.write_text(manifest.read_text() + "\n".join(lines) + "\n")
        self.consumer.git("commit", "--quiet", "--all", "--message", "deploy")

    def argv(self, version: str, *flags: str) -> tuple[str, ...]:
        """The words of `deploy` for a version."""
        return (f"models:/wine/{version}", "--target", self.name, "--proxy-image", PROXY_IMAGE, *flags)

    def run(self, version: str, *flags: str) -> CommandResult:
        """Deploy a version."""
        return self.consumer.run("deploy", *self.argv(version, *flags), variables=self.variables)

    def remove(self) -> None:
        """Remove it, whatever it runs; its containers are gone afterwards."""
        result = self.run("1", "--remove", "deployment")
        assert (0, []) == (result.code, self.containers()), result.stderr

    def containers(self) -> list[str]:
        """The names of its containers, whether they run or not."""
        return self._labelled("mlflow-uv.deployment")

    def creates(self) -> bool:
        """Whether a run creates a container now; killed meanwhile, it keeps others away for some minutes."""
        return bool(self._labelled("mlflow-uv.deployment-creating"))

    def _labelled(self, name: str) -> list[str]:
        program = "podman" if self.target == "podman" else "docker"
        label = f"label={name}={self.name}"
        argv = (program, "ps", "--all", "--filter", label, "--format", "{{.Names}}")
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**self.environment})
        return sorted(done.stdout.split())

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the programs that look at it."""
        return {**self.consumer.variables, **self.variables}

    def ask(self, value: float) -> float:
        """The prediction for a value."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=CEILING_S)) as connection:
            return _ask(connection, self.path, value)


def _ask(connection: http.client.HTTPConnection, path: str, value: float) -> float:
    body = json.dumps({"dataframe_records": [{"x": value}]})
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise ConnectionError(f"status {response.status}: {content[:200]!r}")
    return float(json.loads(content)["predictions"][0])


class Clients:
    """Clients that send one request after the other, half of them on one connection, until they are stopped."""

    def __init__(self, deployment: Deployment, number: int = 6) -> None:
        self._deployment = deployment
        self._over = Event()
        self.answered = 0
        self.failures: list[str] = []
        self._threads = [Thread(target=self._send, args=(keeps % 2 == 0,)) for keeps in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, keeps_connection: bool) -> None:  # an argument of a thread
        connection = http.client.HTTPConnection("127.0.0.1", self._deployment.port, timeout=CEILING_S)
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                answer = _ask(connection, self._deployment.path, float(number))
                if answer != 2.0 * number:
                    self.failures.append(f"{number}: {answer}")
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{number}: {error!r}")
                connection.close()
            if not keeps_connection:
                connection.close()
        connection.close()


def release(sample: SampleProject, version: str, image: str) -> str:
    """Release a model with one of the programs in an image of this name; return the id of the image."""
    sample.train_with(program(version))
    result = sample.run("release", "--engine", "docker", "--image", image)
    if result.code != 0:
        pytest.fail(result.stderr)
    return str(result.outputs["image-id"])


@dataclass(frozen=True, kw_only=True)
class Versions:
    """The sample project with a version of each program, by its name; all were tested in their images."""

    sample: SampleProject
    numbers: dict[str, str]
    images: dict[str, str]
    tags: dict[str, str]


@contextmanager
def released_versions(sample: SampleProject, names: tuple[str, ...], untouched: Path) -> Iterator[Versions]:
    """Every version, released once; their images are removed afterwards."""
    require_proxy()
    sample.restore()
    prefix = f"mlflow-uv-test-{secrets.token_hex(4)}"
    tags = {name: f"{prefix}-{name}:1" for name in names}
    numbers, images = {}, {}
    try:
        for name in names:
            images[name] = release(sample, name, tags[name])
            numbers[name] = sample.store.rows("SELECT MAX(version) FROM model_versions")[0][0]
        kept = SampleProject(consumer=sample.consumer, temporary=sample.temporary, untouched=untouched)
        kept.keep()
        yield Versions(sample=kept, numbers=numbers, images=images, tags=tags)
    finally:
        for tag in tags.values():
            remove_image(tag)
        sample.restore()
