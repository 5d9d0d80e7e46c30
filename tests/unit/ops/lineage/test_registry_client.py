"""The registry is used with a project, or without one; a project that cannot be read is an error of its own."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput, BadProject
from mlflow_uv.command.host import Host
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.ops.lineage.registry_client import RegistryClient, author, connect, project_here
from mlflow_uv.payloads.messages.registry import Author
from mlflow_uv.steps import prune
from mlflow_uv.surfaces.cli import _parsed, gather, given_in
from mlflow_uv.tools.mlflow.store_client import StoreClient
from mlflow_uv.tools.project.files import NoProject, Project
from mlflow_uv.tools.toolbox import Tools

NOON_S = 1_700_000_000.0
RUN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "ada",
    "GITHUB_SERVER_URL": "https://github.test",
    "GITHUB_REPOSITORY": "org/wine",
}


def tools_with(variables: dict[str, str], folder: Path) -> Tools:
    """Tools that know the host and the time."""
    host = Host.of(variables, folder=folder, python=Path(sys.executable))
    return cast("Tools", SimpleNamespace(host=host, clock=SimpleNamespace(date_s=lambda: NOON_S)))


@pytest.mark.parametrize("place", [".", "no/such/folder"])
def test_a_folder_without_a_project_is_none(tmp_path: Path, place: str) -> None:
    """
    A server can be used from anywhere.
    """
    assert project_here(tmp_path / place) is None


def test_a_file_that_was_given_as_the_project_is_the_reason(tmp_path: Path) -> None:
    """
    Not the store, which is not looked at; the fix gives the step its folder.
    """
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text('[project]\nname = "wine"\n')

    with pytest.raises(BadProject) as caught:
        connect(prune.Inputs(project=manifest), tools_with({}, tmp_path))

    fixed = gather(prune.STEP, given_in(_parsed(["prune", *caught.value.fix.split()])), source="")
    assert (f"`{manifest}` is not a folder", tmp_path) == (caught.value.what, fixed.project)


def test_a_project_that_cannot_be_read_is_the_reason(tmp_path: Path) -> None:
    """
    Without its settings another store would be used.
    """
    (tmp_path / "pyproject.toml").write_text("[project\n")

    with pytest.raises(BadProject) as caught:
        connect(prune.Inputs(project=tmp_path), tools_with({}, tmp_path))

    assert (f"`{tmp_path / 'pyproject.toml'}` is not TOML", False) == (
        caught.value.what,
        isinstance(caught.value, NoProject),
    )


@pytest.mark.parametrize(("given", "name"), [("beer", "beer"), (None, "wine")])
def test_the_model_has_the_name_of_the_project_if_none_is_given(given: str | None, name: str, tmp_path: Path) -> None:
    """
    A given name has precedence.
    """
    project = Project(folder=tmp_path, root=tmp_path, manifest={"project": {"name": "wine"}})
    registry = RegistryClient(
        client=cast("StoreClient", None),
        project=project,
        selection=Selection(package=None, extras=(), groups=()),
        tools=tools_with({}, tmp_path),
    )

    assert name == registry.model_name(given)


def test_without_a_name_or_a_project_the_fix_is_the_input_that_names_the_model(tmp_path: Path) -> None:
    """
    The registry of a server has no model of its own.
    """
    registry = RegistryClient(
        client=cast("StoreClient", None),
        project=None,
        selection=Selection(package=None, extras=(), groups=()),
        tools=tools_with({}, tmp_path),
    )

    with pytest.raises(BadInput) as caught:
        registry.model_name(None)

    assert {"model-name": "NAME"} == given_in(_parsed(["prune", *caught.value.fix.split()]))


@pytest.mark.parametrize(
    ("variables", "who", "run"),
    [
        (RUN | {"GITHUB_RUN_ID": "7"}, "ada", "https://github.test/org/wine/actions/runs/7"),
        (RUN, "ada", ""),
        ({"GITHUB_ACTIONS": "true"}, "unknown", ""),
        ({"USER": "bob"}, f"bob@{os.uname().nodename}", ""),
        (RUN | {"GITHUB_ACTIONS": "", "USER": "bob", "GITHUB_RUN_ID": "7"}, f"bob@{os.uname().nodename}", ""),
    ],
    ids=["run", "no run id", "bare runner", "machine", "variables of another run"],
)
def test_the_author_is_the_actor_of_a_run_or_the_user_of_a_machine(
    variables: dict[str, str], who: str, run: str, tmp_path: Path
) -> None:
    """
    The address of the run is whole or empty; the time is UTC.
    """
    entry = author(tools_with(variables, tmp_path))

    assert Author(who=who, when="2023-11-14T22:13:20Z", run=run) == entry
