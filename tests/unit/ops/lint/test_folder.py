"""Files are read inside the folder, within limits."""

import os
from pathlib import Path

import pytest

from mlflow_uv.ops.lint.folder import LIMIT, CheckedFolder, CodeLimits


def test_what_is_outside_or_no_text_is_not_read(tmp_path: Path) -> None:
    """
    Links out of the folder, devices, pipes, folders, binary and huge files, and names that no file can have.
    """
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to("../secret")
    (folder / "device").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    (folder / "binary").write_bytes(b"a\0b")
    (folder / "huge").write_bytes(b"a" * (LIMIT + 1))
    files = CheckedFolder(str(folder))

    names = ("../secret", "link", "device", "loop", "pipe", "binary", "huge", ".", "", "no", "a\0b", "x" * 5000)

    assert dict.fromkeys(names) == {name: files.text(name) for name in names}
    assert [b"", b""] == [files.head("link"), files.head("pipe")]


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    """
    As in a monorepo that shares a lock.
    """
    (tmp_path / "a").write_text("\ufeffä\r\n")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "bytes").write_bytes(b"\xff")
    files = CheckedFolder(str(tmp_path))

    assert ("ä\r\n", "\udcff") == (files.text("b"), files.text("bytes"))


def test_the_nearest_lock_counts(tmp_path: Path) -> None:
    """
    Up to the checked folder, and not above it.
    """
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/uv.lock").write_text("")
    files = CheckedFolder(str(tmp_path / "a"))

    locks = [files.lock_of(folder) for folder in ("b/c", "b", "")]

    assert ["b", "b", None] == [lock and lock.folder for lock in locks]


def test_the_code_of_a_project_is_read_without_that_of_others(tmp_path: Path) -> None:
    """
    Neither tests, nor hidden folders, nor folders of package managers, nor what links lead to outside.
    """
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/code.py").write_text("")
    for name in ("a.py", "b/c.py", "b/text.md", "tests/d.py", ".hidden/e.py", "venv/f.py", "node_modules/g.py"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text("x = 1\n")
    (tmp_path / "project/link").symlink_to("../elsewhere")
    (tmp_path / "project/outside.py").symlink_to("../elsewhere/code.py")
    files = CheckedFolder(str(tmp_path / "project"))

    assert ["a.py", "b/c.py"] == [code.path for code in files.code_below("") or ()]
    assert [("b/c.py", "x = 1\n")] == list(files.code_below("b") or ())


@pytest.mark.parametrize("limits", [CodeLimits(files=2), CodeLimits(length=6), CodeLimits(names=3)])
def test_code_is_read_up_to_a_limit(tmp_path: Path, limits: CodeLimits) -> None:
    """
    Beyond it there is no answer in place of one about some of the files.
    """
    for name in ("a.py", "b.py", "c.txt"):
        (tmp_path / name).write_text("12\n")
    whole = CheckedFolder(str(tmp_path), limits).code_below("")
    (tmp_path / "d.py").write_text("12\n")

    assert ["a.py", "b.py"] == [code.path for code in whole or ()]
    assert CheckedFolder(str(tmp_path), limits).code_below("") is None
