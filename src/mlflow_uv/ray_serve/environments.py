"""
Makes the environments of versions on a node from their locks, once each, and removes those that nothing uses.

A file beside each environment is locked as long as a replica uses it. The system ends the lock with the process.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import time
from pathlib import Path

from .node import INSTALL_S, POLL_S, Unusable, require_uv, run, sha256

MARK = "complete"  # the file that has the state of an environment from when it was made
IGNORED = frozenset({"__pycache__", "bytecode"})  # bytecode, of which a server reads what is in a folder of its own
UNUSED = 3  # environments that stay although no replica uses them: a version may be returned to
NAME = re.compile(r"[0-9a-f]{32}")
_CLOSED = -1
LOCK_S = 2 * INSTALL_S  # while another replica makes it


class EnvironmentLock:
    """An open file beside an environment, which is locked until `close`, or as long as this object is there."""

    def __init__(self, folder: Path, *, create: bool) -> None:
        """Raises FileNotFoundError without `create` if nobody made the file."""
        self._file = _CLOSED
        self._path = folder.with_name(f"{folder.name}.lock")
        self._file = os.open(self._path, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)

    def take(self, kind: int) -> bool:
        """Lock it, and say whether that is possible now, and whether the file is still there."""
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False

    def used_now(self) -> None:
        """Note that the environment is used now."""
        os.utime(self._file, ns=(time.time_ns(),) * 2)

    def remove(self) -> None:
        """Remove the file; who waits for it makes another one."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the lock."""
        if self._file != _CLOSED:
            os.close(self._file)
            self._file = _CLOSED

    __del__ = close


class NodeEnvironment:
    """An environment that stays as long as this object does; `bytecode` is a folder that ends with it."""

    def __init__(self, folder: Path, lock: EnvironmentLock) -> None:
        self.python = folder / "bin" / "python"
        self.bytecode = folder / "bytecode"
        self._lock = lock


def environment(model: Path, requirements: str, python: str, cache: Path) -> NodeEnvironment:
    """
    An environment with exactly the requirements of a model, by their hashes.

    It is made once on a node; the replicas that start meanwhile wait. Raises Unusable.
    """
    wheels = [sha256(path) for path in sorted((model / "mlflow-uv" / "wheels").glob("*"))]
    parts = [MARK, sha256(model / requirements), *wheels, python, platform.machine(), platform.libc_ver()[1]]
    folder = cache / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    cache.mkdir(parents=True, exist_ok=True)
    while True:
        lock = locked(folder, fcntl.LOCK_SH)
        if is_complete(folder):
            lock.used_now()
            remove_unused(cache)
            return NodeEnvironment(folder, lock)
        lock.close()
        lock = locked(folder, fcntl.LOCK_EX)
        try:
            if not is_complete(folder):
                make(folder, model, requirements, python)
        finally:
            lock.close()


def is_complete(folder: Path) -> bool:
    """Whether an environment was made to its end, and has the files from then."""
    try:
        made = (folder / MARK).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return (folder / "bin" / "python").exists() and made == state(folder)


def state(folder: Path) -> str:
    """
    A digest of the paths, sizes and times of all files of an environment without bytecode.

    Their content is not read: a replica starts at once, also with ten thousand files.
    """
    found = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if name not in IGNORED]
        for name in (*links, *files):
            path = Path(parent, name)
            shown = path.relative_to(folder).as_posix()
            if shown != MARK:
                target = str(path.readlink()) if path.is_symlink() else ""
                # A file of a package may be a link into the cache of uv; the interpreter is one of the node.
                facts = path.stat() if path.is_file() and not shown.startswith("bin/") else path.lstat()
                found.append([shown, target, facts.st_mode, facts.st_size, facts.st_mtime_ns])
    return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()


def make(folder: Path, model: Path, requirements: str, python: str) -> None:
    """Make an environment, in the place of one that is not complete. Raises Unusable."""
    uv = require_uv()
    run(uv, "venv", "--no-project", "--no-config", "--clear", "--python", python, str(folder), within=model)
    target = ("--python", str(folder / "bin" / "python"))
    listed = ("--no-deps", "--require-hashes", "--requirements", requirements)
    run(uv, "pip", "install", "--no-progress", *target, *listed, within=model)
    (folder / MARK).write_text(state(folder), encoding="utf-8")


def locked(folder: Path, kind: int, within_s: float = LOCK_S) -> EnvironmentLock:
    """The lock of an environment, of this kind. Raises Unusable if others have it for longer than `within_s`."""
    until = time.monotonic() + within_s
    while True:
        lock = EnvironmentLock(folder, create=True)
        if lock.take(kind):
            return lock
        lock.close()
        if time.monotonic() >= until:
            raise Unusable(
                f"{folder} is in use, and not complete or changed: remove it, and {folder.name}.lock beside it"
            )
        time.sleep(POLL_S)


def remove_unused(cache: Path) -> None:
    """Remove the environments that no replica uses, except those that were used last, and attempts that failed."""
    found = []
    for path in cache.glob("*.lock"):
        if not NAME.fullmatch(path.stem):
            continue
        folder = path.with_suffix("")
        try:
            lock = EnvironmentLock(folder, create=False)
        except FileNotFoundError:  # another replica removed it
            continue
        if lock.take(fcntl.LOCK_EX):
            found.append(((is_complete(folder), path.stat().st_mtime_ns), folder, lock))
        else:
            lock.close()
    found.sort(key=lambda unused: unused[0], reverse=True)
    for number, ((complete, _), folder, lock) in enumerate(found):
        if number >= UNUSED or not complete:
            # Without this file, what is left of a removal that is killed is no environment.
            (folder / MARK).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            lock.remove()
        lock.close()
