"""Copies the files that describe a model's environment, and follows no link of the model."""

import errno
import os
import shutil
import stat
from pathlib import Path, PurePosixPath

from ...command.errors import BadInput
from ...core.model import model_files
from ...core.security.size_limits import LOCK_LIMIT

CONSTRAINTS = "constraints.txt"
_TEXTS = (
    "MLmodel", model_files.REQUIREMENTS, CONSTRAINTS, "conda.yaml", "python_env.yaml", *model_files.UV_FILES,
    model_files.LOCK, model_files.MANIFEST, model_files.PYTHON, model_files.SELECTION, model_files.HASHED,
    model_files.INDEXES,
)  # fmt: skip
_WHEELS_LIMIT = 4_000_000_000  # bytes of all wheels


def copy_environment_files(model: Path, copy: Path) -> None:
    """
    Copy requirements, environment files, lock and wheels of a model to a new folder; a file that it lacks is left out.

    Raises BadInput for a link or a device among them, for a text of more than LOCK_LIMIT bytes, for wheels of more than
    4 GB, and for a file that cannot be read.
    """
    copy.mkdir(parents=True)
    try:
        for name in _TEXTS:
            _copy(model, name, copy, LOCK_LIMIT)
        left = _WHEELS_LIMIT
        for name in _wheels(model):
            left -= _copy(model, name, copy, left)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(what=f"the model in `{model}` cannot be read", why=why) from error


def _wheels(model: Path) -> list[str]:
    folder = model / model_files.WHEELS
    _refuse_linked_folders(model, f"{model_files.WHEELS}/*")
    names = sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208  # names alone
    return [f"{model_files.WHEELS}/{name}" for name in names if name.endswith(".whl")]


def _copy(model: Path, name: str, copy: Path, limit: int) -> int:
    """Copy a regular file of at most `limit` bytes, and return its size; 0 if there is none."""
    _refuse_linked_folders(model, name)
    try:
        # Opening a pipe does not wait for a writer.
        descriptor = os.open(model / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _linked(model, name) from error
        raise
    with os.fdopen(descriptor, "rb") as source:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(what=f"`{name}` in `{model}` is not read", why="it is no regular file")
        if status.st_size > limit:
            why = f"it has {status.st_size / 1e6:.1f} MB, and no more than {limit / 1e6:.1f} MB are read"
            raise BadInput(what=f"`{name}` in `{model}` is not read", why=why)
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(source, out)
    return status.st_size


def _refuse_linked_folders(model: Path, name: str) -> None:
    """Raise BadInput if a folder of the model, above one of its files, is a link."""
    for folder in PurePosixPath(name).parents[:-1]:
        if (model / folder).is_symlink():
            raise _linked(model, str(folder))


def _linked(model: Path, name: str) -> BadInput:
    return BadInput(
        what=f"`{name}` in `{model}` is not read",
        why="it is a link, which may lead out of the model's folder",
        fix="copy the model with `cp -RL`, and name the copy",
    )
