"""Defines the interface of a container engine."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...core.security.serve_env import NOTHING, Handed
from ..mlflow.model_requests import ModelReply, ModelRequest

ANSWER_S = 120.0


class ServingContainer(Protocol):
    """A model server that was started, whatever it runs in."""

    def ask(self, request: ModelRequest) -> ModelReply | None:
        """Its answer, None where it gives none in time."""

    def code(self) -> int | None:
        """The exit code, None while it runs."""

    def log(self) -> str:
        """What it printed so far."""

    def stop(self) -> None:
        """End and remove it; safe to call twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """What a server is started with: settings of its own (docs/serving.md), and what its model is handed."""

    settings: Mapping[str, str] = field(default_factory=dict)
    handed: Handed = NOTHING


BARE = ServerSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLayer:
    """A step of an image's history, and how many bytes it added."""

    made_by: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltImage:
    """
    An image as the engine knows it; `size` in bytes, `architecture` in the engine's word (`amd64`).

    `digest` is that of its manifest where it came from a registry or was pushed to one, which is `shared`, else its id.
    `variables` are the names of those that it sets.
    """

    id: str
    labels: Mapping[str, str]
    size: int
    digest: str
    tags: tuple[str, ...] = ()
    architecture: str = ""
    shared: bool = False
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """Where layers are looked up, and where they are kept for others, in the engine's own words."""

    source: str | None = None
    target: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """A folder with a Dockerfile, and the secret files that the build may read."""

    context: Path
    secrets: Mapping[str, Path]
    platforms: tuple[str, ...] = ()
    cache: Cache = field(default_factory=Cache)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """
    What was built and nobody can ask for yet: `image` is the one for this machine.

    `push` sends the image of every platform to where their name says, and tells the digest that the whole has there.
    """

    image: BuiltImage
    push: Callable[[], str]


class Engine(Protocol):
    """An engine that answers."""

    @property
    def name(self) -> str:
        """Its program, as a person types it."""

    def version(self) -> str:
        """The engine's version. Raises NoEngine with the reason."""

    def image(self, name: str) -> BuiltImage | None:
        """An image by tag or id, None where the engine has none."""

    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """The history of an image, its base first."""

    def fetch(self, base: str) -> BuiltImage:
        """A base image for the engine's own machine, pulled where it is not here. Raises BaseImageMissing."""

    def pull(self, name: str) -> BuiltImage | None:
        """An image of a registry, None where the engine cannot have it."""

    def build(self, build: Build) -> BuiltImage:
        """Build for one platform, without a name. Raises ToolFailed with the step that failed."""

    def candidate(self, build: Build, name: str) -> AbstractContextManager[Candidate]:
        """
        Build for one platform or for several, as what may get this name; gone if the block ends badly before.

        Raises ToolFailed.
        """

    def tag(self, image: str, name: str) -> None:
        """Give an image a name. Raises ToolFailed."""

    def untag(self, image: str) -> None:
        """Remove an image that nobody gave a name."""

    def push(self, name: str) -> str:
        """Push what has this name to the registry in it; the digest it has there. Raises ToolFailed."""

    def ask_inside(
        self,
        image: str,
        *argv: str,
        stdin: str | Path = "",
        timeout_s: float | None = ANSWER_S,
        handed: Handed = NOTHING,
    ) -> str:
        """
        Run a program of an image without network and return its standard output; `stdin` is a text or a file.

        Raises ToolFailed.
        """

    def serve(self, image: str, *, network: bool, given: ServerSettings = BARE) -> ServingContainer:
        """
        Start a container of an image, with few rights and no port; the engine's network is there with `network` alone.

        Raises ToolFailed.
        """
