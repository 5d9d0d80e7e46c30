"""What the files of a model record: the Python that it was trained with, and the project without credentials."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, BadProject
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.proof import _project_files, _trained_with, require_run
from tests.messages import MODEL


def test_the_python_that_trained_is_the_one_the_model_names(tmp_path: Path) -> None:
    """
    A model that is found again was trained with its own Python, whichever one is here today.
    """
    (tmp_path / "mlflow-uv").mkdir()
    (tmp_path / model_files.PYTHON).write_text("3.11.7\n")

    found = _trained_with(tmp_path)

    assert "3.11.7" == found


def test_a_model_that_names_no_python_says_nothing(tmp_path: Path) -> None:
    """
    Not said is not guessed here: the caller knows what it trained with.
    """
    found = _trained_with(tmp_path)

    assert found is None


def test_a_model_without_a_run_is_refused_before_its_release_is_half_done() -> None:
    """
    The record is logged to the run at the very end, after the alias was moved.
    """
    with pytest.raises(BadInput, match=r"`model` was logged without a run: .*Fix: call `log_model` inside"):
        require_run(replace(MODEL, run_id=None))

    assert "r1" == require_run(MODEL)


def test_the_manifest_of_a_model_has_no_part_of_a_password(tmp_path: Path) -> None:
    """
    uv sends all of it, up to the last @ before the path.
    """
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text('[[tool.uv.index]]\nurl = "https://robot:p@ss-word@example.invalid/simple"\n')

    found = _project_files(b"version = 1\n", manifest)

    expected = b'[[tool.uv.index]]\nurl = "https://example.invalid/simple"\n'
    assert {model_files.LOCK: b"version = 1\n", model_files.MANIFEST: expected} == found


@pytest.mark.parametrize(
    ("locked", "line", "file"),
    [
        ('source = { registry = "https://robot:p@ss@example.invalid/simple" }\n', "", "uv.lock"),
        ("", r'url = "https://robot:p\u0040ss\u0040example.invalid/simple"', "pyproject.toml"),
        ("", 'dependencies = ["a @ https://robot:p\'ss@example.invalid/a.whl"]', "pyproject.toml"),
    ],
)
def test_credentials_that_would_be_stored_with_a_model_are_refused(
    tmp_path: Path, locked: str, line: str, file: str
) -> None:
    """
    A lock is stored as it is, and so is a manifest in which they are hidden by escapes or quotes.
    """
    manifest = tmp_path / "pyproject.toml"
    manifest.write_text(f"{line}\n")

    with pytest.raises(BadProject) as refused:
        _project_files(locked.encode(), manifest)

    assert f"{file} contains credentials" == str(refused.value.what)
