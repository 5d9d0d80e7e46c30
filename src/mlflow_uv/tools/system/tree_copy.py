"""Copies a folder, and raises what prevents it as it is, so that a full disk is one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def copy_tree(source: Path, target: Path, *, copy: Callable[[str, str], Any] = shutil.copy2, **options: Any) -> None:
    """
    Copy a folder as `shutil.copytree` does, with its options, and each file by `copy`.

    That one raises a list of texts, without the number of the error. Raises the first OSError, with the path that was
    written.
    """
    failures: list[OSError] = []

    def copied(file: str, place: str) -> None:
        try:
            copy(file, place)
        except OSError as error:
            failures.append(OSError(error.errno, error.strerror, place))
            raise

    try:
        shutil.copytree(source, target, copy_function=copied, **options)
    except shutil.Error as error:
        raise next(iter(failures), error) from error
