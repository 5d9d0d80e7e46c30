"""Which engine is taken, of those that are here."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import NoEngine
from mlflow_uv.command.inputs import EngineChoice
from mlflow_uv.tools.engines.choice import Engines
from mlflow_uv.tools.system.process import SystemRunner


def engines(folder: Path, *, where: str = "", **answers: str) -> Engines:
    """
    Programs that answer with a version, or not at all where that is empty; what is not named is not installed.

    `where` is a variable that says where an engine is.
    """
    for name, version in answers.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\necho {version}\ntest -n '{version}'\n")
        program.chmod(0o755)
    return Engines(
        SystemRunner(), variables={"PATH": str(folder), **({where: "nowhere"} if where else {})}, on_line=print
    )


@pytest.mark.parametrize(
    ("here", "asked", "taken"),
    [
        ({"docker": "20", "podman": "4"}, EngineChoice.AUTO, "docker"),
        ({"docker": "20", "podman": "4"}, EngineChoice.PODMAN, "podman"),
        ({"docker": "", "podman": "4"}, EngineChoice.AUTO, "podman"),
        ({"podman": "4"}, EngineChoice.ANY, "podman"),
    ],
)
def test_the_first_that_answers_is_taken(tmp_path: Path, here: dict[str, str], asked: EngineChoice, taken: str) -> None:
    """
    Docker first, Podman where it is the one that is there, and nothing else where one was named.
    """
    assert taken == engines(tmp_path, **here).available(asked).name


@pytest.mark.parametrize(
    ("here", "asked", "told"),
    [
        ({"podman": "4"}, EngineChoice.DOCKER, "Docker does not answer"),
        ({"docker": "20"}, EngineChoice.PODMAN, "Podman does not answer"),
        ({"docker": ""}, EngineChoice.ANY, "no container engine answers"),
    ],
)
def test_where_none_answers_it_is_said_which(
    tmp_path: Path, here: dict[str, str], asked: EngineChoice, told: str
) -> None:
    """
    Another one does not step in for the one that was named.
    """
    with pytest.raises(NoEngine) as caught:
        engines(tmp_path, **here).available(asked)

    assert told == caught.value.what


def test_an_engine_that_fails_without_a_message_is_named_with_its_exit_code(tmp_path: Path) -> None:
    """
    Of two engines that print nothing, each is named; one that prints a reason is quoted.
    """
    for name, line in (("docker", "exit 3"), ("podman", "echo no permission >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    known = Engines(SystemRunner(), variables={"PATH": str(tmp_path)}, on_line=print)

    with pytest.raises(NoEngine) as caught:
        known.available(EngineChoice.ANY)

    assert "`docker version` ends with exit code 3, without a message; no permission" == caught.value.why


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_who_says_where_docker_is_means_docker(tmp_path: Path, variable: str) -> None:
    """
    Podman does not quietly take the place of a Docker that somebody told us how to reach.
    """
    with pytest.raises(NoEngine) as caught:
        engines(tmp_path, where=variable, docker="", podman="4").available(EngineChoice.AUTO)

    assert "Docker does not answer" == caught.value.what


def test_an_image_is_looked_for_where_it_was_made(tmp_path: Path) -> None:
    """
    The record says which engine has it; records from before there was a choice mean Docker.
    """
    known = engines(tmp_path)

    assert ["podman", "docker", "docker"] == [known.named(name).name for name in ("podman", "docker", "")]
