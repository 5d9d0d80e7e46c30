"""Finds the files of a model's folder that changed while the model was served."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...command.report import Finding, first_names
from ...tools.system.content import digests_in
from ..image.environment import INSTALLED_LIST

CHANGES_FIX = "write to a temporary folder"

ModelFiles = frozenset[tuple[PurePosixPath, str]]


def file_digests(model: Path) -> ModelFiles:
    """The files of a model with their digests, without bytecode and the list that an environment is made from."""
    digests = digests_in(model)
    return frozenset(entry for entry in digests if entry[0].name != INSTALLED_LIST and entry[0].suffix != ".pyc")


def changed_files(before: ModelFiles, model: Path) -> tuple[str, ...]:
    """The paths that were added, changed or removed since `before`, sorted; other servers may share or forbid them."""
    return tuple(sorted({path.as_posix() for path, _ in before ^ file_digests(model)}))


def changes_reason(files: tuple[str, ...]) -> str:
    """The reason for which a model that changed these files does not pass, with the first of them."""
    return f"the model changed files of its own folder: {first_names(files)}"


def folder_findings(before: ModelFiles, model: Path) -> Iterator[Finding]:
    """Yield a finding if the model changed its own files: in a container, whose files are read-only, it would fail."""
    if files := changed_files(before, model):
        yield Finding(
            rule="model-changed",
            what=changes_reason(files),
            why="they are read-only in an image, and several servers may share them",
            fix=CHANGES_FIX,
        )
