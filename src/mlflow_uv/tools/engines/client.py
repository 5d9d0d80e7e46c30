"""Implements what the command lines of Docker and Podman have in common."""

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from ...command.errors import BaseImageMissing, NoEngine, ToolFailed, ToolMissing
from ...command.wording import Wording, local, option
from ...core.security.child_environment import for_engine
from ...core.security.documents import parse_json
from ...core.security.serve_env import NOTHING, Handed
from ..system.process import Command, Completed, Runner
from .build_errors import build_error
from .containers import OURS, Container
from .engine import ANSWER_S, BARE, Build, BuiltImage, Candidate, ImageLayer, ServerSettings

PULL_S = 600.0
# Rights that neither a model nor a base image needs. Of the namespaces the engine shares, none is the machine's.
_CONFINED = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--ipc=private", "--pids-limit=4096",
    "--tmpfs=/tmp",
)  # fmt: skip
_NO_NETWORK = "--network=none"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Client(ABC):
    """An engine that is reached by a program; see engine.Engine."""

    name: ClassVar[str]
    title: ClassVar[str]
    build_words: ClassVar[tuple[str, ...]]

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], hear: Callable[[str], None]) -> None:
        self._runner = runner
        self._variables = for_engine(variables).variables
        self._hear = hear

    @abstractmethod
    def build(self, build: Build) -> BuiltImage:
        """See Engine."""

    @abstractmethod
    def several(self, build: Build, name: str) -> AbstractContextManager[Candidate]:
        """Build for several platforms."""

    @abstractmethod
    def push(self, name: str) -> str:
        """See Engine."""

    @abstractmethod
    def version(self) -> str:
        """See Engine."""

    @abstractmethod
    def architecture(self) -> str:
        """That of the machine that the engine runs on, in its own word. Raises NoEngine."""

    @property
    def unwind(self) -> Callable[[int], None] | None:
        """What lets a build that is given up end in its own way; None where a signal does."""
        return None

    def image(self, name: str) -> BuiltImage | None:
        """See Engine."""
        try:
            done = self.ask("image", "inspect", "--", name, verbatim=True)
        except ToolMissing as error:
            raise NoEngine(what=f"{self.title} is not here", why=str(error)) from error
        if done.code != 0:
            return None
        (found,) = parse_json(done.stdout)
        return BuiltImage(
            id=_as_digest(found["Id"]),
            labels=found["Config"].get("Labels") or {},
            size=found["Size"],
            digest=next(iter(found.get("RepoDigests") or ()), _as_digest(found["Id"])).rpartition("@")[2],
            shared=bool(found.get("RepoDigests")),
            tags=tuple(found.get("RepoTags") or ()),
            architecture=found.get("Architecture", ""),
            variables=frozenset(one.partition("=")[0] for one in found["Config"].get("Env") or ()),
        )

    @abstractmethod
    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""

    def fetch(self, base: str) -> BuiltImage:
        """See Engine."""
        found = self.image(base)
        # Who built for another machine may have its image under this name. What came from no registry is in none.
        if found is not None and (not found.shared or found.architecture in {"", own := self.architecture()}):
            return found
        which = () if found is None else ("--platform", f"linux/{own}")
        done = self.ask("pull", "--quiet", *which, "--", base, timeout_s=PULL_S, hear=self._hear)
        found = self.image(base)
        if found is None:
            raise base_missing(self.name, base, why=done.last_line)
        return found

    def pull(self, name: str) -> BuiltImage | None:
        """See Engine."""
        self.ask("pull", "--quiet", "--", name, timeout_s=PULL_S, hear=self._hear)
        return self.image(name)

    def built(self, build: Build, *words: str) -> BuiltImage:
        """Build what is then here. Raises ToolFailed, NoSpace."""
        with TemporaryDirectory(prefix="mlflow-uv-built-") as scratch:
            # By its id: somebody else may build another image at the same time.
            written = Path(scratch) / "id"
            done = self.building(build, *words, "--iidfile", str(written))
            if done.code != 0:
                raise build_error(done)
            return self.kept(written.read_text().strip())

    def kept(self, name: str) -> BuiltImage:
        """What was built. Raises ToolFailed where it is not here."""
        if found := self.image(name):
            return found
        raise ToolFailed(what="the image was built but cannot be found", why="the builder did not load it")

    def building(self, build: Build, *words: str) -> Completed:
        """Let the engine build, heard by whoever waits."""
        argv = [*self.build_words]
        for name, path in build.secrets.items():
            argv += ["--secret", f"id={name},src={path}"]
        if build.platforms:
            argv += ["--platform", ",".join(build.platforms)]
        if build.cache.source:
            argv += ["--cache-from", build.cache.source]
        if build.cache.target:
            argv += ["--cache-to", build.cache.target]
        command = self.command(*argv, *words, "--", str(build.context))
        return self._runner.run(replace(command, hear=self._hear, unwind=self.unwind))

    @contextmanager
    def candidate(self, build: Build, name: str) -> Iterator[Candidate]:
        """See Engine."""
        with self.several(build, name) if len(build.platforms) > 1 else self.one(build, name) as candidate:
            try:
                yield candidate
            except BaseException:
                self.untag(candidate.image.id)
                raise

    @contextmanager
    def one(self, build: Build, name: str) -> Iterator[Candidate]:
        """What the engine keeps, by itself."""
        yield Candidate(image=self.build(build), push=partial(self.push, name))

    def tag(self, image: str, name: str) -> None:
        """See Engine."""
        self.demand("tag", image, name, what=f"the image cannot be tagged `{name}`")

    def untag(self, image: str) -> None:
        """See Engine."""
        found = self.image(image)
        if found is not None and not found.tags:
            self.ask("image", "rm", "--", image)

    def ask_inside(
        self,
        image: str,
        *argv: str,
        stdin: str | Path = "",
        timeout_s: float | None = ANSWER_S,
        handed: Handed = NOTHING,
    ) -> str:
        """See Engine."""
        words = ("--rm", "--interactive", _NO_NETWORK, *_CONFINED, *_named(handed), f"--entrypoint={argv[0]}", image)
        with self._contained() as container:
            command = self._handing(self.command("run", *container, *words, *argv[1:]), handed)
            done = self._runner.run(replace(command, verbatim=True, stdin=stdin, timeout_s=timeout_s))
        if done.code != 0:
            # Docker ends what it says of its own with how to learn more about `docker run`.
            said = [line for line in done.stderr.splitlines() if line.strip() and " --help'" not in line]
            raise ToolFailed(what=f"`{argv[0]}` fails inside the image", why=(said or [done.last_line])[-1])
        return done.stdout

    def serve(self, image: str, *, network: bool, given: ServerSettings = BARE) -> Container:
        """See Engine."""
        reach = () if network else (_NO_NETWORK,)
        settings = tuple(f"--env={name}={value}" for name, value in given.settings.items())
        words = ("--detach", *reach, *_CONFINED, *settings, *_named(given.handed), image)
        with self._contained() as container:
            done = self._runner.run(self._handing(self.command("run", *container, *words), given.handed))
            if done.code != 0:
                raise ToolFailed(what="the container cannot be started", why=done.last_line)
        return Container(self.ask, container[1], hide=given.handed.masked)

    def _handing(self, command: Command, handed: Handed) -> Command:
        """The same command, whose client has what it is to hand on by name: other users see command lines."""
        return replace(command, variables={**command.variables, **handed.variables}, secrets=handed.secrets)

    @contextmanager
    def _contained(self) -> Iterator[tuple[str, ...]]:
        """The words that name a container, which is removed where it is not waited for: its engine would go on."""
        name = f"mlflow-uv-{secrets.token_hex(6)}"
        try:
            yield ("--name", name, "--label", OURS)
        except BaseException:
            self.ask("rm", "--force", "--volumes", name)
            raise

    def answering(self, *argv: str) -> Completed:
        """What the engine answers when it is asked for its version. Raises NoEngine."""
        fix = f"install and start {self.title}"
        try:
            done = self.ask(*argv, timeout_s=20)
        except (ToolMissing, ToolFailed) as error:
            raise NoEngine(what=f"{self.title} does not answer", why=str(error), fix=fix) from error
        if done.code != 0:
            raise NoEngine(what=f"{self.title} does not answer", why=done.last_line, fix=fix)
        return done

    def demand(self, *argv: str, what: str) -> Completed:
        """Ask, and raise ToolFailed that says what cannot be done where the engine refuses."""
        done = self.ask(*argv)
        if done.code != 0:
            raise ToolFailed(what=what, why=done.last_line)
        return done

    def ask(
        self,
        *argv: str,
        timeout_s: float | None = None,
        hear: Callable[[str], None] | None = None,
        verbatim: bool = False,
        stdin: str | Path = "",
    ) -> Completed:
        """One command of the engine's program, to its end."""
        command = self.command(*argv)
        return self._runner.run(replace(command, timeout_s=timeout_s, hear=hear, verbatim=verbatim, stdin=stdin))

    def command(self, *argv: str) -> Command:
        """A command of the engine's program."""
        return Command(argv=(self.name, *argv), folder=Path("/"), variables=self._variables)


def _named(handed: Handed) -> tuple[str, ...]:
    """The flags that hand variables on, and the names whose values a payload of ours does not tell."""
    names = (*handed.names, f"MLFLOW_UV_HANDED={' '.join(handed.names)}") if handed.names else ()
    return tuple(f"--env={name}" for name in names)


def base_missing(program: str, base: str, *, why: str) -> BaseImageMissing:
    """The error of a base image that an engine cannot have."""
    return BaseImageMissing(
        what=f"the base image `{base}` is not present and cannot be pulled",
        why=why,
        fix=Wording(
            local(f"{program} pull {base}", f"a step before this one with `{program} pull {base}`"),
            ", or ",
            option("base-image", "NAME"),
        ),
    )


def digest_in(text: str) -> str:
    """The digest that a program wrote. Raises ToolFailed where it wrote none."""
    found = _DIGEST.search(text)
    if found is None:
        raise ToolFailed(what="the image was pushed, but its digest is not known", why=text.strip()[-200:])
    return found[0]


def _as_digest(id: str) -> str:  # noqa: A002
    """Podman writes an id without its algorithm."""
    return id if id.startswith("sha256:") else f"sha256:{id}"
