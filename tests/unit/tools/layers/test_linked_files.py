"""Files of an environment that are hard links, compared before they are used."""

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from mlflow_uv.tools.layers.linked_files import LinkedFiles, described
from mlflow_uv.tools.system.process import SystemRunner

T = TypeVar("T")
FILES = {"lib/grape.py": b"red", "lib/pips/seed.py": b"x = 1", "bin/press": b"#!"}


class KeptRunner(SystemRunner):
    """Counts the files that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        self.read.append(sum(len(cast("Any", task).args[0]) for task in tasks))
        return super().side_by_side(tasks)


def environment_in(folder: Path, runner: SystemRunner) -> LinkedFiles:
    """An environment of three files and a link, which was made a while ago."""
    entries = {"lib/alias.py": "-> grape.py"}
    for name, data in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o555 if name.startswith("bin/") else 0o444)
        entries[name] = f"{'x' if name.startswith('bin/') else ''}{sha256(data).hexdigest()}"
    (folder / "lib" / "alias.py").symlink_to("grape.py")
    linked = LinkedFiles(folder, runner)
    linked.write(entries)
    return linked


def in_place(folder: Path) -> None:
    """Other bytes, with size and time of before."""
    file = folder / "lib" / "grape.py"
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(b"RED")
    file.chmod(0o444)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def through_another_link(folder: Path) -> None:
    """The same by another name of the file, as in another environment."""
    other = folder.parent / "other"
    (other / "lib").mkdir(parents=True)
    os.link(folder / "lib" / "grape.py", other / "lib" / "grape.py")
    in_place(other)


def lost(folder: Path) -> None:
    """No file."""
    (folder / "lib" / "pips" / "seed.py").unlink()


def linked_to_another(folder: Path) -> None:
    """A link to another file."""
    (folder / "lib" / "alias.py").unlink()
    (folder / "lib" / "alias.py").symlink_to("pips/seed.py")


def not_executable(folder: Path) -> None:
    """A program that cannot be started."""
    (folder / "bin" / "press").chmod(0o444)


def pipe(folder: Path) -> None:
    """A pipe, which nobody waits for."""
    lost(folder)
    os.mkfifo(folder / "lib" / "pips" / "seed.py", 0o444)


def list_is_a_pipe(folder: Path) -> None:
    """A list that nobody ever writes."""
    (folder / "mlflow-uv-linked.json").unlink()
    os.mkfifo(folder / "mlflow-uv-linked.json")


def list_is_cut(folder: Path) -> None:
    """Half a list."""
    text = (folder / "mlflow-uv-linked.json").read_text()
    (folder / "mlflow-uv-linked.json").write_text(text[: len(text) // 2])


@pytest.mark.parametrize("compared_before", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        in_place, through_another_link, lost, linked_to_another, not_executable, pipe, list_is_a_pipe, list_is_cut,
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_it_was_linked_is_noticed(
    tmp_path: Path, fault: Callable[[Path], None], *, compared_before: bool
) -> None:
    """
    Also right after it was compared, which two changes within a moment can follow.
    """
    linked = environment_in(tmp_path / "environment", SystemRunner())
    before = linked.unchanged if compared_before else True
    fault(tmp_path / "environment")

    assert (True, True, False) == (before, linked.listed, linked.unchanged)


def test_only_a_file_that_may_have_changed_is_read_again(tmp_path: Path) -> None:
    """
    One that was compared a while after its last change, and has not changed since, is not.
    """
    runner, folder = KeptRunner(), tmp_path / "environment"
    linked = environment_in(folder, runner)
    fresh = [linked.unchanged, linked.unchanged]
    later = LinkedFiles(folder, runner, settled_ns=0)
    settled = [later.unchanged, later.unchanged]
    os.link(folder / "lib" / "grape.py", tmp_path / "another")
    settled += [later.unchanged, later.unchanged]
    in_place(folder)

    assert [True, True, True, True, True, True] == fresh + settled
    assert False is later.unchanged
    assert [4, 4, 4, 0, 1, 0, 1] == runner.read


def test_an_environment_without_a_list_was_not_linked(tmp_path: Path) -> None:
    """
    Its files are neither compared nor called unchanged.
    """
    linked = LinkedFiles(tmp_path, SystemRunner())

    assert (False, False) == (linked.listed, linked.unchanged)


def test_what_is_neither_a_file_nor_a_link_is_in_no_list(tmp_path: Path) -> None:
    """
    Nor is a file that may be written.
    """
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe", 0o444)

    found = [described(str(tmp_path / name), is_link=False) for name in ("file", "pipe", "nothing")]

    assert [("", 0)] * 3 == found
