"""Copies a folder, and raises the error of the first file that cannot be written, such as that of a full disk."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def copy_tree(source: Path, target: Path, *, copy: Callable[[str, str], Any] = shutil.copy2, **options: Any) -> None:
    """
    Copy a folder as `shutil.copytree` does, with its options, and each file by `copy`.

    Raises the first OSError, with the path that was written. `shutil.copytree` raises a list of texts without
    `errno`, by which a full disk is recognised.
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
