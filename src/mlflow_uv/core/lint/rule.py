"""
Defines a rule of `lint`, and what it finds.

The values are named tuples: `dataclasses` and `pathlib` alone would take the 40 ms that a hook may take.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

LONGEST_LINE = 2_000  # characters of a line that is parsed; a longer one is data
PREFIX = "lint-"  # of the names of findings and hooks


class Edit(NamedTuple):
    """A replacement of the characters from `start` up to `end` of a file's text."""

    start: int
    end: int
    text: str


class LintProblem(NamedTuple):
    """
    A place (1-based line) that breaks a rule; none of its texts contains a secret.

    `path` is empty for the file that was read. `edits` correct the place without changing anything else. The paths in
    the fix are below the checked folder if it is `in_folder`.
    """

    line: int
    what: str
    why: str
    fix: str
    edits: tuple[Edit, ...] = ()
    path: str = ""
    in_folder: bool = False


class SourceFile(NamedTuple):
    """A file: its path below the checked folder, with slashes, and its text without a byte-order mark."""

    path: str
    text: str

    @property
    def folder(self) -> str:
        """The path of its folder, empty for the checked folder itself."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class LockedPackages(NamedTuple):
    """The packages of a uv.lock: versions by normal name, the range of Pythons, and the folder of the lock."""

    folder: str
    versions: Mapping[str, tuple[str, ...]]
    requires_python: str


class ProjectFiles(Protocol):
    """Other files of the checked folder, by their paths below it."""

    def lock_of(self, folder: str) -> LockedPackages | None:
        """The nearest lock, in a folder or above it; None without one."""

    def text(self, path: str) -> str | None:
        """The text of a file; None if it is missing, outside, binary or too large."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""

    def head(self, path: str) -> bytes:
        """The first bytes of a file, at most 512; empty if it cannot be read."""

    def code_below(self, folder: str) -> tuple[SourceFile, ...] | None:
        """The Python files below a folder, without those of tests and of others; None for too many to read."""


class LintRule(NamedTuple):
    """
    A rule, which reads either texts (`check`) or the names of tracked files (`check_names`).

    `summary` is one sentence, the first of the rule's page in docs/rules. `files` is a regular expression that is
    searched in paths with slashes. An `optional` rule is checked only where it is chosen.
    """

    name: str
    summary: str
    files: str
    check: Callable[[SourceFile, ProjectFiles], Iterable[LintProblem]] | None = None
    check_names: Callable[[tuple[str, ...], ProjectFiles], Iterable[LintProblem]] | None = None
    optional: bool = False

    @property
    def id(self) -> str:
        """The name of its findings and of its hook."""
        return f"{PREFIX}{self.name}"


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends, which are LF or CRLF."""
    return text.replace("\r\n", "\n").split("\n")


def line_at_offset(text: str, offset: int) -> int:
    """The 1-based line of a character."""
    return text.count("\n", 0, offset) + 1


def joined_path(folder: str, name: str) -> str:
    """The path of a file of a folder, with `.` and `..` resolved; it begins with `..` if it is outside."""
    parts: list[str] = []
    for part in (*folder.split("/"), *name.split("/")):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def is_test(path: str) -> bool:
    """Whether a file belongs to tests, whose addresses, passwords and models are made up."""
    *folders, name = path.lower().split("/")
    folded = {"test", "tests", "testing", "fixtures", "testdata", "test_data"}
    return bool(folded & set(folders)) or name.startswith(("test_", "conftest.")) or name.endswith("_test.py")
