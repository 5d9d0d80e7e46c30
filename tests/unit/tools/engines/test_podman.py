"""Podman's own output: layers, digests, and images of several platforms."""

import json
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.engine import Build, Cache, ImageLayer
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.system.process import Command, Completed
from tests.unit.tools.conftest import FakeRunner, completed

DIGEST = f"sha256:{'1' * 64}"
DETAILS = [{"Id": "1" * 64, "Config": {"Labels": {}, "Env": []}, "Size": 5}]


class Registry(FakeRunner):
    """Writes the digest of what is pushed, as Podman does."""

    def run(self, command: Command) -> Completed:
        """See Runner."""
        for word in command.argv:
            if word.startswith("--digestfile="):
                Path(word.partition("=")[2]).write_text(f"{DIGEST}\n")
        return super().run(command)


def podman(runner: FakeRunner) -> Podman:
    """Podman over a runner."""
    return Podman(runner, variables={"PATH": "/usr/bin"}, on_line=print)


def build(folder: Path) -> Build:
    """A build for two platforms."""
    return Build(context=folder, platforms=("linux/amd64", "linux/arm64"), cache=Cache(), secrets={})


def test_layers_are_listed_from_the_lowest() -> None:
    """
    Podman prints one list, the newest first, with a step that nothing is known of.
    """
    steps = [{"size": 0, "CreatedBy": "CMD"}, {"size": 7}]

    found = podman(FakeRunner({"history": completed(json.dumps(steps))})).layers("wine")

    assert (ImageLayer(made_by="", size=7), ImageLayer(made_by="CMD", size=0)) == found


def test_an_image_has_the_digest_that_podman_wrote_into_a_file() -> None:
    """
    It prints none.
    """
    assert DIGEST == podman(Registry()).push("r/wine:1")


def test_a_list_of_platforms_is_pushed_once_it_was_compared_and_never_kept(tmp_path: Path) -> None:
    """
    It has a name of its own until then, under which nobody looks for it.
    """
    runner = Registry({"image inspect": completed(json.dumps(DETAILS))})

    with podman(runner).build_platforms(build(tmp_path), "r/wine:1") as candidate:
        before = [command.argv for command in runner.asked]
        digest = candidate.push()

    (manifest,) = {argv[argv.index("--manifest") + 1] for argv in before if "--manifest" in argv}
    pushed = next(command.argv for command in runner.asked if "push" in command.argv)
    assert not any("r/wine:1" in word for argv in before for word in argv)
    assert (DIGEST, True) == (digest, {manifest, "docker://r/wine:1", "--all"} <= set(pushed))
    assert ("manifest", "rm", manifest) == runner.argv[-3:]


def test_after_a_build_that_fails_nothing_is_left(tmp_path: Path) -> None:
    """
    Its error is Buildah's.
    """
    runner = FakeRunner({"podman build": completed(stderr="no", code=1)})

    with pytest.raises(ToolFailed), podman(runner).build_platforms(build(tmp_path), "r/wine:1"):
        pass

    assert ("manifest", "rm") == runner.argv[1:3]


@pytest.mark.parametrize("name", ["base:1", "localhost/base:1"])
def test_an_image_that_podman_built_is_in_no_registry(name: str) -> None:
    """
    Podman lists a digest for each of its names, also for those below `localhost`.
    """
    details = [{**DETAILS[0], "Id": "2" * 64, "RepoDigests": [f"localhost/base@{DIGEST}"]}]

    image = podman(FakeRunner({"image inspect": completed(json.dumps(details))})).image(name)

    assert image is not None
    assert (False, f"sha256:{'2' * 64}") == (image.shared, image.digest)
