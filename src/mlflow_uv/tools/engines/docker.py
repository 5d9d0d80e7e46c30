"""Runs Docker, which builds with the current builder of `docker buildx`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from ...core.security.documents import parse_json
from .build_errors import build_error
from .client import Client, digest_in
from .engine import Build, Candidate, ImageLayer


class Docker(Client):
    """The engine that the `docker` client connects to."""

    name = "docker"
    title = "Docker"
    build_words = ("buildx", "build", "--progress=plain")
    load_flags = ("--load",)

    def version(self) -> str:
        """See Engine."""
        return self.query_version("version", "--format", "{{.Server.Version}}").stdout.strip()

    def query_architecture(self) -> str:
        """See Client."""
        return self.query_version("version", "--format", "{{.Server.Arch}}").stdout.strip()

    def layers(self, image: str) -> tuple[ImageLayer, ...]:
        """See Engine."""
        argv = ("history", "--no-trunc", "--human=false", "--format", "{{json .}}", image)
        lines = self.require(*argv, what="the layers of the image cannot be listed").stdout.splitlines()
        steps = map(parse_json, reversed(lines))
        return tuple(ImageLayer(made_by=step["CreatedBy"], size=int(step["Size"])) for step in steps)

    def held_layers(self, diff_ids: Sequence[str]) -> int:
        """See Engine."""
        images = dict.fromkeys(self.run("image", "ls", "--quiet", "--no-trunc").stdout.split())
        if not images:
            return 0
        # Fails if one of them was removed meanwhile, and prints the others.
        done = self.run("image", "inspect", "--format", "{{json .RootFS.Layers}}", *images, verbatim=True)
        held = (parse_json(line) or [] for line in done.stdout.splitlines())
        return max((_equal_at_the_start(diff_ids, layers) for layers in held), default=0)

    @contextmanager
    def build_platforms(self, build: Build, name: str) -> Iterator[Candidate]:
        """
        Docker's default builder stores the images locally, if it supports several platforms.

        Other builders store nothing locally: the images are pushed to the registry by digest, and get no name yet.
        """
        builder = self.require("buildx", "inspect", what="Docker does not report its builder").stdout
        if re.search(r"^Driver: +docker$", builder, re.MULTILINE):
            with self.build_platform(build, name) as candidate:
                yield candidate
            return
        repository = re.sub(r":[^:/]*$", "", name)
        with TemporaryDirectory(prefix="mlflow-uv-pushed-") as scratch:
            metadata = Path(scratch) / "metadata"
            output = f"type=image,name={repository},push-by-digest=true,name-canonical=true,push=true"
            done = self.run_build(build, "--output", output, "--metadata-file", str(metadata))
            if done.code != 0:
                raise build_error(done)
            digest = digest_in(str(parse_json(metadata.read_text()).get("containerimage.digest")))
        pushed = f"{repository}@{digest}"
        self.require("pull", "--quiet", pushed, what="the built image cannot be pulled for comparison")
        yield Candidate(image=self.require_image(pushed), push=partial(self._tag_pushed, name, pushed))

    def _tag_pushed(self, name: str, pushed: str) -> str:
        """Tag a pushed image in its registry; return its digest."""
        self.require("buildx", "imagetools", "create", "--tag", name, pushed, what=f"`{name}` cannot be pushed")
        return pushed.rpartition("@")[2]

    def push(self, name: str) -> str:
        """See Engine."""
        return digest_in(self.require("push", name, what=f"`{name}` cannot be pushed").stdout)


def _equal_at_the_start(first: Sequence[str], second: Sequence[str]) -> int:
    """How many elements are equal before the first that differs."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))))
