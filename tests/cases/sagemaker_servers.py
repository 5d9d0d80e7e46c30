"""Starts containers as SageMaker does: the image by its digest from a registry with a password, `serve`, port 8080."""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_uv.core.image.dockerfile import PORT
from tests.registries import PASSWORD, USER, digest_in
from tests.waiting import happens

from .containers import Container, docker


@dataclass
class ContainerServers:
    """The containers of the models of an account, by their images; `folder` gets the login of the engine's client."""

    folder: Path
    started: dict[str, Container] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)

    def healthy(self, image: str, variables: dict[str, str]) -> bool:
        """Whether a container of an image answers `/ping`; it stays if it does."""
        if image not in self.started:
            self._pull(image)
            container = Container(f"mlflow-uv-test-{secrets.token_hex(6)}")
            words = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
            docker(
                "run", "--detach", "--name", container.name, "--publish", f"127.0.0.1::{PORT}", *words, image, "serve"
            )
            self.started[image], self.variables[image] = container, variables
        container = self.started[image]
        return happens(lambda: _ended_or_answers(container)) and bool(container.state["Running"])

    def invoke(self, image: str, body: bytes, content_type: str, fault: str) -> tuple[int, bytes]:
        """The answer of a container to a request of a client; one that does not run yet, as for a job, is started."""
        del fault
        if not self.healthy(image, {}):
            return 500, b"the container ended"
        status, _, answer = self.started[image].ask_bytes(body, {"Content-Type": content_type})
        return status, answer

    def _pull(self, image: str) -> None:
        host, _, _ = image.partition("/")
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (self.folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))
        environment = {**os.environ, "DOCKER_CONFIG": str(self.folder)}
        subprocess.run(("docker", "pull", "--quiet", image), env=environment, capture_output=True, check=True)

    def end(self) -> None:
        """Remove the containers, and the images that were pulled."""
        for image, container in self.started.items():
            docker("rm", "--force", "--volumes", container.name)
            docker("image", "rm", "--force", "--no-prune", image)


def _ended_or_answers(container: Container) -> bool:
    try:
        return not container.state["Running"] or container.answers()
    except AssertionError:  # it ended meanwhile
        return not container.state["Running"]


@contextmanager
def container_servers(folder: Path) -> Iterator[ContainerServers]:
    """Servers that are removed at the end."""
    servers = ContainerServers(folder)
    try:
        yield servers
    finally:
        servers.end()


def pushed(host: str, image: str, version: str, *changes: str) -> str:
    """Push an image, with changes in the words of a Dockerfile, and return its name by the digest."""
    name = f"{host}/wine:{version}"
    made = docker("create", image).strip()
    try:
        words = [word for change in changes for word in ("--change", change)]
        docker("commit", *words, made, name)
    finally:
        docker("rm", made)
    docker("push", "--quiet", name)
    docker("image", "rm", "--no-prune", name)  # the image of which it is made has no name
    _, digest = digest_in(host, "wine", version)
    return f"{host}/wine@{digest}"
