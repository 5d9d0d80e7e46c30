"""A folder is copied, and what prevents it keeps its number and its place."""

import shutil
from errno import ENOSPC
from pathlib import Path

import pytest

from mlflow_uv.command.errors import NoSpace
from mlflow_uv.tools.project.output_folder import output_folder
from mlflow_uv.tools.system.tree_copy import copy_tree


def full(source: str, target: str) -> None:
    """A disk that is full, as `shutil.copy2` finds it."""
    raise OSError(ENOSPC, "No space left on device", source, None, target)


def test_a_folder_is_copied_with_what_is_below_it(tmp_path: Path) -> None:
    """
    By the options of `shutil.copytree`.
    """
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "below" / "a").write_text("a")
    (source / "left out").write_text("b")

    copy_tree(source, tmp_path / "target", ignore=shutil.ignore_patterns("left*"))

    assert ["below", "below/a"] == sorted(
        path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*")
    )


def test_a_full_disk_is_named_once_with_the_folder_of_the_input(tmp_path: Path) -> None:
    """
    However many files are not written, and none of them is left.
    """
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b"):
        (source / name).write_text(name)
    wanted = tmp_path / "new"

    with pytest.raises(NoSpace) as refused, output_folder(wanted, "bundle", "the bundle") as folder:
        copy_tree(source, folder, copy=full, dirs_exist_ok=True)

    assert ("the bundle cannot be written", f"No space left on device: {wanted}", "free space there") == (
        refused.value.what, refused.value.why, refused.value.fix,
    )  # fmt: skip
    assert [source] == list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """
    Nothing was copied then.
    """
    with pytest.raises(FileNotFoundError, match="gone"):
        copy_tree(tmp_path / "gone", tmp_path / "target")
