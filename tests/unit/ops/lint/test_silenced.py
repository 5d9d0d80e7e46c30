"""Which problems a project silences."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lint.catalog import rule_of
from mlflow_uv.core.lint.rule import LintProblem
from mlflow_uv.ops.lint.check import BrokenRule
from mlflow_uv.ops.lint.folder import CheckedFolder
from mlflow_uv.ops.lint.silenced import Silenced

MANIFEST = '[project]\nname = "a"\nversion = "1"\n\n[tool.mlflow-uv.lint]\n'


def silent(folder: Path, path: str, rule: str = "credentials") -> bool:
    """Whether a problem in the first line of a file is silenced."""
    silenced = Silenced(folder, CheckedFolder(str(folder)), where=folder)
    return silenced.silent(BrokenRule(rule_of(rule), path, LintProblem(1, "", "", "")))


def test_settings_of_every_folder_above_a_file_count(tmp_path: Path) -> None:
    """
    Patterns are relative to their own folder.
    """
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(f'{MANIFEST}ignore = ["credentials:c.py"]\n')
    (tmp_path / "a/pyproject.toml").write_text(f'{MANIFEST}ignore = ["credentials:b"]\nwarn = ["credentials"]\n')

    answers = [silent(tmp_path, path) for path in ("c.py", "a/c.py", "a/b/c.py", "d.py")]

    assert [True, False, True, False] == answers


def test_a_comment_is_read_in_a_text_only(tmp_path: Path) -> None:
    """
    A model has no lines.
    """
    (tmp_path / "a").write_text("# mlflow-uv: ignore[credentials, committed-model]\n")

    assert [True, False] == [silent(tmp_path, "a"), silent(tmp_path, "a", "committed-model")]


def test_a_manifest_that_is_no_toml_silences_nothing(tmp_path: Path) -> None:
    """
    check-lock reports it; a mistake in the table is an error.
    """
    (tmp_path / "pyproject.toml").write_text("[")
    assert not silent(tmp_path, "a")

    (tmp_path / "pyproject.toml").write_text(f"{MANIFEST}ignore = 1\n")
    with pytest.raises(BadInput, match="must be a list"):
        silent(tmp_path, "a")
