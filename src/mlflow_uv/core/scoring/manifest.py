"""Records which parts of an output are complete, and decides which of them a later run keeps."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.reader import read
from ..security.documents import parse_json
from .layout import STATE

SCHEMA = 1


@lazy_dataclass
class InputFile:
    """An input file by its relative POSIX path, with its size in bytes, modification time and SHA-256 (hex)."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


@lazy_dataclass
class Part:
    """
    A complete part of the output: rows `first_row` to `end_row` (exclusive, from 0) of one input.

    `rows` were scored and are in the file `name`, if there are any; `rejected` are in the file `rejects`, if there are
    any. The next part starts at byte `end_offset` of an input that is text; `last` if there is none. Sizes are in
    bytes, digests SHA-256 (hex).
    """

    input: str
    number: int
    first_row: int
    end_row: int
    end_offset: int
    last: bool
    name: str
    rows: int
    size: int
    sha256: str
    rejects: str
    rejected: int
    rejects_size: int
    rejects_sha256: str

    @property
    def files(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size and digest of each file of the part."""
        scored = ((self.name, self.size, self.sha256),) if self.rows else ()
        rejected = ((self.rejects, self.rejects_size, self.rejects_sha256),) if self.rejected else ()
        return scored + rejected


@lazy_dataclass
class Manifest:
    """
    The state of an output.

    `key` identifies the model and the options of the run, which `run` describes. `replaced` are files of an earlier run
    that are removed when this one is complete.
    """

    key: str
    run: Mapping[str, Any]
    inputs: tuple[InputFile, ...]
    parts: tuple[Part, ...] = ()
    replaced: tuple[str, ...] = ()
    complete: bool = False
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Return the content of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @property
    def names(self) -> frozenset[str]:
        """Every file of the output, of this run and of the one that it replaces."""
        return frozenset(name for part in self.parts for name, _, _ in part.files) | {*self.replaced}


@lazy_dataclass
class Start:
    """Where an input is continued: the number of its next part, and the row and byte at which it starts."""

    number: int = 0
    row: int = 0
    offset: int = 0


def kept_parts(manifest: Manifest, key: str, inputs: Iterable[InputFile]) -> tuple[Part, ...]:
    """Return the parts that hold for a run: those of the same key and of unchanged inputs, without a gap."""
    if manifest.key != key:
        return ()
    recorded = {file.name: file for file in manifest.inputs}
    return tuple(
        part
        for file in inputs
        if file.name in recorded and _unchanged(recorded[file.name], file)
        for part in _gapless(part for part in manifest.parts if part.input == file.name)
    )


def gapless(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts of several inputs that follow each other from the first row of their input on."""
    by_input: dict[str, list[Part]] = {}
    for part in parts:
        by_input.setdefault(part.input, []).append(part)
    return tuple(part for group in by_input.values() for part in _gapless(group))


def _gapless(parts: Iterable[Part]) -> Iterator[Part]:
    row = 0
    for part in sorted(parts, key=lambda part: part.number):
        if part.first_row != row:
            return
        yield part
        row = part.end_row


def _unchanged(before: InputFile, now: InputFile) -> bool:
    return (before.size, before.sha256) == (now.size, now.sha256)


def start_of(name: str, parts: Iterable[Part]) -> Start | None:
    """Return where an input is continued after its complete parts; None if all of it was scored."""
    done = [part for part in parts if part.input == name]
    if not done:
        return Start()
    newest = max(done, key=lambda part: part.number)
    return None if newest.last else Start(number=newest.number + 1, row=newest.end_row, offset=newest.end_offset)


def read_manifest(data: bytes) -> Manifest:
    """Parse a manifest. Raises ValueError for anything else, and for names that lead out of the output."""
    manifest = read(Manifest, parse_json(data), what="it")
    if manifest.schema != SCHEMA:
        raise ValueError(f"it is not a manifest of schema {SCHEMA}")
    for name in manifest.names:
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name or path.parts[0] == STATE:
            raise ValueError("it names a file outside of the output")
    return manifest


def is_output(name: str, manifest: Manifest | None) -> bool:
    """Whether a file in the folder of an output was written there by a run."""
    return name.partition("/")[0] == STATE or (manifest is not None and name in manifest.names)
