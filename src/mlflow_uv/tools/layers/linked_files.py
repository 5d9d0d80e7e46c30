"""Notices changes of files that an environment shares with others, as hard links to unpacked layers."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from ...command.errors import BadInput, ToolFailed
from ...core.security.documents import parse_json
from ..project.files import write_atomically
from ..system.process import Runner
from ..system.untrusted_file import read_untrusted

PLAIN, EXECUTABLE = 0o444, 0o555
# Files and links by relative path. Of a file it is the digest, with `x` before it if the file is executable; of a link
# `-> ` and its target.
Entries = Mapping[str, str]
_LIST = "mlflow-uv-linked.json"
_LONGEST_LIST = 64 << 20
_WHOLE = 1 << 20  # a file of at most so many bytes is read at once
_SHARES = 4  # of the files, which are read concurrently
SETTLED_NS = 2 * 10**9  # two changes within less than that may have the same time


class LinkedFiles:
    """
    The files of an environment that were linked from unpacked layers.

    Who writes into one of them changes it for all environments that have it, and can restore its size and the time of
    its modification. The time of its last change of any kind (ctime) cannot be set. So a file is read again only if it
    has another one than when it was compared last: after a write, and after each new link to it.
    """

    def __init__(self, folder: Path, runner: Runner, *, settled_ns: int = SETTLED_NS) -> None:
        """A file whose last change is less than `settled_ns` ago is read again the next time, too."""
        self._folder = folder
        self._runner = runner
        self._settled_ns = settled_ns

    @property
    def listed(self) -> bool:
        """Whether the environment has files that were linked."""
        return os.path.lexists(self._folder / _LIST)

    @property
    def unchanged(self) -> bool:
        """Whether each file is as it was linked; false without a list of them."""
        try:
            content = parse_json(read_untrusted(self._folder / _LIST, limit=_LONGEST_LIST))
            files, times = dict(content["files"]), dict(content["times"])
        except (BadInput, OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        states = self._states(files)
        paths = [path for path in files if times.get(path) != states[path] or not states[path]]
        shares = [paths[at::_SHARES] for at in range(_SHARES)]
        unchanged = all(self._runner.side_by_side([partial(self._are, share, files) for share in shares]))
        if unchanged and paths:
            with suppress(OSError, ToolFailed):  # of another user: they are compared again next time
                self._write(files, states)
        return unchanged

    def write(self, entries: Entries) -> None:
        """Keep what was linked, in a new environment. Raises OSError, ToolFailed."""
        self._write(entries, {})

    def _write(self, files: Entries, times: Mapping[str, str]) -> None:
        content = {"files": dict(files), "times": {path: state for path, state in times.items() if state}}
        write_atomically(self._folder / _LIST, json.dumps(content).encode())

    def _states(self, files: Entries) -> dict[str, str]:
        """The number and the time of each file; empty if it is lost, or too new to tell of a later change."""
        settled_ns = time.time_ns() - self._settled_ns
        states = {}
        for path in files:
            states[path] = ""
            with suppress(OSError):
                state = os.lstat(f"{self._folder}/{path}")
                if state.st_ctime_ns < settled_ns:
                    states[path] = f"{state.st_ino} {state.st_ctime_ns}"
        return states

    def _are(self, paths: list[str], files: Entries) -> bool:
        places = ((f"{self._folder}/{path}", files[path]) for path in paths)
        return all(described(place, is_link=os.path.islink(place))[0] == text for place, text in places)  # noqa: PTH114


def described(path: str, *, is_link: bool) -> tuple[str, int]:
    """A file or a link as in `Entries`, and its size; for anything else, what no list has."""
    try:
        if is_link:
            return f"-> {os.readlink(path)}", 0  # noqa: PTH115  # of thousands of files
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            state = os.fstat(descriptor)
            mode = stat.S_IMODE(state.st_mode)
            if not stat.S_ISREG(state.st_mode) or mode not in {PLAIN, EXECUTABLE}:
                return "", 0
            if state.st_size <= _WHOLE:
                digest = hashlib.sha256(file.read()).hexdigest()
            else:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return f"{'x' if mode == EXECUTABLE else ''}{digest}", state.st_size
    except OSError:
        return "", 0
