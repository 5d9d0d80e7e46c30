"""Makes folders for files that are not complete yet, moves complete ones, and removes those of killed processes."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_ISDIR
from tempfile import TemporaryDirectory, gettempdir

PREFIX = ".new-"
# A folder is locked a moment after it is made: a younger one is left alone.
YOUNG_S = 60.0
_OTHERS = S_IRWXG | S_IRWXO
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2


@contextmanager
def new_folder(parent: Path, *, prefix: str = PREFIX) -> Iterator[Path]:
    """
    Provide a folder below `parent`, from which complete files are moved; it is removed when the block ends.

    Its name begins with `prefix`. It is locked meanwhile, and the lock ends with the process, however that ends. What
    other processes left there without a lock is removed first.
    """
    remove_abandoned(parent, prefix=prefix)
    with TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(descriptor)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """
    Provide a folder in the temporary folder of the machine for a block; those of killed processes are removed first.

    It is in a folder that this user alone can read. Where somebody else made one of that name, it is beside it, and
    what a killed process leaves there stays.
    """
    own = Path(gettempdir()) / f"mlflow-uv-{os.getuid()}"
    with ExitStack() as stack:
        folder = None
        while folder is None:
            with suppress(FileNotFoundError):  # another process ended, and removed it as empty
                folder = stack.enter_context(_scratch_in(own) if _is_private(own) else _scratch_beside())
        yield folder


def _is_private(own: Path) -> bool:
    """Make a folder for this user alone, and say whether it is one: somebody else may have made it before."""
    with suppress(FileExistsError):
        own.mkdir(mode=0o700)
    state = own.lstat()
    return S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & _OTHERS


@contextmanager
def _scratch_in(own: Path) -> Iterator[Path]:
    try:
        with new_folder(own) as folder:
            yield folder
    finally:
        with suppress(OSError):  # others are in it
            own.rmdir()


@contextmanager
def _scratch_beside() -> Iterator[Path]:
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        yield Path(scratch)


def remove_abandoned(parent: Path, *, prefix: str = PREFIX, young_s: float = YOUNG_S) -> None:
    """Remove the folders that no process has locked; those of running processes, and links, are left alone."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # removed by another process, or not ours to remove
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(descriptor).st_mtime > young_s:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def replace_folder(new: Path, folder: Path, *, old: Path) -> None:
    """
    Put `new` in the place of `folder`, and what was there, if anything, for a minute beside it.

    A process that is listing the old folder finds all of its files; the next `new_folder` after that removes it. `old`
    is a free path of the same file system.

    `renameat2` of Linux and `renamex_np` of macOS exchange two folders, so that there is always one. Some file systems
    cannot do that: there nothing is in the place for a moment.
    """
    if folder.is_symlink() and not folder.exists():  # leads nowhere
        folder.unlink(missing_ok=True)
    if not folder.exists():
        new.rename(folder)
        return
    if _exchanged(new, folder):
        replaced = new
    else:
        replaced = folder.rename(old)
        new.rename(folder)
    if replaced.is_dir() and not replaced.is_symlink():
        os.utime(replaced)  # its age counts from now
        replaced.rename(folder.with_name(f"{PREFIX}{os.urandom(8).hex()}"))


def replace_file(new: Path, file: Path) -> None:
    """Put `new` in the place of `file`, and remove a folder that is there instead of a file."""
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file, ignore_errors=True)
    new.replace(file)


def _exchanged(first: Path, second: Path) -> bool:
    names = os.fsencode(first), os.fsencode(second)
    try:
        import ctypes  # noqa: PLC0415  # some Pythons are built without it, and it takes 7 ms

        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, _RENAME_SWAP) == 0)
        return bool(library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
    except (ImportError, OSError, AttributeError):  # or an older C library
        return False
