"""The progress messages of long operations."""

import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from mlflow_uv.tools.system.progress import progress_of, readable
from tests.waiting import CEILING_S


class Listener:
    """A console that lets a test wait for the first message."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.has_line = threading.Event()

    def say(self, text: str) -> None:
        self.lines.append(text)
        self.has_line.set()

    def step(self, name: str):
        return nullcontext()

    def group(self, title: str, *, folded: bool = True):
        return nullcontext()

    def foreign(self, line: str) -> None:
        raise AssertionError(line)

    def conceal(self, secret: str) -> None:
        raise AssertionError(secret)


def test_what_takes_long_is_told_with_its_size(tmp_path: Path) -> None:
    """
    What is done, and how much lies there by now, in folders too; the end is not told.
    """
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(bytes(2_500_000))
    console = Listener()

    with progress_of(console, "downloading m-1", tmp_path, silent_s=0):
        has_line = console.has_line.wait(CEILING_S)

    assert (True, ["  downloading m-1: 2.5 MB"]) == (has_line, console.lines)


def test_what_is_quick_is_not_told(tmp_path: Path) -> None:
    """
    Within the first seconds nothing is said, also of a folder that is not there yet.
    """
    console = Listener()

    with progress_of(console, "downloading m-1", tmp_path / "none"):
        pass

    assert [] == console.lines


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0 MB"), (340_000, "0.3 MB"), (9_900_000, "9.9 MB"), (3e9, "3000 MB")]
)
def test_a_size_is_told_in_megabytes(size: int, text: str) -> None:
    """
    Two digits or whole megabytes: nobody compares more.
    """
    told = readable(size)

    assert text == told
