"""Which files of a model follow from the lock alone."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadProject
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.locked_files import _project_files


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
