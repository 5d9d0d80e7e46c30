"""Finds the files of a table to score and identifies their contents."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from ...command.errors import BadInput, ToolFailed
from ...command.wording import Wording, option
from ...core.scoring.layout import HIDDEN, SUFFIXES, TableFormat, format_of
from ...core.scoring.manifest import InputFile, Manifest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import bounds_of, leads_out

KINDS = ", ".join(SUFFIXES)


@lazy_dataclass
class InputTable:
    """The files of a table by their relative POSIX paths, sorted, and the names of files that are not tables."""

    files: Mapping[str, Path]
    ignored: tuple[str, ...] = ()

    @property
    def formats(self) -> frozenset[TableFormat]:
        """The formats of the files."""
        return frozenset(kind for kind in map(format_of, self.files) if kind is not None)


def input_table(path: Path) -> InputTable:
    """
    Return the files of a table: one file, or all tables below a folder.

    Names that start with `_` or `.` are skipped, as pyarrow and Spark do. Raises BadInput.
    """
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise BadInput(
            what=f"the input `{path}` does not exist",
            why=f"there is no such file or folder in {path.absolute().parent}",
            fix=option("input", "PATH"),
        )
    if not path.is_file():
        raise BadInput(
            what=f"the input `{path}` is not a file",
            why="it is a device or a pipe, and an input is read more than once",
        )
    _require_own(path, path)
    if format_of(path.name) is None:
        raise _unsupported(path)
    return InputTable(files={path.name: path})


def _folder(folder: Path) -> InputTable:
    files: dict[str, Path] = {}
    ignored: list[str] = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN))
        for name in names:
            path = Path(base, name)
            if name.startswith(HIDDEN) or not path.is_file():
                continue
            relative = path.relative_to(folder).as_posix()
            if format_of(name) is None:
                ignored.append(relative)
            else:
                _require_own(path, folder)
                files[relative] = path
    if not files:
        why = f"it has {len(ignored)} files of other types, such as `{ignored[0]}`" if ignored else "it is empty"
        raise BadInput(
            what=f"the folder `{folder}` has no table", why=f"{why}; tables are {KINDS}", fix=option("input", "PATH")
        )
    return InputTable(files=dict(sorted(files.items())), ignored=tuple(sorted(ignored)))


def _require_own(file: Path, given: Path) -> None:
    """Reject a link of a checkout to a file outside of it: the checkout would decide what is read."""
    bounds = bounds_of(given)
    if bounds is not None and leads_out(file, bounds):
        raise BadInput(
            what=f"the input `{file}` is a link out of `{bounds}`",
            why=f"it leads to {os.path.realpath(file)}, and a checkout may not decide which other files are read",
            fix=option("input", os.path.realpath(given if given.is_symlink() else file.parent)),
        )


def _unsupported(path: Path) -> BadInput:
    suffix = path.suffix.lower() or "without a suffix"
    fix: str = option("input", f"{path.stem}.parquet")
    if suffix == ".json":
        fix = Wording("if each line is a JSON object, rename it: ", option("input", str(path.with_suffix(".jsonl"))))
    return BadInput(
        what=f"the input `{path}` is not of a supported type", why=f"`{suffix}` is not one of {KINDS}", fix=fix
    )


def identified(table: InputTable, manifest: Manifest | None) -> tuple[InputFile, ...]:
    """
    Return size, time and digest of every file.

    The digest of a file with the size and time in the manifest is taken from there: nothing is read twice for it.
    """
    recorded = {file.name: file for file in manifest.inputs} if manifest else {}
    return tuple(identify(name, path, recorded.get(name)) for name, path in table.files.items())


def identify(name: str, path: Path, before: InputFile | None) -> InputFile:
    """Return the identity of a file. Raises ToolFailed if it cannot be read."""
    try:
        status = path.stat()
        if before is not None and (before.size, before.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return before
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ToolFailed(what=f"the input `{path}` cannot be read", why=error.strerror or str(error)) from error
    return InputFile(name=name, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=digest)
