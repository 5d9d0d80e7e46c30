"""The table of a policy in the manifest of a project."""

from pathlib import Path

from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.project.policy_table import policy_table


def test_messages_name_the_manifest_from_where_the_caller_is(tmp_path: Path) -> None:
    """
    A project without the table has an empty one.
    """
    text = '[project]\nname = "wine"\n[tool.mlflow-uv.policy]\nexcluded = ["six"]\n'
    (tmp_path / "wine").mkdir()
    (tmp_path / "wine" / "pyproject.toml").write_text(text)
    project = read_project(tmp_path / "wine")

    policy, promote = (policy_table(project, name, where=tmp_path) for name in ("policy", "promote"))

    subject = "`excluded` in [tool.mlflow-uv.policy] (line 4 of wine/pyproject.toml)"
    assert (subject, {}) == (policy.describe("excluded"), promote.value)
