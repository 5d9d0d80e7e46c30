"""Parses the paths that a tested container may read (`serve-mounts`)."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern

# Both engines write a mount as CSV; these characters would end a part of it.
_PATH = lazy_pattern(r"/[^\x00-\x1f\x7f,\"\\]+")
# The image's own files, and what the engine makes.
_TAKEN = tuple(map(PurePosixPath, ("/opt/mlflow-uv", "/opt/model", "/opt/venv", "/proc", "/sys", "/dev")))
_SCRATCH = PurePosixPath("/tmp")  # noqa: S108  # of the container; a path below it can be mounted


def serve_mounts(paths: Iterable[str]) -> tuple[str, ...]:
    """
    Return the paths, which are the same on this machine and in the container.

    Raises BadInput for one that is not absolute, not a file or folder, or where the image has files of its own.
    """
    mounts = tuple(dict.fromkeys(paths))
    for path in mounts:
        if _PATH.fullmatch(path) is None or ".." in PurePosixPath(path).parts:
            why = "a mount is an absolute path without comma, quote, backslash or `..`"
            raise BadInput(what=f"`serve-mounts` has {path!r}", why=why)
        if PurePosixPath(path) == _SCRATCH or any(_overlap(PurePosixPath(path), taken) for taken in _TAKEN):
            raise BadInput(what=f"`serve-mounts` cannot have `{path}`", why="the image has files of its own there")
        if not (Path(path).is_dir() or Path(path).is_file()):
            why = "it is neither a file nor a folder on this machine"
            raise BadInput(what=f"`serve-mounts` has `{path}`", why=why, fix="create it before this step")
    return mounts


def _overlap(path: PurePosixPath, taken: PurePosixPath) -> bool:
    return path.is_relative_to(taken) or taken.is_relative_to(path)
