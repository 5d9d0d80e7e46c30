"""The project folder of a changed file."""

from pathlib import Path

import pytest

from mlflow_uv.tools.project.nearest import nearest_project


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("uv.lock", "."), ("a/src/x.py", "a"), ("a/b/uv.lock", "a/b"), ("c/uv.lock", "."),
        ("node_modules/p/uv.lock", None), ("env/lib/x/pyproject.toml", None), ("../out/uv.lock", None),
    ],
)  # fmt: skip
def test_a_file_belongs_to_the_nearest_manifest(tmp_path: Path, file: str, folder: str | None) -> None:
    """
    In the folder that the hook was started in; files of environments and vendored copies belong to none.
    """
    top = tmp_path / "top"
    for place in ("top", "top/a", "top/a/b", "top/node_modules/p", "top/env/lib/x", "out"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "pyproject.toml").touch()
    (top / "env" / "pyvenv.cfg").touch()

    nearest = nearest_project(str((top / file).resolve()), str(top))

    assert (folder and str((top / folder).resolve())) == nearest


def test_the_root_of_the_file_system_ends_the_search() -> None:
    """
    A hook may be started there.
    """
    assert nearest_project("/no-such-folder/uv.lock", "/") is None
