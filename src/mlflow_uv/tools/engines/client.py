"""Implements what the command lines of Docker and Podman have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from ...command.errors import BaseImageMissing, NoEngine, NoSpace, ToolFailed, ToolMissing
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import Wording, option
from ...core.image.reference import digest_under
from ...core.security.child_environment import for_engine
from ...core.security.documents import parse_json
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ..system.process import Command, Completed, Conversation, Runner
from .build_errors import build_error, pull_error, pull_fix
from .containers import OURS, Container
from .engine import ANSWER_S, BARE, Build, BuiltImage, Candidate, ImageLayer, ServerSettings

PULL_S = 600.0
# Privileges that neither a model nor a base image needs are dropped; no namespace is shared with the host.
_CONFINED = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--ipc=private", "--pids-limit=4096",
    "--tmpfs=/tmp",
)  # fmt: skip
_NO_NETWORK = "--network=none"
# A version is signed only after its server was tested; an image that asks for signatures is tested without.
_UNVERIFIED = dict.fromkeys(("ATTESTATIONS", "VERIFY"), "")
_DIGEST = lazy_pattern(r"sha256:[0-9a-f]{64}")


class Client(ABC):
    """An engine with a command line client; see engine.Engine."""

    name: ClassVar[str]
    title: ClassVar[str]
    build_words: ClassVar[tuple[str, ...]]
    local_host: ClassVar[str] = ""  # of the names of images that are in no registry
    load_flags: ClassVar[tuple[str, ...]] = ()  # that load a built image into the local store
    save_flags: ClassVar[tuple[str, ...]] = ()  # that write the archive of `docker save`

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self._runner = runner
        self._variables = for_engine(variables).variables
        self._on_line = on_line
        self._architecture = ""

    @abstractmethod
    def build_platforms(self, build: Build, name: str) -> AbstractContextManager[Candidate]:
        """Build for several platforms, without a name. Raises ToolFailed, NoSpace."""

    @abstractmethod
    def push(self, name: str) -> str:
        """See Engine."""

    @abstractmethod
    def version(self) -> str:
        """See Engine."""

    @abstractmethod
    def query_architecture(self) -> str:
        """Ask the engine for the architecture of its machine. Raises NoEngine."""

    def architecture(self) -> str:
        """See Engine. The engine is asked once."""
        self._architecture = self._architecture or self.query_architecture()
        return self._architecture

    @property
    def unwind(self) -> Callable[[int], None] | None:
        """Ends a cancelled build so that the engine cleans up; None if a signal is enough."""
        return None

    def image(self, name: str) -> BuiltImage | None:
        """See Engine."""
        try:
            done = self.run("image", "inspect", "--", name, verbatim=True)
        except ToolMissing as error:
            raise NoEngine(what=f"{self.title} is not installed", why=str(error)) from error
        if done.code != 0:
            return None
        (details,) = parse_json(done.stdout)
        image_id = _as_digest(details["Id"])
        digest = digest_under(name, details.get("RepoDigests") or (), local_host=self.local_host)
        return BuiltImage(
            id=image_id,
            labels=details["Config"].get("Labels") or {},
            size=details["Size"],
            digest=digest or image_id,
            shared=bool(digest),
            tags=tuple(details.get("RepoTags") or ()),
            architecture=details.get("Architecture", ""),
            variables=frozenset(variable.partition("=")[0] for variable in details["Config"].get("Env") or ()),
            empty="RootFS" in details and not details["RootFS"].get("Layers"),
        )

    @abstractmethod
    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""

    def fetch(self, base: str) -> BuiltImage:
        """See Engine."""
        image = self.image(base)
        # A build for another platform may have left its image under this name. An image that was never in a registry
        # cannot be pulled.
        if image is not None and (not image.shared or image.architecture in {"", own := self.architecture()}):
            return image
        platform = () if image is None else ("--platform", f"linux/{own}")
        done = self.run("pull", "--quiet", *platform, "--", base, timeout_s=PULL_S, on_line=self._on_line)
        image = self.image(base)
        if image is None:
            raise base_missing(base, why=done.last_line, fix=pull_fix(self.name, base, done.stderr))
        return image

    def pull(self, name: str) -> BuiltImage:
        """See Engine."""
        done = self.run("pull", "--quiet", "--", name, timeout_s=PULL_S, on_line=self._on_line)
        if (image := self.image(name)) is None:
            raise pull_error(self.name, name, done)
        return image

    def build(self, build: Build) -> BuiltImage:
        """See Engine."""
        with TemporaryDirectory(prefix="mlflow-uv-built-") as scratch:
            # By id, because another process may build an image at the same time.
            id_file = Path(scratch) / "id"
            done = self.run_build(build, *self.load_flags, "--iidfile", str(id_file))
            if done.code != 0:
                raise build_error(done)
            return self.require_image(id_file.read_text().strip())

    def require_image(self, name: str) -> BuiltImage:
        """An image that was just built. Raises ToolFailed if the engine does not have it."""
        if image := self.image(name):
            return image
        raise ToolFailed(what="the image was built but cannot be found", why="the builder did not load it")

    def run_build(self, build: Build, *flags: str) -> Completed:
        """Run a build, with its output passed on line by line."""
        argv = [*self.build_words]
        for name, path in build.secrets.items():
            argv += ["--secret", f"id={name},src={path}"]
        if build.platforms:
            argv += ["--platform", ",".join(build.platforms)]
        if build.cache.source:
            argv += ["--cache-from", build.cache.source]
        if build.cache.target:
            argv += ["--cache-to", build.cache.target]
        command = self.command(*argv, *flags, "--", str(build.context))
        return self._runner.run(replace(command, on_line=self._on_line, unwind=self.unwind))

    @contextmanager
    def candidate(self, build: Build, name: str) -> Iterator[Candidate]:
        """See Engine."""
        with (
            self.build_platforms(build, name)
            if len(build.platforms) > 1
            else self.build_platform(build, name) as candidate
        ):
            try:
                yield candidate
            except BaseException:
                self.untag(candidate.image.id)
                raise

    @contextmanager
    def build_platform(self, build: Build, name: str) -> Iterator[Candidate]:
        """Build for one platform, without a name."""
        yield Candidate(image=self.build(build), push=partial(self.push, name))

    def save(self, image: str, target: Path) -> None:
        """See Engine."""
        what = "the engine cannot save the image"
        done = self.run("save", *self.save_flags, "--output", str(target), image)
        if done.code == 0:
            return
        if "no space left on device" in done.stderr.lower():
            raise NoSpace(what=what, why=done.last_line, fix="free space there, or set TMPDIR to a larger disk")
        raise ToolFailed(what=what, why=done.last_line)

    def load(self, archive: Path) -> None:
        """See Engine."""
        done = self.run("load", "--quiet", "--input", str(archive))
        if done.code != 0:
            raise build_error(done)

    def held_layers(self, diff_ids: Sequence[str]) -> int:
        """See Engine; only Docker accepts an image without the layers that it has."""
        del diff_ids
        return 0

    def tag(self, image: str, name: str) -> None:
        """See Engine."""
        self.require("tag", image, name, what=f"the image cannot be tagged `{name}`")

    def untag(self, image: str) -> None:
        """See Engine."""
        details = self.image(image)
        if details is not None and not details.tags:
            self.run("image", "rm", "--", image)

    def run_inside(
        self,
        image: str,
        *argv: str,
        stdin: str | Path = "",
        timeout_s: float | None = ANSWER_S,
        serve_env: ServeVariables = NO_VARIABLES,
    ) -> str:
        """See Engine."""
        with self._container_flags() as container:
            command = self._inside(container, image, argv, serve_env)
            done = self._runner.run(replace(command, verbatim=True, stdin=stdin, timeout_s=timeout_s))
        if done.code != 0:
            # Docker ends its own errors with a pointer to `docker run --help`.
            lines = [line for line in done.stderr.splitlines() if line.strip() and " --help'" not in line]
            raise ToolFailed(what=f"`{argv[0]}` fails inside the image", why=(lines or [done.last_line])[-1])
        return done.stdout

    @contextmanager
    def converse(self, image: str, *argv: str, serve_env: ServeVariables = NO_VARIABLES) -> Iterator[Conversation]:
        """See Engine."""
        with self._container_flags() as container:
            conversation = self._runner.converse(self._inside(container, image, argv, serve_env))
            try:
                yield conversation
            finally:
                conversation.stop()
                # The end of its client does not end a model that computes.
                self.run("rm", "--force", "--volumes", container[1])

    def _inside(
        self, container: tuple[str, ...], image: str, argv: tuple[str, ...], serve_env: ServeVariables
    ) -> Command:
        """The command that runs a program in a container without network, which is removed when the program ends."""
        flags = ("--rm", "--interactive", _NO_NETWORK, *_CONFINED, *_environment_flags(serve_env))
        command = self.command("run", *container, *flags, f"--entrypoint={argv[0]}", image, *argv[1:])
        return self._with_variables(command, serve_env)

    def serve(self, image: str, *, network: bool, given: ServerSettings = BARE) -> Container:
        """See Engine."""
        network_flags = () if network else (_NO_NETWORK,)
        settings = tuple(f"--env={name}={value}" for name, value in {**_UNVERIFIED, **given.settings}.items())
        limits = tuple(_limits(given))
        flags = (
            "--detach",
            *network_flags,
            *_CONFINED,
            *limits,
            *settings,
            *_environment_flags(given.serve_env),
            image,
        )
        with self._container_flags() as container:
            done = self._runner.run(self._with_variables(self.command("run", *container, *flags), given.serve_env))
            if done.code != 0:
                raise ToolFailed(what="the container cannot be started", why=done.last_line)
            name = container[1]
            return Container(self.run, name, hide=given.serve_env.masked, stopped=self._removed_if_killed(name))

    def _with_variables(self, command: Command, serve_env: ServeVariables) -> Command:
        """The command with the variables in the client's environment; a command line is visible to other users."""
        return replace(command, variables={**command.variables, **serve_env.variables}, secrets=serve_env.secrets)

    @contextmanager
    def _container_flags(self) -> Iterator[tuple[str, ...]]:
        """
        Flags that name a container, which is removed on an exception: the engine would keep it running.

        It is also removed if this process is killed in the block.
        """
        name = f"mlflow-uv-{os.urandom(6).hex()}"
        over = self._removed_if_killed(name)
        try:
            yield ("--name", name, "--label", OURS)
        except BaseException:
            self.run("rm", "--force", "--volumes", name)
            raise
        finally:
            over()

    def _removed_if_killed(self, name: str) -> Callable[[], None]:
        """Let a container be removed if this process is killed before the function that is returned is called."""
        return self._runner.if_killed(self.command("rm", "--force", "--volumes", name))

    def query_version(self, *argv: str) -> Completed:
        """Run a command that prints the version or the platform of the engine. Raises NoEngine if it fails."""
        fix = f"install and start {self.title}"
        try:
            done = self.run(*argv, timeout_s=20)
        except (ToolMissing, ToolFailed) as error:
            raise NoEngine(what=f"{self.title} does not answer", why=str(error), fix=fix) from error
        if done.code != 0:
            silent = f"`{self.name} {argv[0]}` ends with exit code {done.code}, without a message"
            why = done.last_line if (done.stdout + done.stderr).strip() else silent
            raise NoEngine(what=f"{self.title} does not answer", why=why, fix=fix)
        return done

    def require(self, *argv: str, what: str) -> Completed:
        """Run a command. Raises ToolFailed, with `what` as its message, if it fails."""
        done = self.run(*argv)
        if done.code != 0:
            raise ToolFailed(what=what, why=done.last_line)
        return done

    def run(
        self,
        *argv: str,
        timeout_s: float | None = None,
        on_line: Callable[[str], None] | None = None,
        verbatim: bool = False,
        stdin: str | Path = "",
    ) -> Completed:
        """Run a command of the engine's client until it ends."""
        command = self.command(*argv)
        return self._runner.run(replace(command, timeout_s=timeout_s, on_line=on_line, verbatim=verbatim, stdin=stdin))

    def execute(self, command: Command) -> Completed:
        """Run a command that `command` made, with changes, until it ends."""
        return self._runner.run(command)

    def command(self, *argv: str) -> Command:
        """A command of the engine's client."""
        return Command(argv=(self.name, *argv), folder=Path("/"), variables=self._variables)


