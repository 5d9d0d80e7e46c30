"""Starts, calls and stops containers of one image, and reads their state from the engine."""

import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mlflow_uv.core.image.dockerfile import PORT, SERVING, VENV
from mlflow_uv.core.image.slim import slim_requirements
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.model.model_files import HASHED
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.network import build_secrets
from tests.contracts.serving_process import JSON, Answer, ask, scripted_model, wait_until
from tests.waiting import CEILING_S

from .composed_context import composed_from, load
from .images import BASE, built, image_builder_in, inspect_image, remove_image

LACKING = "mlflow==3.0\n"  # which a slim image has not, whatever a model says
# How long the engine waits before it kills what does not stop by itself: only then.
PATIENT_S = 300
SAGEMAKER = "/opt/ml/model"
SERVER = f"{VENV}/bin/python -I {SERVING}"


def docker(*words: object) -> str:
    """What the engine answers to a command that must not fail."""
    argv = ("docker", *map(str, words))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=CEILING_S)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Container:
    """A container by its name, as its engine sees it."""

    name: str

    @property
    def inspected(self) -> dict[str, Any]:
        """Everything that the engine knows of it."""
        (found,) = json.loads(docker("inspect", self.name))
        return found

    @property
    def state(self) -> dict[str, Any]:
        """Whether it runs, and how it ended."""
        return self.inspected["State"]

    @cached_property
    def port(self) -> int:
        """The port of loopback that leads to the one it serves on."""
        bound = [one for ones in self.inspected["NetworkSettings"]["Ports"].values() for one in ones or ()]
        assert bound, self.log()
        return int(bound[0]["HostPort"])

    @property
    def address(self) -> str:
        """Where it is found without the engine's proxy, which takes connections that the server has not."""
        return self.inspected["NetworkSettings"]["IPAddress"]

    def log(self) -> list[str]:
        """Every line so far, of both streams in the order in which they were written."""
        words = ("docker", "logs", self.name)
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
        return done.stdout.splitlines()

    def processes(self) -> list[str]:
        """The command line of everything that runs in it."""
        return [line.split(maxsplit=1)[1] for line in docker("top", self.name, "-o", "pid,args").splitlines()[1:]]

    def inside(self, program: str) -> str:
        """What a Python program prints that looks around in it."""
        return docker("exec", self.name, f"{VENV}/bin/python", "-I", "-S", "-c", program).strip()

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = JSON) -> Answer:
        """Status, media type and body."""
        return ask(self.port, method, path, None if body is None else json.dumps(body).encode(), headers)

    def ask_bytes(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer to a request of a client with this body."""
        return ask(self.port, "POST", "/invocations", body, headers)

    def invoke(self, row: Mapping[str, Any]) -> Answer:
        """The answer to one row."""
        return self.ask("POST", "/invocations", {"dataframe_records": [row]})

    def predictions(self, row: Mapping[str, Any]) -> list[Any]:
        """The answer to one row that is a right one."""
        status, _, body = self.invoke(row)
        assert status == 200, body
        return json.loads(body)["predictions"]

    def answers(self) -> bool:
        """Whether the server is there for clients."""
        try:
            return self.ask("GET", "/ping")[0] == 200
        except ConnectionError:
            assert self.state["Running"], self.log()
            return False

    def ready(self) -> "Container":
        """Come back when it answers."""
        wait_until(self.answers)
        return self

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing in it gets a processor; whoever connects meanwhile waits at its door."""
        docker("pause", self.name)
        try:
            yield
        finally:
            docker("unpause", self.name)

    def stop(self) -> int:
        """`docker stop`, with time to drain; with which status it ended."""
        docker("stop", "-t", PATIENT_S, self.name)
        return self.state["ExitCode"]

    def end(self) -> int:
        """Wait for an end that nobody asked for."""
        return int(docker("wait", self.name))

    def lasted(self) -> float:
        """The seconds from its last start to its end."""
        begun, ended = (datetime.fromisoformat(self.state[name]) for name in ("StartedAt", "FinishedAt"))
        return (ended - begun).total_seconds()


@dataclass(frozen=True)
class ServedImage:
    """Starts containers of one image."""

    image: str
    shared: Path

    def place(self) -> Path:
        """A new folder that every container sees under the same path, and every user may write to."""
        folder = self.shared / secrets.token_hex(4)
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    @contextmanager
    def start(
        self,
        *words: str,
        model: Path | None = None,
        at: str = SAGEMAKER,
        arguments: tuple[str, ...] = (),
        **variables: str,
    ) -> Iterator[Container]:
        """`docker run` with these words, a mounted model and these variables; it is removed at the end."""
        container = Container(f"mlflow-uv-test-{secrets.token_hex(6)}")
        flags = ["--detach", "--name", container.name, "--volume", f"{self.shared}:{self.shared}"]
        flags += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        flags += ("--volume", f"{model}:{at}") if model else ()
        port = variables.get("PORT") or variables.get("SAGEMAKER_BIND_TO_PORT") or PORT
        flags += ("--publish", f"127.0.0.1::{port}")
        try:
            docker("run", *flags, *words, self.image, *arguments)
            yield container
        finally:
            docker("rm", "--force", "--volumes", container.name)


@contextmanager
def served_image_in(
    scratch: Path,
    root: Path,
    *,
    engine: str = "docker",
    composes: bool = False,
    loading: str = "",
    predicting: str = "row.get('say') and print(row['say']) or os.getpid()",
) -> Iterator[ServedImage]:
    """
    An image with what `serving: slim` takes from the lock of examples/wine, and a scripted model.

    The engine builds it, or it is composed from wheels.
    """
    wine = read_project(root / "examples" / "wine")
    model = scripted_model(scratch / "model", loading=loading, predicting=predicting)
    (model / "requirements.txt").write_text(LACKING)
    (model / HASHED).parent.mkdir()
    (model / HASHED).write_text("")
    shared = scratch / "shared"
    shared.mkdir()
    with image_builder_in(scratch) as builder:
        requirements = slim_requirements(
            builder.tools.uv.export(wine, Selection()),
            read_lockfile((wine.folder / "uv.lock").read_bytes()),
            Selection(),
            name="wine",
            mlmodel=(model / "MLmodel").read_text(),
        )
        machines = (inspect_image(BASE, engine)["Architecture"],)
        own = {"mlflow-uv.test": secrets.token_hex(6)}  # an image of the same content is another one's to remove
        context = builder.context(
            "context", model, requirements=requirements.hashed_text, machines=machines, labels=own
        )
        if composes:
            lines: dict[str, tuple[str, ...]] = {}
            for pin in requirements.pins:
                lines[pin.name] = (*lines.get(pin.name, ()), pin.hashed_line)
            composed = composed_from(builder, context, model, scratch / "composed", lines, engine=engine, labels=own)
            try:
                yield ServedImage(load(composed, scratch, engine), shared)
            finally:
                remove_image(composed.image.id, engine)
            return
        network = build_secrets(scratch, builder.tools.host.variables, {})
        words = [word for name, path in network.items() for word in ("--secret", f"id={name},src={path}")]
        with built(context, *words, engine=engine) as image:
            yield ServedImage(image, shared)
