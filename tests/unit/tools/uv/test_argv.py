"""Arguments of uv: the selection of a project, and the commands that install from a mirror."""

from pathlib import Path

import pytest

from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.uv.argv import EXPORT, from_mirror, selected


def project(**table: object) -> Project:
    """A project with this [project] table."""
    return Project(folder=Path("/w"), root=Path("/w"), manifest={"project": table} if table else {})


@pytest.mark.parametrize(
    ("selection", "flags"),
    [
        (Selection(), ("--package", "wine")),
        (Selection(package="cork"), ("--package", "cork")),
        (
            Selection(extras=("fast", "gpu"), groups=("train",)),
            ("--package", "wine", "--extra", "fast", "--extra", "gpu", "--group", "train"),
        ),
    ],
)
def test_a_selection_names_each_of_its_parts(selection: Selection, flags: tuple[str, ...]) -> None:
    """
    The project's own package, unless another one is named.
    """
    assert flags == selected(project(name="wine"), selection)


def test_a_workspace_without_a_package_has_none_to_name() -> None:
    """
    Its root has no [project] table: uv takes the whole of it.
    """
    assert ("--group", "train") == selected(project(), Selection(groups=("train",)))


def test_what_comes_from_a_mirror_is_checked_by_its_hash() -> None:
    """
    The list is that of the lock, and nothing is installed that it does not name.
    """
    export, venv, install = from_mirror(Path("/c/registry-1"))

    assert {"--frozen"} <= set(export) & set(EXPORT)
    assert {"--require-hashes", "--no-deps"} <= set(install)
    assert (export[-1], "/c/registry-1", "/c/registry-1/bin/python") == (
        install[-1], venv[-1], install[install.index("--python") + 1],
    )  # fmt: skip
