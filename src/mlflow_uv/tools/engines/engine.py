"""Defines the interface of a container engine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from pathlib import Path
from typing import Protocol

from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..mlflow.model_requests import LoadPlan, ModelReply, ModelRequest
from ..system.commands import Conversation

ANSWER_S = 120.0


class ServingContainer(Protocol):
    """A running model server, in a container or a process."""

    def send(self, request: ModelRequest) -> ModelReply | None:
        """The response to a request, None if there is none within its timeout."""

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """The responses to requests in turn; None for the first without one, and for all after it."""

    def code(self) -> int | None:
        """The exit code, None while it runs."""

    def log(self) -> str:
        """The output so far."""

    def stop(self) -> None:
        """Stop and remove it; safe to call twice."""


class StartedServer(ServingContainer, Protocol):
    """A server that this program started, which can be measured."""

    def measure(self, plan: LoadPlan) -> str:
        """Send requests at a concurrency; what installing/load.py prints, empty if it failed."""

    def exceeded_memory(self) -> bool:
        """Whether the kernel ended a process of it because its memory limit was reached."""


@lazy_dataclass
class ServerSettings:
    """
    Settings of a server (docs/serving.md), and the variables that its model gets.

    The others apply to containers: `memory_mib` and `cpus` limit one, and `mounts` are paths of the engine's machine
    that it may read.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    serve_env: ServeVariables = NO_VARIABLES
    memory_mib: int | None = None
    cpus: float | None = None
    mounts: tuple[str, ...] = ()


BARE = ServerSettings()


@lazy_dataclass
class ImageLayer:
    """A step of an image's history; `size` is the number of bytes that it added."""

    made_by: str
    size: int


@lazy_dataclass
class BuiltImage:
    """
    An image in the local store of the engine; `size` in bytes, `architecture` as the engine writes it (`amd64`).

    `shared` is true for an image that was pulled from or pushed to the repository of the name by which it was looked
    up. `digest` is then that of its manifest there, else its id. `variables` are the names of the environment variables
    that it sets. `empty` says that it has no layer.
    """

    id: str
    labels: Mapping[str, str]
    size: int
    digest: str
    tags: tuple[str, ...] = ()
    architecture: str = ""
    shared: bool = False
    variables: frozenset[str] = frozenset()
    empty: bool = False


@lazy_dataclass
class Cache:
    """Build caches to import and to export, in the syntax of the engine's `--cache-from` and `--cache-to`."""

    source: str | None = None
    target: str | None = None


@lazy_dataclass
class Build:
    """A build context, and the files of its secrets by their ids."""

    context: Path
    secrets: Mapping[str, Path]
    platforms: tuple[str, ...] = ()
    cache: Cache = field(default_factory=Cache)


@lazy_dataclass
class Candidate:
    """
    A built image without a name; `image` is the one for this machine's platform.

    `push` pushes the images of all platforms under the name, and returns the digest of the manifest in the registry.
    """

    image: BuiltImage
    push: Callable[[], str]


class Engine(Protocol):
    """A container engine."""

    @property
    def name(self) -> str:
        """The name of its program."""

    def version(self) -> str:
        """The engine's version. Raises NoEngine with the reason."""

    def architecture(self) -> str:
        """The architecture of the engine's machine, as the engine writes it (`amd64`). Raises NoEngine."""

    def image(self, name: str) -> BuiltImage | None:
        """An image by tag or id, None if the engine does not have it."""

    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """The history of an image, oldest layer first. Raises ToolFailed."""

    def fetch(self, base: str) -> BuiltImage:
        """A base image for the engine's own platform, pulled if it is not present. Raises BaseImageMissing."""

    def pull(self, name: str) -> BuiltImage:
        """Pull an image from a registry. Raises NotPulled with the engine's reason."""

    def build(self, build: Build) -> BuiltImage:
        """Build for one platform, without a name. Raises ToolFailed with the cause, NoSpace."""

    def candidate(self, build: Build, name: str) -> AbstractContextManager[Candidate]:
        """
        Build for one platform or several, to be pushed under this name; removed if the block raises.

        Raises ToolFailed, NoSpace.
        """

    def save(self, image: str, target: Path) -> None:
        """Write an image to a file, as `docker save` does. Raises ToolFailed."""

    def load(self, archive: Path) -> None:
        """Take an image from a file, without a name. Raises ToolFailed, NoSpace."""

    def held_layers(self, diff_ids: Sequence[str]) -> int:
        """
        The number of the lowest layers of an image, given by their digests, that an archive to load may leave out.

        An image may be removed before the archive is loaded, so that loading fails.
        """

    def tag(self, image: str, name: str) -> None:
        """Tag an image. Raises ToolFailed."""

    def untag(self, image: str) -> None:
        """Remove an image if it has no tag."""

    def push(self, name: str) -> str:
        """Push an image to the registry of its name; return its digest there. Raises ToolFailed."""

    def run_inside(
        self,
        image: str,
        *argv: str,
        stdin: str | Path = "",
        timeout_s: float | None = ANSWER_S,
        serve_env: ServeVariables = NO_VARIABLES,
    ) -> str:
        """
        Run a program in a container without network; return its standard output. `stdin` is a text or a file.

        Raises ToolFailed.
        """

    def converse(
        self, image: str, *argv: str, serve_env: ServeVariables = NO_VARIABLES
    ) -> AbstractContextManager[Conversation]:
        """
        Run a program that reads requests line by line in a container without network, removed after the block.

        Raises ToolMissing.
        """

    def serve(self, image: str, *, network: bool, given: ServerSettings = BARE) -> StartedServer:
        """
        Start a container with few privileges and no published port; `network` connects it to the engine's network.

        Raises ToolFailed.
        """
