"""What does the container engine have, build and run?"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..core.dockerfile import PORT
from ..core.environment import for_engine
from ..errors import BaseImageMissing, NoEngine, ToolFailed, ToolMissing
from .process import Command, Completed, Runner

PULL_S = 600.0
OURS = "mlflow-uv.smoke-test"  # label of every container we start


class Served(Protocol):
    """A model server that was started, whatever it runs in."""

    @property
    def url(self) -> str:
        """Its address on loopback."""

    def code(self) -> int | None:
        """The exit code, None while it runs."""

    def log(self) -> str:
        """What it printed so far."""

    def stop(self) -> None:
        """End and remove it; safe to call twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image as the engine knows it; `size` in bytes."""

    id: str
    labels: Mapping[str, str]
    size: int
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """A build context with its Dockerfile, the name and labels of the result, and the secret files it may read."""

    context: Path
    tag: str
    labels: Mapping[str, str]
    secrets: Mapping[str, Path]


class Docker:
    """The engine that `docker` reaches."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], hear: Callable[[str], None]) -> None:
        self._runner = runner
        self._variables = {**for_engine(variables).variables, "DOCKER_BUILDKIT": "1"}
        self._hear = hear

    def engine(self) -> str:
        """The engine's version. Raises NoEngine with the reason."""
        try:
            done = self._ask("version", "--format", "{{.Server.Version}}", timeout_s=20)
        except (ToolMissing, ToolFailed) as error:
            raise NoEngine(what="no container engine", why=str(error), fix="install and start Docker") from error
        if done.code != 0:
            raise NoEngine(what="no container engine answers", why=done.last_line, fix="start Docker")
        return done.stdout.strip()

    def image(self, name: str) -> Image | None:
        """An image by tag or id, None where the engine has none."""
        done = self._ask("image", "inspect", "--", name, verbatim=True)
        if done.code != 0:
            return None
        (found,) = json.loads(done.stdout)
        return Image(
            id=found["Id"],
            labels=found["Config"].get("Labels") or {},
            size=found["Size"],
            digest=next(iter(found.get("RepoDigests") or ()), found["Id"]).rpartition("@")[2],
        )

    def fetch(self, base: str) -> Image:
        """A base image, pulled where it is not here. Raises BaseImageMissing that names it."""
        if found := self.image(base):
            return found
        done = self._ask("pull", "--quiet", "--", base, timeout_s=PULL_S, hear=self._hear)
        found = self.image(base)
        if found is None:
            raise BaseImageMissing(
                what=f"the base image `{base}` is not here and cannot be pulled",
                why=done.last_line,
                fix=f"docker pull {base}, or --base-image NAME",
            )
        return found

    def build(self, build: Build) -> Image:
        """Build with BuildKit. Raises ToolFailed with the step that failed."""
        # By its id: somebody else may build another image of this name at the same time.
        written = build.context.parent / "image-id"
        argv = ["build", "--progress=plain", "--tag", build.tag, "--iidfile", str(written)]
        for name, value in sorted(build.labels.items()):
            argv += ["--label", f"{name}={value}"]
        for name, path in build.secrets.items():
            argv += ["--secret", f"id={name},src={path}"]
        done = self._ask(*argv, "--", str(build.context), hear=self._hear)
        if done.code != 0:
            raise ToolFailed(what="the image cannot be built", why=_build_error(done), fix="see the log above")
        found = self.image(written.read_text().strip())
        if found is None:
            raise ToolFailed(what=f"`{build.tag}` was built but is not there", why="the builder did not load it")
        return found

    def ask_inside(self, image: str, *argv: str) -> str:
        """Run a program of an image without network and return its standard output. Raises ToolFailed."""
        done = self._ask(
            "run", "--rm", "--network=none", "--read-only", f"--entrypoint={argv[0]}", image, *argv[1:], verbatim=True
        )
        if done.code != 0:
            raise ToolFailed(what=f"`{argv[0]}` fails inside the image", why=done.last_line)
        return done.stdout

    def serve(self, image: str) -> "Container":
        """Start a container of an image on a free port of loopback, with few rights. Raises ToolFailed."""
        name = f"mlflow-uv-{secrets.token_hex(6)}"
        container = Container(self, name)
        try:
            done = self._ask(
                "run", "--detach", "--name", name, "--label", OURS, "--publish", f"127.0.0.1::{PORT}",
                "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",  # noqa: S108  # a container's own
                "--security-opt", "no-new-privileges", image,
            )  # fmt: skip
            if done.code != 0:
                raise ToolFailed(what="the container cannot be started", why=done.last_line)
            return container
        except BaseException:
            container.stop()
            raise

    def container(self, *argv: str) -> Completed:
        """For Container: one question about it."""
        return self._ask(*argv)

    def _ask(
        self,
        *argv: str,
        timeout_s: float | None = None,
        hear: Callable[[str], None] | None = None,
        verbatim: bool = False,
    ) -> Completed:
        command = Command(
            argv=("docker", *argv),
            folder=Path("/"),
            variables=self._variables,
            timeout_s=timeout_s,
            hear=hear,
            verbatim=verbatim,
        )
        return self._runner.run(command)


class Container:
    """A container we started; see Served."""

    def __init__(self, docker: Docker, name: str) -> None:
        self._docker = docker
        self._name = name
        self._final: str | None = None

    @property
    def url(self) -> str:
        """See Served."""
        done = self._docker.container("port", self._name, str(PORT))
        found = re.search(r"127\.0\.0\.1:(\d+)", done.stdout)
        return f"http://127.0.0.1:{found[1] if found else 0}"

    def code(self) -> int | None:
        """See Served."""
        done = self._docker.container("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", self._name)
        running, _, code = done.stdout.strip().partition(" ")
        return None if running == "true" else int(code or 1)

    def log(self) -> str:
        """See Served."""
        if self._final is not None:
            return self._final
        done = self._docker.container("logs", self._name)
        return done.stdout + done.stderr

    def stop(self) -> None:
        """See Served."""
        if self._final is None:
            self._final = self.log()
            self._docker.container("rm", "--force", "--volumes", self._name)


def _build_error(done: Completed) -> str:
    lines = [line for line in done.stderr.splitlines() if re.search(r"(?i)\berror\b", line)]
    return (lines or [done.last_line])[-1].strip()
