"""What a rendered Dockerfile says, word for word."""

import re
from difflib import unified_diff
from pathlib import Path

import pytest

from mlflow_uv.core.image.dockerfile import SERVER_VARIABLES, Recipe, render_dockerfile
from mlflow_uv.tools.mlflow.model_server import SERVING

FOLDER = Path(__file__).parent / "dockerfiles"
LABELS = {"b": 'a "quoted" $HOME \\ text', "a": "1"}
BASE, OTHER = "python:3.11-slim", "registry.example:5000/cuda@sha256:0f"
ONE = {"packages": "9ac4a9e5"}
GOLDEN = {
    "layered": Recipe(base=BASE, parts={"large": "30de1", "packages": "9ac4a9e5"}, hashed=True, resolved=True),
    "locked": Recipe(base=BASE, parts=ONE, hashed=True, resolved=True, labels=LABELS),
    "unhashed": Recipe(
        base=BASE,
        parts=ONE,
        hashed=False,
        resolved=True,
        variables=frozenset({"PATH", "PORT", "WORKERS"}),
    ),
    "inferred": Recipe(base=OTHER, parts=ONE, hashed=False, resolved=False, python="python"),
    "added": Recipe(
        base=OTHER,
        layers=("layers/001-python.tar.gz", "layers/002-model.tar.gz"),
        variables=frozenset({"WORKERS"}),
        verify='{"sigstore":{"a":"$x\\n"}}',
        labels=LABELS,
    ),
    "crossing": Recipe(base=BASE, parts=ONE, hashed=True, resolved=True, crossing=True),
    "crossing-unhashed": Recipe(base=OTHER, parts=ONE, hashed=False, resolved=True, crossing=True, python="python"),
    "crossing-inferred": Recipe(base=BASE, parts=ONE, hashed=False, resolved=False, crossing=True, labels=LABELS),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_dockerfile_is_the_golden_one(name: str) -> None:
    """
    Whoever changes what is rendered sees what becomes of it, line by line.
    """
    path = FOLDER / f"{name}.Dockerfile"

    golden, made = (text.splitlines() for text in (path.read_text(), render_dockerfile(GOLDEN[name])))

    assert "" == "\n".join(unified_diff(golden, made, path.name, "rendered", lineterm=""))


def test_whatever_the_server_follows_is_known_here() -> None:
    """
    A variable of a base image would change its defaults; those that the server reads are in its source.
    """
    modules = ("settings", "model/model_location", "observability/traces")
    read = {name for module in modules for name in re.findall(r'"([A-Z][A-Z_]+)"', source(module))}

    assert SERVER_VARIABLES == read


def source(name: str) -> str:
    """A file of the server."""
    return (SERVING / f"{name}.py").read_text()


def test_every_golden_file_is_of_a_recipe() -> None:
    """
    None is left over of what is not rendered any more.
    """
    assert set(GOLDEN) == {path.stem for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", GOLDEN)
def test_nothing_needs_a_shell(name: str) -> None:
    """
    A base image without one will do: what is run is a list of words.
    """
    text = render_dockerfile(GOLDEN[name]).replace("\\\n", " ")

    commands = re.findall(r"^(?:RUN|\s+CMD|ENTRYPOINT) +(?:--\S+ +)*(.)", text, re.MULTILINE)

    assert {"["} == set(commands)


@pytest.mark.parametrize("name", [name for name, recipe in GOLDEN.items() if recipe.parts])
def test_the_model_comes_after_the_packages_and_words_last(name: str) -> None:
    """
    What changes more often stands further down, so that nothing above is built again.
    """
    text = render_dockerfile(GOLDEN[name])

    steps = re.findall(r"(source=(?:large|packages)|server\.tar|model\.tar|^LABEL)", text, re.MULTILINE)

    packages = [word for folder in GOLDEN[name].parts for word in ("LABEL", f"source={folder}")]
    assert [*packages, "server.tar", "model.tar"] == steps[: len(packages) + 2], "each part has a label of its own"
    assert {"LABEL"} >= set(steps[len(packages) + 2 :])
