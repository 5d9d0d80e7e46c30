"""Copies a repository, so that uv can write a lock without changing the checkout."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..git.git import Git
from ..system.tree_copy import copy_tree

# Larger files are data, which a build at most reads, so they are linked.
_COPIED_BYTES = 1_000_000
_EXCLUDED = frozenset({".git", ".hg", ".venv", "node_modules", "__pycache__", ".tox", ".nox"})


@contextmanager
def copy_of_repository(folder: Path, git: Git, *, beside: tuple[Path, ...] = ()) -> Iterator[tuple[Path, Path]]:
    """
    Copy the repository around a folder: tracked and untracked files, without ignored ones.

    Outside of git the folder itself is copied, without environments and caches. Yields the root of the copy and the
    folder that was copied. Every path keeps its absolute place below the root, so that relative paths stay valid; the
    paths in `beside` are linked there, to be read.
    """
    top = git.top(folder) or folder
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as name:
        base = Path(os.path.realpath(name))
        for path in git.files_below(top, (".",)) or _walk(top):
            _copy(path, _below(base, path), top)
        for path in beside:
            if path.exists() and not path.is_relative_to(top):
                _below(base, path).parent.mkdir(parents=True, exist_ok=True)
                _below(base, path).symlink_to(path)
        yield base, top


def _below(base: Path, path: Path) -> Path:
    return base / path.relative_to(path.anchor)


def _walk(top: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(top):
        folders[:] = [
            name for name in folders if name not in _EXCLUDED and not Path(place, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(place, name) for name in names)


def _copy(path: Path, target: Path, top: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        # A link inside the repository points into the copy, any other to its original target.
        inside = Path(os.path.normpath(path.parent / path.readlink())).is_relative_to(top)
        target.symlink_to(path.readlink() if inside else path.resolve())
    elif path.is_dir():  # a submodule
        copy_tree(path, target, symlinks=True, ignore=lambda _folder, names: _EXCLUDED & set(names))
    elif path.is_file():
        if path.stat().st_size > _COPIED_BYTES and path.name != "uv.lock":
            target.symlink_to(path)
        else:
            shutil.copy(path, target)
