"""Runs Podman, which builds with Buildah."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ...core.security.documents import parse_json
from ..system.descendants import end_other_sessions
from .build_errors import build_error
from .client import Client, digest_in
from .engine import Build, BuiltImage, Candidate, ImageLayer


class Podman(Client):
    """The engine that `podman` is."""

    name = "podman"
    title = "Podman"
    # Only Docker's format has a health check. The date (1980) is that of what Podman itself leaves in a layer: `/run`.
    build_words = ("build", "--format=docker", "--layers", "--timestamp=315532800")

    @property
    def unwind(self) -> Callable[[int], None] | None:
        """A signal ends Podman alone, and leaves the step and what it is done in; after one that fails it tidies up."""
        return end_other_sessions

    def version(self) -> str:
        """See Engine."""
        return self.answering("info", "--format", "{{.Version.Version}}").stdout.strip()

    def architecture(self) -> str:
        """See Client."""
        return self.answering("info", "--format", "{{.Host.Arch}}").stdout.strip()

    def build(self, build: Build) -> BuiltImage:
        """See Engine."""
        return self.built(build)

    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""
        words = ("history", "--format", "json", image)
        said = parse_json(self.demand(*words, what="the layers of the image cannot be listed").stdout)
        return tuple(ImageLayer(made_by=step.get("CreatedBy", ""), size=step["size"]) for step in reversed(said))

    @contextmanager
    def several(self, build: Build, name: str) -> Iterator[Candidate]:
        """A list of images in Podman's own store, until it is pushed."""
        listed = f"localhost/mlflow-uv-{secrets.token_hex(6)}"
        try:
            done = self.building(build, "--manifest", listed)
            if done.code != 0:
                raise build_error(done)
            image = self.kept(listed)
            words = ("manifest", "push", "--all", listed, f"docker://{name}")
            yield Candidate(image=image, push=partial(self._pushed, name, *words))
        finally:
            self.ask("manifest", "rm", listed)

    def push(self, name: str) -> str:
        """See Engine."""
        return self._pushed(name, "push", name)

    def _pushed(self, name: str, *words: str) -> str:
        with TemporaryDirectory(prefix="mlflow-uv-pushed-") as scratch:
            told = Path(scratch) / "digest"
            self.demand(*words, f"--digestfile={told}", what=f"`{name}` cannot be pushed")
            return digest_in(told.read_text())
