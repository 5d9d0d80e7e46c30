"""A copy of a repository, in which a lock is written without a change of the original."""

import os
from pathlib import Path

from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.lock_copy import copy_of_repository
from tests import checkout


def git() -> Git:
    """Git of this caller."""
    return Git(SystemRunner(), variables=dict(os.environ))


def copied(base: Path, top: Path) -> set[str]:
    """The files of a copy, relative to that of the repository."""
    folder = base / top.relative_to("/")
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_tracked_and_new_files_are_copied_and_ignored_ones_are_not(tmp_path: Path) -> None:
    """
    Writing to the copy of a lock changes the copy alone.
    """
    top = tmp_path / "top"
    (top / "member").mkdir(parents=True)
    for name in ("uv.lock", "member/pyproject.toml"):
        (top / name).write_text("original")
    (top / ".gitignore").write_text("*.log\n")
    checkout.repository(top)
    (top / "new.txt").touch()
    (top / "x.log").touch()

    with copy_of_repository(top / "member", git()) as (base, found):
        names = copied(base, top)
        (base / top.relative_to("/") / "uv.lock").write_text("changed")

    assert ({"uv.lock", "member/pyproject.toml", ".gitignore", "new.txt"}, top) == (names, found)
    assert ("original", False) == ((top / "uv.lock").read_text(), base.exists())


def test_outside_of_git_environments_and_caches_stay_behind(tmp_path: Path) -> None:
    """
    Whatever an environment is called.
    """
    for name in ("pyproject.toml", ".venv/x", "env/pyvenv.cfg", "env/x", "a/__pycache__/x.pyc", "a/b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    with copy_of_repository(tmp_path, git()) as (base, top):
        names = copied(base, top)

    assert {"pyproject.toml", "a/b.py"} == names


def test_large_files_are_linked_and_a_large_lock_is_copied(tmp_path: Path) -> None:
    """
    uv writes the lock.
    """
    (tmp_path / "data.bin").write_bytes(bytes(1_000_001))
    (tmp_path / "uv.lock").write_bytes(bytes(1_000_001))

    with copy_of_repository(tmp_path, git()) as (base, top):
        folder = base / top.relative_to("/")
        linked = [(folder / name).is_symlink() for name in ("data.bin", "uv.lock")]

    assert [True, False] == linked


def test_a_link_leads_where_it_led(tmp_path: Path) -> None:
    """
    One inside of the repository into the copy, so that what is written through it stays there; any other to its target.
    """
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    (top / "a" / "file").write_text("x")
    (tmp_path / "outside").write_text("y")
    (top / "inner").symlink_to("a/file")
    (top / "outer").symlink_to("../outside")

    with copy_of_repository(top, git()) as (base, _):
        folder = base / top.relative_to("/")
        targets = [(folder / name).resolve() for name in ("inner", "outer")]
        expected = [folder / "a" / "file", tmp_path / "outside"]

    assert expected == targets


def test_a_folder_beside_the_repository_is_there_to_be_read(tmp_path: Path) -> None:
    """
    An index of wheels, at its absolute place below the root of the copy.
    """
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "w.whl").write_text("w")
    (tmp_path / "top").mkdir()

    with copy_of_repository(tmp_path / "top", git(), beside=(tmp_path / "wheels", tmp_path / "gone")) as (base, _):
        below = base / tmp_path.relative_to("/")
        found = ((below / "wheels" / "w.whl").read_text(), (below / "gone").exists())

    assert ("w", False) == found
