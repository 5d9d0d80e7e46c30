"""Runs Docker, which builds with the current builder of `docker buildx`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ...core.security.documents import parse_json
from .build_errors import build_error
from .client import Client, digest_in
from .engine import Build, BuiltImage, Candidate, ImageLayer


class Docker(Client):
    """The engine that `docker` reaches."""

    name = "docker"
    title = "Docker"
    build_words = ("buildx", "build", "--progress=plain")

    def version(self) -> str:
        """See Engine."""
        return self.answering("version", "--format", "{{.Server.Version}}").stdout.strip()

    def architecture(self) -> str:
        """See Client."""
        return self.answering("version", "--format", "{{.Server.Arch}}").stdout.strip()

    def build(self, build: Build) -> BuiltImage:
        """See Engine."""
        return self.built(build, "--load")

    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""
        words = ("history", "--no-trunc", "--human=false", "--format", "{{json .}}", image)
        said = self.demand(*words, what="the layers of the image cannot be listed").stdout.splitlines()
        steps = map(parse_json, reversed(said))
        return tuple(ImageLayer(made_by=step["CreatedBy"], size=int(step["Size"])) for step in steps)

    @contextmanager
    def several(self, build: Build, name: str) -> Iterator[Candidate]:
        """
        Docker's own builder keeps what it built, where it can build for several platforms at all.

        Others keep nothing: the images are in the registry then, and have no name there yet.
        """
        said = self.demand("buildx", "inspect", what="Docker does not report its builder").stdout
        if re.search(r"^Driver: +docker$", said, re.MULTILINE):
            with self.one(build, name) as candidate:
                yield candidate
            return
        place = re.sub(r":[^:/]*$", "", name)
        with TemporaryDirectory(prefix="mlflow-uv-pushed-") as scratch:
            told = Path(scratch) / "metadata"
            output = f"type=image,name={place},push-by-digest=true,name-canonical=true,push=true"
            done = self.building(build, "--output", output, "--metadata-file", str(told))
            if done.code != 0:
                raise build_error(done)
            digest = digest_in(str(parse_json(told.read_text()).get("containerimage.digest")))
        pushed = f"{place}@{digest}"
        self.demand("pull", "--quiet", pushed, what="the built image cannot be pulled for comparison")
        yield Candidate(image=self.kept(pushed), push=partial(self._named, name, pushed))

    def _named(self, name: str, pushed: str) -> str:
        """Give what is in a registry a name there."""
        self.demand("buildx", "imagetools", "create", "--tag", name, pushed, what=f"`{name}` cannot be pushed")
        return pushed.rpartition("@")[2]

    def push(self, name: str) -> str:
        """See Engine."""
        return digest_in(self.demand("push", name, what=f"`{name}` cannot be pushed").stdout)
