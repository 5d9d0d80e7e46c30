"""Naming the group or extra that contains the MLflow which a selection lacks."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadProject
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.ops.lock.served_selection import require_mlflow
from mlflow_uv.tools.project.files import read_project
from tests import projects

LOCK = """\
version = 1
requires-python = ">=3.9"

[[package]]
name = "flavors"
version = "1.0"
source = {{ registry = "https://x.example/simple" }}
dependencies = [{{ name = "mlflow-skinny" }}]

[[package]]
name = "mlflow"
version = "3.17"
source = {{ registry = "https://x.example/simple" }}

[[package]]
name = "mlflow-skinny"
version = "3.17"
source = {{ registry = "https://x.example/simple" }}

[[package]]
name = "wine"
version = "0.1.0"
source = {{ virtual = "." }}

{tables}
"""
GROUPS = """\
[package.dev-dependencies]
dev = [{{ name = "pytest" }}]
ml = [{{ name = "{name}" }}]
"""
EXTRAS = """\
[package.optional-dependencies]
track = [{ name = "mlflow" }]
"""
TOLD = "the served selection has no MLflow"


def refused(folder: Path, tables: str, selection: Selection) -> tuple[str, str]:
    """What is said of a selection without MLflow, and its fix."""
    projects.project(folder)
    (folder / "uv.lock").write_text(LOCK.format(tables=tables))
    with pytest.raises(BadProject) as caught:
        require_mlflow(parse_requirements("scikit-learn==1.7\n"), selection, read_project(folder))
    return caught.value.what, caught.value.fix


@pytest.mark.parametrize("name", ["mlflow", "mlflow-skinny", "flavors"])
def test_the_group_that_leads_to_mlflow_is_named(tmp_path: Path, name: str) -> None:
    """
    Also where another package of the group brings it.
    """
    found = refused(tmp_path, GROUPS.format(name=name), Selection(package=None, extras=(), groups=()))

    assert (TOLD, '--groups ml, or `groups = ["ml"]` in [tool.mlflow-uv]') == found


def test_what_was_selected_stays_selected(tmp_path: Path) -> None:
    """
    The input that is named replaces the one that was given.
    """
    found = refused(tmp_path, GROUPS.format(name="mlflow"), Selection(package=None, extras=(), groups=("dev",)))

    assert '--groups dev,ml, or `groups = ["dev", "ml"]` in [tool.mlflow-uv]' == found[1]


def test_an_extra_is_named_as_an_extra(tmp_path: Path) -> None:
    """
    Where no group has it.
    """
    found = refused(tmp_path, EXTRAS, Selection(package=None, extras=(), groups=()))

    assert '--extras track, or `extras = ["track"]` in [tool.mlflow-uv]' == found[1]


def test_a_project_without_mlflow_is_told_to_add_it(tmp_path: Path) -> None:
    """
    That advice is right where nothing of the project has it.
    """
    found = refused(tmp_path, "", Selection(package=None, extras=(), groups=()))

    assert (TOLD, "uv add mlflow") == found