def _environment_flags(serve_env: ServeVariables) -> tuple[str, ...]:
    """Flags that pass variables by name; MLFLOW_UV_HANDED lists those whose values a payload masks."""
    names = (*serve_env.names, f"MLFLOW_UV_HANDED={' '.join(serve_env.names)}") if serve_env.names else ()
    return tuple(f"--env={name}" for name in names)


def _limits(given: ServerSettings) -> Iterator[str]:
    """Flags for memory, without swap, processors and read-only mounts."""
    if given.memory_mib is not None:
        yield from (f"--memory={given.memory_mib}m", f"--memory-swap={given.memory_mib}m")
    if given.cpus is not None:
        yield f"--cpus={given.cpus:g}"
    yield from (f"--mount=type=bind,source={path},target={path},readonly" for path in given.mounts)


def base_missing(base: str, *, why: str, fix: str) -> BaseImageMissing:
    """The error for a base image that cannot be pulled; `fix` is empty if its registry does not have it."""
    other = option("base-image", "NAME")
    return BaseImageMissing(
        what=f"the base image `{base}` is not present and cannot be pulled",
        why=why,
        fix=Wording(fix, ", or ", other) if fix else other,
    )


def digest_in(text: str) -> str:
    """The digest in the output of a push. Raises ToolFailed if there is none."""
    match = _DIGEST.search(text)
    if match is None:
        raise ToolFailed(what="the image was pushed, but its digest is not known", why=text.strip()[-200:])
    return match[0]


def _as_digest(image_id: str) -> str:
    """An id with its algorithm, which Podman omits."""
    return image_id if image_id.startswith("sha256:") else f"sha256:{image_id}"
