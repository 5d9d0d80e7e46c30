"""What a build writes into source folders is deleted, and nothing else."""

from pathlib import Path

import pytest

from mlflow_uv.tools.engines.source_snapshot import restored_sources, without_empty_folder


def test_only_folders_that_the_build_made_are_deleted(tmp_path: Path) -> None:
    """
    A `build` that was there before is the user's, and so is any other new file.
    """
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs / "build"):
        folder.mkdir(parents=True)

    with restored_sources((ours, theirs)):
        for name in (
            "ours/build/lib",
            "ours/src/grape.egg-info",
            "ours/grape.egg-info",
            "ours/notes",
            "theirs/build/x",
        ):
            (tmp_path / name).mkdir(parents=True)

    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert {"ours", "ours/src", "ours/notes", "theirs", "theirs/build", "theirs/build/x"} == left


def test_they_are_deleted_after_a_failed_build_too(tmp_path: Path) -> None:
    """
    The error is the build's.
    """
    with pytest.raises(KeyError), restored_sources((tmp_path,)):
        _fail(tmp_path / "build")

    assert not (tmp_path / "build").exists()


def _fail(folder: Path) -> None:
    folder.mkdir()
    raise KeyError


@pytest.mark.parametrize(
    ("before", "content", "there"), [(False, False, False), (False, True, True), (True, False, True)]
)
def test_a_folder_is_removed_if_it_is_new_and_empty(tmp_path: Path, before: bool, content: bool, there: bool) -> None:
    """
    MLflow makes one that nobody asked for; one with runs in it is somebody's store.
    """
    folder = tmp_path / "mlruns"
    if before:
        folder.mkdir()

    with without_empty_folder(folder):
        folder.mkdir(exist_ok=True)
        if content:
            (folder / "0").touch()

    assert there == folder.exists()


def test_a_folder_that_never_came_is_no_error(tmp_path: Path) -> None:
    """
    Newer MLflow makes none.
    """
    with without_empty_folder(tmp_path / "mlruns"):
        pass
