"""The recipes: each page embeds complete files, their commands and settings exist, and some are run as they stand."""

import base64
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.surfaces.cli import _parsed
from tests import projects
from tests.cases.images import BASE
from tests.cases.sample_project import training
from tests.github.act import Consumer
from tests.house.files import ROOT, ours
from tests.registries import PASSWORD, USER

RECIPES = ROOT / "examples/recipes"
COMMAND = re.compile(r"\bmlflow-uv ((?:[a-z]+(?:-[a-z]+)*)(?: [^'\n|>&;]*)?)")
PAGES = ours(r"docs/recipes/.*\.md|docs/tutorial\.md")

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}
ALIAS = "api/2.0/mlflow/registered-models/alias?name=wine&alias=candidate"


def commands(text: str) -> list[str]:
    """The commands of a text that is code."""
    return [found.strip() for found in COMMAND.findall(text)]


def parsed(command: str) -> bool:
    """Whether our own parser accepts a command; it ends the process, or raises, for a flag or a step that is none."""
    try:
        _parsed(shlex.split(command))
    except (BadInput, SystemExit):
        return False
    return True


def test_each_file_is_in_a_recipe() -> None:
    """
    A file that no page shows is checked by nothing.
    """
    pages = "".join(path.read_text() for path in PAGES)

    assert [] == [path.name for path in RECIPES.iterdir() if f"<!-- examples/recipes/{path.name} -->" not in pages]


def test_each_recipe_is_listed() -> None:
    """
    The index names every page.
    """
    index = (ROOT / "docs/recipes/README.md").read_text()

    assert sorted(path.name for path in PAGES if path.parent.name == "recipes") == sorted(
        ["README.md", *re.findall(r"\]\(([\w-]+\.md)\)", index)]
    )


def test_commands_are_accepted() -> None:
    """
    Every command of a block, in pages and in files for other systems, has a step and flags that exist.
    """
    code = [
        block
        for path in PAGES
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    ]
    found = [command for text in code for command in commands(text)]

    assert ([], True) == ([command for command in found if not parsed(command)], len(found) > 15)


@pytest.mark.parametrize("command", ["check-locks", "release --tracking-url x", "release --push --image"])
def test_a_mistake_in_a_command_is_found(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A step, a flag and a value that are missing.
    """
    assert not parsed(command)
    capsys.readouterr()


def test_the_pipeline_of_gitlab_keeps_to_its_schema(tmp_path: Path) -> None:
    """
    The published schema of GitLab, which refuses a key that is misspelt.
    """
    program = Path(sys.executable).with_name("check-jsonschema")
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((RECIPES / "gitlab-ci.yml").read_text().replace("resource_group:", "resource-group:"))

    codes = [
        subprocess.run(
            [program, "--builtin-schema", "vendor.gitlab-ci", file], capture_output=True, check=False
        ).returncode
        for file in (RECIPES / "gitlab-ci.yml", wrong)
    ]

    assert [0, 1] == codes


def workflow(name: str, host: str) -> str:
    """A recipe for the action under test, with another registry, on the only runner that there is."""
    text = (RECIPES / name).read_text().replace("org/mlflow-uv-action", "ACTION")
    text = text.replace("registry.corp.example", host).replace("ghcr.io", host)
    return text.replace("runs-on: [self-hosted, linux]", "runs-on: ubuntu-latest")


@pytest.mark.engine
@pytest.mark.extended
def test_the_recipe_without_an_engine_releases_as_it_stands(
    wine: Consumer, tmp_path: Path, server: str, registry_host: str, actions: tuple[str, ...]
) -> None:
    """
    It trains, composes an image where no engine answers, pushes it with the login of the runner's user, and tests it.
    """
    (wine.folder / "train.py").write_text(training())
    manifest = wine.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().partition("data-function")[0])
    wine.home = tmp_path / "home"
    login = wine.home / ".docker/config.json"
    login.parent.mkdir(parents=True)
    word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    login.write_text(json.dumps({"auths": {registry_host: {"auth": word}}}))
    base = f"{registry_host}/python:3.11-slim"
    for argv in (("tag", BASE, base), ("--config", login.parent, "push", "--quiet", base), ("rmi", base)):
        subprocess.run(("docker", *argv), check=True, capture_output=True)
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)

    run = wine.run(workflow("no-docker.yml", registry_host), env=NO_ENGINE, options=options)

    assert run.ok, run.log
    assert "1" == alias(server)["version"]


@pytest.mark.extended
def test_the_recipe_of_a_monorepo_finds_the_projects_that_it_releases(consumer: Consumer) -> None:
    """
    Its first job makes the matrix of the second: a project is a folder, and one elsewhere is none.
    """
    for folder in ("models/red", "models/white", "tools"):
        projects.lock(projects.project(consumer.folder / folder, name=folder.rpartition("/")[2]))

    run = consumer.run(workflow("monorepo.yml", "registry.test"), options=("--job", "projects"))

    assert run.ok, run.log
    entries = json.loads(run.outputs["locks"]["projects"])["include"]
    assert ["models/red", "models/white"] == [entry["project"] for entry in entries]


def alias(server: str) -> dict[str, str]:
    """The version that is the candidate on a tracking server."""
    with urllib.request.urlopen(f"{server}/{ALIAS}") as reply:
        found: dict[str, str] = json.load(reply)["model_version"]
    return found
