"""Writes the folder that an input names: it is complete when it gets its name, or it is not written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

from ...command.errors import BadInput
from ...command.wording import option
from ..system.disk_errors import disk_errors
from ..system.partial_folders import new_folder
from .files import bounds_of, leads_out, require_parent

# Beside a folder of the user, where the name that is used in our own cache may be somebody else's.
SCRATCH = ".mlflow-uv-new-"


def require_new_folder(folder: Path, name: str) -> None:
    """Raise BadInput for a folder of an input that cannot be made, is in use or a link, or that a link leads to."""
    if folder.is_symlink():
        raise BadInput(
            what=f"`{folder}` is a link",
            why="what is written there gets its name at the end, and does not replace a link",
            fix=option(name, "NEW_FOLDER"),
        )
    require_parent(folder, option(name, "NEW_FOLDER"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(
            what=f"`{folder}` is {'not empty' if folder.is_dir() else 'no folder'}",
            why="existing files would become part of what is written there",
            fix=option(name, "NEW_FOLDER"),
        )
    if (bounds := bounds_of(folder)) is not None and leads_out(folder, bounds):
        why = f"it is {os.path.realpath(folder)}, because a link of the checkout leads there"
        raise BadInput(what=f"`{folder}` leads out of `{bounds}`", why=why, fix=option(name, "NEW_FOLDER"))


def require_replaceable_folder(folder: Path, name: str) -> None:
    """Raise BadInput for the folder of an input that is in use, or that no complete folder can take the place of."""
    require_new_folder(folder, name)
    if not folder.exists():
        return
    if os.path.ismount(folder):
        why = "a file system is mounted there, and a complete folder cannot take its place"
        raise BadInput(what=f"`{folder}` cannot be replaced", why=why, fix=option(name, str(folder / "NEW_FOLDER")))
    if os.geteuid() not in {0, folder.stat().st_uid}:
        why = "it belongs to another user, and the complete folder in its place would not"
        raise BadInput(what=f"`{folder}` cannot be replaced", why=why, fix=option(name, "NEW_FOLDER"))


@contextmanager
def output_folder(folder: Path, name: str, thing: str) -> Iterator[Path]:
    """
    Provide a folder that takes the place of `folder`, which is new or empty, when the block ends without an error.

    `name` is that of the input, and `thing` what is written. An empty folder keeps its mode, owner and group. What a
    killed process left beside it is removed. Raises BadInput, also for what somebody wrote into it meanwhile, NoSpace
    and ToolFailed, which name `folder`.
    """
    require_replaceable_folder(folder, name)
    with disk_errors(thing, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder.parent, prefix=SCRATCH) as scratch:
            new = scratch / "new"
            new.mkdir()
            with _named(folder, scratch):
                yield new
            _put(new, folder, name)


@contextmanager
def _named(folder: Path, scratch: Path) -> Iterator[None]:
    """Raise an error about a path in the folder that is made as one about the folder that it becomes."""
    try:
        yield
    except OSError as error:
        if Path(os.fsdecode(error.filename or "")).is_relative_to(scratch):
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise


def _put(new: Path, folder: Path, name: str) -> None:
    try:
        if folder.exists():
            state = folder.stat()
            os.chown(new, state.st_uid, state.st_gid)
            new.chmod(S_IMODE(state.st_mode))
        new.replace(folder)  # or an empty folder
    except OSError as error:
        require_replaceable_folder(folder, name)  # somebody else was there meanwhile
        why = error.strerror or str(error)
        raise BadInput(what=f"`{folder}` cannot be replaced", why=why, fix=option(name, "NEW_FOLDER")) from error
