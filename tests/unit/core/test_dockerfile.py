"""What a rendered Dockerfile says, word for word."""

import re
from pathlib import Path

import pytest

from mlflow_uv.core.dockerfile import Recipe, render_dockerfile

LOCKED = Recipe(base="python:3.11-slim", hashed=True, resolved=True, labels={"b": 'a "quoted" $HOME \\ text', "a": "1"})
GOLDEN = {
    "locked": LOCKED,
    "inferred": Recipe(base="registry.example:5000/cuda@sha256:0f", hashed=False, resolved=False, python="python"),
    "crossing": Recipe(base="python:3.12-slim", hashed=True, resolved=True, crossing=True),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_dockerfile_is_the_golden_one(name: str) -> None:
    """
    Whoever changes what is rendered sees what becomes of it.
    """
    golden = Path(__file__).parent / "dockerfiles" / f"{name}.Dockerfile"

    assert golden.read_text() == render_dockerfile(GOLDEN[name])


@pytest.mark.parametrize("name", GOLDEN)
def test_nothing_needs_a_shell(name: str) -> None:
    """
    A base image without one will do: what is run is a list of words.
    """
    text = render_dockerfile(GOLDEN[name]).replace("\\\n", " ")

    commands = re.findall(r"^(?:RUN|\s+CMD|ENTRYPOINT) +(?:--\S+ +)*(.)", text, re.MULTILINE)

    assert {"["} == set(commands)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_model_comes_after_the_packages_and_words_last(name: str) -> None:
    """
    What changes more often stands further down, so that nothing above is built again.
    """
    steps = re.findall(r"(install\.py|server\.tar|model\.tar|^LABEL)", render_dockerfile(GOLDEN[name]), re.MULTILINE)

    assert ["install.py", "server.tar", "model.tar"] == steps[:3]
    assert {"LABEL"} >= set(steps[3:])
