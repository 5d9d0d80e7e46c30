"""
Reads the files of the checked folder within limits, and without following links out of it.

Only `os` is imported: a hook reads its files in milliseconds.
"""

import os
import stat
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from ...core.lint.locked_packages import locked_packages
from ...core.lint.rule import LockedPackages, SourceFile, is_test, joined_path
from ...core.lock.foreign_folders import is_foreign
from ...core.security.size_limits import LOCK_LIMIT

LIMIT = 2_000_000  # bytes of a file that is checked
_HEAD = 512
_BINARY = 8_000  # bytes in which git, too, looks for a NUL
_MARK = "\ufeff"


class CodeLimits(NamedTuple):
    """How much of a project is read for a rule about another file: Python files, their characters, and all names."""

    files: int = 1_000
    length: int = 50_000_000
    names: int = 200_000


CODE_LIMITS = CodeLimits()


class CheckedFolder:
    """The files below a folder, by their paths with slashes; see `ProjectFiles`."""

    def __init__(self, folder: str, code_limits: CodeLimits = CODE_LIMITS) -> None:
        self.folder = folder
        self._code_limits = code_limits
        self._real = os.path.realpath(folder)
        self.too_large: dict[str, int] = {}  # paths of files that were not read, with their limits in bytes
        self._lock_in = cache(self._read_lock)
        self.lock_of = cache(self._lock_of)
        self.code_below = cache(self._code_below)

    def text(self, path: str) -> str | None:
        """See ProjectFiles. The text has no byte-order mark, and bytes that are not UTF-8 are kept as surrogates."""
        return self._text(path, LIMIT)

    def _text(self, path: str, limit: int) -> str | None:
        data = self.read(path, limit)
        if data is None or b"\0" in data[:_BINARY]:
            return None
        return data.decode(errors="surrogateescape").removeprefix(_MARK)

    def read(self, path: str, limit: int) -> bytes | None:
        """The bytes of a regular file inside the folder; None if it is anything else, or larger than the limit."""
        full = self._inside(path)
        if full is None:
            return None
        try:
            # A pipe that takes the place of the file meanwhile is not waited for.
            descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        status = os.fstat(descriptor)
        regular = stat.S_ISREG(status.st_mode)
        if not regular or status.st_size > limit:
            if regular:
                self.too_large[path] = limit
            os.close(descriptor)
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor has no path
            try:
                return file.read(limit)
            except OSError:
                return None

    def head(self, path: str) -> bytes:
        """See ProjectFiles."""
        full = self._inside(path)
        try:
            if full is None or not stat.S_ISREG(os.lstat(full).st_mode):
                return b""
            with open(full, "rb") as file:  # noqa: PTH123  # `pathlib` is not imported
                return file.read(_HEAD)
        except OSError:
            return b""

    def exists(self, path: str) -> bool:
        """See ProjectFiles."""
        return self._inside(path) is not None

    def _code_below(self, folder: str) -> tuple[SourceFile, ...] | None:
        files: list[SourceFile] = []
        length = 0
        for path in self._python_files(folder):
            text = None if path is None else self.text(path)
            length += len(text or "")
            if path is None or length > self._code_limits.length or len(files) == self._code_limits.files:
                return None
            if text is not None:
                files.append(SourceFile(path, text))
        return tuple(files)

    def _python_files(self, folder: str) -> Iterator[str | None]:
        """The paths of Python files, sorted, and None after too many files; links to folders are not followed."""
        count = 0
        for where, folders, names in os.walk(os.path.join(self.folder, folder)):  # noqa: PTH118
            below = joined_path("", os.path.relpath(where, self.folder).replace(os.sep, "/"))
            folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_foreign(name))
            paths = (joined_path(below, name) for name in sorted(names) if name.endswith(".py"))
            yield from (path for path in paths if not is_test(path))
            count += len(names) + len(folders)
            if count > self._code_limits.names:
                yield None

    def _inside(self, path: str) -> str | None:
        """The real path of what exists inside the folder; None for anything else."""
        try:
            real = os.path.realpath(os.path.join(self.folder, path), strict=True)  # noqa: PTH118
        except (OSError, ValueError):
            return None
        return real if real == self._real or real.startswith(f"{self._real.rstrip('/')}/") else None

    def _read_lock(self, folder: str) -> LockedPackages | None:
        text = self._text(joined_path(folder, "uv.lock"), LOCK_LIMIT)
        return None if text is None else locked_packages(text, folder=folder)

    def _lock_of(self, folder: str) -> LockedPackages | None:
        while True:
            lock = self._lock_in(folder)
            if lock is not None or not folder:
                return lock
            folder = folder.rpartition("/")[0]
