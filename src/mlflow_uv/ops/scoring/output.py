"""Writes the parts of an output so that a reader sees a complete result or none, and a later run continues it."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ...command.errors import BadInput, NoSpace, StepError, ToolFailed
from ...command.wording import Wording, option
from ...core.scoring.layout import REJECTS, STATE
from ...core.scoring.manifest import InputFile, Manifest, Part, gapless, is_output, kept_parts, read_manifest
from ...tools.project.files import bounds_of, target_of, write_atomically

_MANIFEST, _STAGED, _LOCK = "manifest.json", "parts", "lock"
_TEMPORARY = ".writing"
# Never through a link, and without a change of what is there.
_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Output:
    """
    The folder of an output, which this process alone writes.

    New parts are staged in a folder that readers skip. `publish` moves them into place when all are complete, and
    removes those of an earlier run that they replace: results of two models are never mixed.
    """

    def __init__(self, folder: Path, manifest: Manifest | None) -> None:
        self.folder = folder
        self._manifest = manifest
        self._state = folder / STATE
        self._staged = self._state / _STAGED

    @property
    def recorded(self) -> Manifest | None:
        """The manifest, None in a new output."""
        return self._manifest

    @property
    def manifest(self) -> Manifest:
        """The manifest of the run that was begun."""
        assert self._manifest is not None  # noqa: S101  # `begin` wrote it
        return self._manifest

    def begin(self, key: str, run: Mapping[str, Any], inputs: tuple[InputFile, ...], *, strict: bool) -> None:
        """
        Keep what is complete for the run and delete what is staged for another one; published parts stay until the end.

        With `strict`, parts with rejected rows are not kept, so that those rows are tried again. Raises ToolFailed.
        """
        before = self._manifest
        parts = kept_parts(before, key, inputs) if before else ()
        parts = gapless(part for part in parts if self._whole(part) and not (strict and part.rejected))
        kept = {name for part in parts for name, _, _ in part.files}
        published = {name for name in (before.names if before else ()) if (self.folder / name).is_file()}
        with _disk(self.folder):
            for path in sorted(self._staged.rglob("*")) if self._staged.is_dir() else ():
                if path.is_file() and path.relative_to(self._staged).as_posix() not in kept:
                    path.unlink()
        whole = before is not None and before.complete and before.inputs == inputs and parts == before.parts
        self._save(
            Manifest(
                key=key, run=run, inputs=inputs, parts=parts, replaced=tuple(sorted(published - kept)), complete=whole
            )
        )

    def _whole(self, part: Part) -> bool:
        return all(self._holds(name, size, sha256) for name, size, sha256 in part.files)

    def _holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether a file of a part has its content; a staged one has precedence over one to be replaced."""
        path = self._staged / name if (self._staged / name).is_file() else self.folder / name
        try:
            if path.stat().st_size != size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    @contextmanager
    def writing(self, name: str) -> Iterator["StagedFile"]:
        """Stage a file, which is complete when `finish` is called; without that nothing of it is left."""
        path = self._staged / name
        with _disk(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
        file = StagedFile(path, self.folder)
        try:
            yield file
        finally:
            file.discard()

    def add(self, part: Part) -> None:
        """Record a part whose files are staged."""
        self._save(replace(self.manifest, parts=(*self.manifest.parts, part)))

    def drop(self, name: str) -> None:
        """Forget the parts of an input that changed while it was read."""
        self._save(replace(self.manifest, parts=tuple(part for part in self.manifest.parts if part.input != name)))

    def publish(self) -> None:
        """Move the staged files into place, remove the replaced ones, and mark the output as complete."""
        names = {name for part in self.manifest.parts for name, _, _ in part.files}
        with _disk(self.folder):
            for name in self.manifest.replaced:
                if name not in names:
                    (self.folder / name).unlink(missing_ok=True)
                    self._remove_empty((self.folder / name).parent)
            for name in sorted(names):
                if (self._staged / name).is_file():
                    (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (self._staged / name).replace(self.folder / name)
            shutil.rmtree(self._staged, ignore_errors=True)
        self._save(replace(self.manifest, replaced=(), complete=True))

    @property
    def staged_rejects(self) -> Path:
        """The folder with the rejected rows of a run that is not published."""
        return self._staged / REJECTS

    def remove_if_empty(self) -> None:
        """Remove the folder if it holds nothing but a manifest without parts: nothing is left of a run that failed."""
        if self._manifest is None or not self._manifest.names:
            shutil.rmtree(self._state, ignore_errors=True)
            with suppress(OSError):
                self.folder.rmdir()

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.folder:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _save(self, manifest: Manifest) -> None:
        with _disk(self.folder):
            write_atomically(self._state / _MANIFEST, manifest.to_json().encode())
        self._manifest = manifest


class StagedFile:
    """A file that is being written, with its size and SHA-256."""

    def __init__(self, path: Path, output: Path) -> None:
        self._path = path
        self._output = output
        self._temporary = path.with_name(path.name + _TEMPORARY)
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The digest of what was written so far, in hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append. Raises NoSpace, ToolFailed."""
        with _disk(self._output):
            if self._file is None:
                self._file = self._temporary.open("wb")
            self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def finish(self) -> None:
        """Put the file into its place, on the disk. Does nothing if nothing was written."""
        if self._file is None:
            return
        with _disk(self._output):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
        self._file = None

    def discard(self) -> None:
        """Remove what was written, unless it is finished."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._file = None


@contextmanager
def opened_output(folder: Path, inputs: Path) -> Iterator[Output]:
    """
    Open an output for writing, and create its folder.

    Raises BadInput for a folder with other content, one that overlaps the input, or that another process writes.
    """
    folder = target_of(folder, bounds_of(folder))
    _require_apart(folder, inputs)
    if folder.exists() and not folder.is_dir():
        raise BadInput(
            what=f"the output `{folder}` is a file",
            why="an output is a folder of parts, with a manifest that lets a later run continue it",
            fix=option("output", f"{folder.with_suffix('')}-scored"),
        )
    _require_own_files(folder)
    manifest = _read(folder)
    foreign = next((name for name in _names(folder) if not is_output(name, manifest)), None)
    if foreign is not None:
        raise BadInput(
            what=f"the output `{folder}` has other content",
            why=f"`{foreign}` was not written by score" + ("" if manifest else ", and the folder has no manifest"),
            fix=Wording(option("output", f"{folder}-scored"), ", or another new folder"),
        )
    with _disk(folder):
        (folder / STATE).mkdir(parents=True, exist_ok=True)
        lock = os.fdopen(os.open(folder / STATE / _LOCK, _OPEN_LOCK, 0o644), "r+b")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(
                what=f"another process writes to `{folder}`",
                why="two runs in one folder would replace each other's parts",
                fix=Wording("wait for it, or ", option("output", f"{folder}-2")),
            ) from error
        yield Output(folder, _read(folder))


def _require_apart(folder: Path, inputs: Path) -> None:
    source = Path(os.path.realpath(inputs))
    if folder == source or folder.is_relative_to(source) or source.is_relative_to(folder):
        relation = "is" if folder == source else "is inside of" if folder.is_relative_to(source) else "contains"
        raise BadInput(
            what=f"the output `{folder}` {relation} the input",
            why="a later run would read predictions as input, or replace the input",
            fix=option("output", f"{source.with_suffix('')}-scored"),
        )


def _require_own_files(folder: Path) -> None:
    """Raise BadInput for a link or a device: a checkout may hold one, and what is behind it would be replaced."""
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(base, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BadInput(
                    what=f"the output `{folder}` has a link or a device",
                    why=f"`{path.relative_to(folder)}` leads to files that are not part of the output",
                    fix=Wording(option("output", f"{folder}-scored"), ", or another new folder"),
                )


def _read(folder: Path) -> Manifest | None:
    try:
        return read_manifest((folder / STATE / _MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise BadInput(
            what=f"the manifest of the output `{folder}` cannot be read",
            why=str(error),
            fix=Wording(option("output", f"{folder}-scored"), ", or another new folder"),
        ) from error


def _names(folder: Path) -> Iterator[str]:
    """Yield the relative POSIX path of every file below a folder."""
    for base, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(base, name).relative_to(folder).as_posix() for name in sorted(names))


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Raise the StepError for an error of the file system."""
    try:
        yield
    except OSError as error:
        raise _error_of(error, folder) from error


def _error_of(error: OSError, folder: Path) -> StepError:
    why = f"{error.strerror or error}: {error.filename or folder}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "free space there and run it again; complete parts are kept"
        return NoSpace(what=f"the output `{folder}` cannot be written", why=why, fix=fix)
    return ToolFailed(what=f"the output `{folder}` cannot be written", why=why)


def rejects_folder(output: Path) -> Path:
    """Return the folder with the files of rejected rows."""
    return output / REJECTS
