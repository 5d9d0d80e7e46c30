"""Docker's own output: layers, digests, and images of several platforms."""

import json
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import Build, Cache, ImageLayer
from mlflow_uv.tools.system.process import Command, Completed
from tests.unit.tools.conftest import FakeRunner, completed

DIGEST = f"sha256:{'1' * 64}"
DETAILS = [
    {"Id": DIGEST, "Config": {"Labels": None, "Env": ["PATH=/bin"]}, "Size": 5, "RepoDigests": [f"r/wine@{DIGEST}"]}
]


class Builder(FakeRunner):
    """Writes the metadata of a build, as buildx does."""

    def run(self, command: Command) -> Completed:
        """See Runner."""
        if "--metadata-file" in command.argv:
            path = Path(command.argv[command.argv.index("--metadata-file") + 1])
            path.write_text(json.dumps({"containerimage.digest": DIGEST}))
        return super().run(command)


def docker(runner: FakeRunner) -> Docker:
    """Docker over a runner."""
    return Docker(runner, variables={"PATH": "/usr/bin"}, on_line=print)


def build(folder: Path) -> Build:
    """A build for two platforms."""
    return Build(context=folder, platforms=("linux/amd64", "linux/arm64"), cache=Cache(), secrets={})


def test_layers_are_listed_from_the_lowest() -> None:
    """
    Docker prints the newest first, a line of JSON for each, with sizes as text.
    """
    lines = [json.dumps({"CreatedBy": name, "Size": str(size)}) for name, size in (("CMD", 0), ("ADD model", 7))]

    found = docker(FakeRunner({"history": completed("\n".join(lines) + "\n")})).layers("wine")

    assert (ImageLayer(made_by="ADD model", size=7), ImageLayer(made_by="CMD", size=0)) == found


def test_the_architecture_of_its_machine_is_asked_once() -> None:
    """
    It stays the same, and each question starts a program.
    """
    runner = FakeRunner({"docker version": completed("amd64\n")})
    engine = docker(runner)

    answers = [engine.architecture(), engine.architecture()]

    assert (["amd64", "amd64"], 1) == (answers, len(runner.asked))


def test_an_image_that_is_pushed_has_the_digest_that_docker_prints() -> None:
    """
    Among the lines of its progress.
    """
    printed = f"The push refers to repository [r/wine]\nabc: Pushed\n1: digest: {DIGEST} size: 2839\n"

    assert DIGEST == docker(FakeRunner({"docker push": completed(printed)})).push("r/wine:1")


def test_a_builder_that_stores_nothing_pushes_by_digest_and_names_the_image_last(tmp_path: Path) -> None:
    """
    Until somebody compared it, the name names what it named before.
    """
    runner = Builder(
        {"buildx inspect": completed("Driver:   docker-container\n"), "image inspect": completed(json.dumps(DETAILS))}
    )

    with docker(runner).build_platforms(build(tmp_path), "localhost:5000/wine:1") as candidate:
        before = [command.argv for command in runner.asked]
        digest = candidate.push()

    (built,) = [argv for argv in before if "buildx" in argv and "build" in argv]
    assert any(word.startswith("type=image,name=localhost:5000/wine,push-by-digest=true") for word in built)
    assert not any("imagetools" in argv or "localhost:5000/wine:1" in argv for argv in before)
    assert (DIGEST, ("imagetools", "create", "--tag", "localhost:5000/wine:1", f"localhost:5000/wine@{DIGEST}")) == (
        digest, runner.argv[-5:],
    )  # fmt: skip


def test_a_build_that_fails_is_pulled_from_nowhere(tmp_path: Path) -> None:
    """
    Its error is the builder's.
    """
    runner = FakeRunner(
        {"buildx inspect": completed("Driver: remote\n"), "buildx build": completed(stderr="no", code=1)}
    )

    with pytest.raises(ToolFailed), docker(runner).build_platforms(build(tmp_path), "r/wine:1"):
        pass

    assert not any("pull" in command.argv for command in runner.asked)


def test_layers_that_an_image_here_begins_with_are_held() -> None:
    """
    Of all images, the one that has most of them counts; an image that was removed meanwhile does not.
    """
    lists = '["a","b","x"]\n["a"]\nnull\n["b","c"]\n'
    runner = FakeRunner({"image ls": completed("1\n2\n1\n3\n"), "image inspect": completed(lists, "gone", 1)})

    assert [2, 0] == [docker(runner).held_layers(layers) for layers in (["a", "b", "c"], ["c"])]
    assert ("1", "2", "3") == runner.argv[-3:]


def test_where_there_is_no_image_no_layer_is_held() -> None:
    """
    Nothing is inspected then, which would be an error.
    """
    runner = FakeRunner()

    assert 0 == docker(runner).held_layers(["a"])
    assert ("docker", "image", "ls", "--quiet", "--no-trunc") == runner.argv


def test_an_image_that_was_pushed_elsewhere_is_known_by_its_id() -> None:
    """
    The registry of its own name never had the digest that it has there.
    """
    elsewhere = [{**DETAILS[0], "Id": f"sha256:{'2' * 64}"}]
    engine = docker(FakeRunner({"image inspect": completed(json.dumps(elsewhere))}))

    pushed, named = engine.image("r/wine:1"), engine.image("base:1")

    assert pushed is not None
    assert named is not None
    assert (True, DIGEST, False, named.id) == (pushed.shared, pushed.digest, named.shared, named.digest)
