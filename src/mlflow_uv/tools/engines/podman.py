"""Runs Podman, which builds with Buildah."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ...core.security.documents import parse_json
from ..system.descendants import end_other_sessions
from .build_errors import build_error
from .client import Client, digest_in
from .engine import Build, Candidate, ImageLayer


class Podman(Client):
    """The engine of the `podman` program."""

    name = "podman"
    title = "Podman"
    local_host = "localhost"  # it lists a digest for each name that an image has
    # Only Docker's format has a health check. Podman itself dates an entry of each layer, `/run`, at 1980-01-01.
    save_flags = ("--quiet", "--format=docker-archive")
    build_words = ("build", "--format=docker", "--layers", "--timestamp=315532800")

    @property
    def unwind(self) -> Callable[[int], None] | None:
        """A signal ends Podman alone and leaves the running step; Podman cleans up after a step that fails."""
        return end_other_sessions

    def version(self) -> str:
        """See Engine."""
        return self.query_version("info", "--format", "{{.Version.Version}}").stdout.strip()

    def query_architecture(self) -> str:
        """See Client."""
        return self.query_version("info", "--format", "{{.Host.Arch}}").stdout.strip()

    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""
        argv = ("history", "--format", "json", image)
        steps = parse_json(self.require(*argv, what="the layers of the image cannot be listed").stdout)
        return tuple(ImageLayer(made_by=step.get("CreatedBy", ""), size=step["size"]) for step in reversed(steps))

    @contextmanager
    def build_platforms(self, build: Build, name: str) -> Iterator[Candidate]:
        """Build a manifest list in Podman's local store, which is deleted after it was pushed."""
        manifest = f"localhost/mlflow-uv-{os.urandom(6).hex()}"
        try:
            done = self.run_build(build, "--manifest", manifest)
            if done.code != 0:
                raise build_error(done)
            image = self.require_image(manifest)
            argv = ("manifest", "push", "--all", manifest, f"docker://{name}")
            yield Candidate(image=image, push=partial(self._push, name, *argv))
        finally:
            self.run("manifest", "rm", manifest)

    def push(self, name: str) -> str:
        """See Engine."""
        return self._push(name, "push", name)

    def _push(self, name: str, *argv: str) -> str:
        with TemporaryDirectory(prefix="mlflow-uv-pushed-") as scratch:
            digest_file = Path(scratch) / "digest"
            self.require(*argv, f"--digestfile={digest_file}", what=f"`{name}` cannot be pushed")
            return digest_in(digest_file.read_text())
