"""Scans the pickles of a downloaded model before anything loads it: in files, archives and compressed streams."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Self, cast

from ...command.errors import BadInput, ModelRefused
from ...core.security.control_characters import visible
from ...core.security.documents import parse_json
from ...core.security.pickle_imports import Incomplete, PickleImport, imports_in_bytes, imports_of

SCAN, IMPORTS = "MLFLOW_UV_MODEL_SCAN", "MLFLOW_UV_MODEL_IMPORTS"
_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".p")
_PROTOCOLS = frozenset({0, 1, 2, 3, 4, 5})
_SKOPS = (("__module__", "__class__"), ("module_path", "function"))  # how skops names types and functions
_DEPTH = 4  # of archives in archives
_SHOWN = 10
_PIECE = 1 << 20
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_OVERLAP = 256  # bytes: no import is longer


class ScanPolicy(Enum):
    """What happens to a model that imports something suspicious; with NO_PICKLES to every model with a pickle."""

    REFUSE = "refuse"
    WARN = "warn"
    OFF = "off"
    NO_PICKLES = "no-pickles"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanLimits:
    """The bytes that are unpacked of a model, the opcodes of a pickle, and the files of an archive, at most."""

    unpacked: int = 4 << 30
    opcodes: int = 50_000_000
    members: int = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """What is wrong with a file of a model; `found` is the import, None if the file could not be read to its end."""

    place: str
    why: str
    found: PickleImport | None = None

    @property
    def text(self) -> str:
        """The file, the byte and the reason, on one line."""
        at = "" if self.found is None else f", byte {self.found.position}"
        return visible(f"{self.place}{at}: {self.why}")


@dataclass(kw_only=True)
class _Scan:
    """One scan of a folder: what is allowed, and what is left of the limits."""

    allowed: frozenset[str]
    limits: ScanLimits
    left: int
    pickles: list[str] = field(default_factory=list)

    def stream(self, stream: BinaryIO, place: str, depth: int = 0) -> Iterator[Suspicion]:
        """Scan a stream by its content; the name says only whether a broken pickle was meant to be one."""
        head = stream.read(512)
        stream.seek(0)
        if depth > _DEPTH:
            yield Suspicion(place=place, why=f"it is an archive in {_DEPTH} others")
        elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from self._zip(stream, place, depth)
        elif opened := _decompressor(head):
            yield from self._compressed(opened(cast("Any", stream)), stream, place, depth)
        elif head[257:262] == b"ustar":
            yield from self._tar(stream, place, depth)
        elif head.startswith(b"\x93NUMPY"):
            yield from self._array(stream, place)
        elif place.endswith("!schema.json") and head.lstrip()[:1] == b"{":
            yield from self._schema(stream, place)
        else:
            yield from self._pickle(stream, place, head)

    def _pickle(self, stream: BinaryIO, place: str, head: bytes) -> Iterator[Suspicion]:
        certain = len(head) > 1 and head[0] == 0x80 and head[1] in _PROTOCOLS  # noqa: PLR2004  # the opcode PROTO
        named = place.lower().endswith(_SUFFIXES)
        if certain or named:
            self.pickles.append(place)
        array_bytes = False
        first = True
        while True:
            start = stream.tell()
            try:
                for found in imports_of(stream, most=self.limits.opcodes):
                    array_bytes |= found.module.startswith("joblib.")
                    yield from self._judged(found, place)
            except Incomplete as error:
                if certain or named:
                    stream.seek(start)
                    yield from self._raw(stream, place, start)
                    if first and certain and not array_bytes:
                        yield Suspicion(place=place, why=f"it is a pickle that cannot be read to its end: {error}")
                return
            first = False
            if not stream.read(1):
                return
            stream.seek(-1, 1)

    def _raw(self, stream: BinaryIO, place: str, start: int) -> Iterator[Suspicion]:
        before = b""
        position = start
        while piece := stream.read(_PIECE):
            content = before + piece
            for found in imports_in_bytes(content):
                at = position - len(before) + found.position
                yield from self._judged(PickleImport(module=found.module, name=found.name, position=at), place)
            before, position = content[-_OVERLAP:], position + len(piece)

    def _judged(self, found: PickleImport, place: str) -> Iterator[Suspicion]:
        if found.suspicious and found.shown not in self.allowed:
            yield Suspicion(place=place, why=f"it imports `{found.shown}`, which a model has no use for", found=found)

    def _array(self, stream: BinaryIO, place: str) -> Iterator[Suspicion]:
        """An array of objects is a pickle after a header, whose length is in it (NEP 1)."""
        head = stream.read(12)
        long = head[6:7] != b"\x01"
        size = int.from_bytes(head[8:12] if long else head[8:10], "little")
        stream.seek(12 if long else 10)
        header = stream.read(min(size, _PIECE))
        if b"O" in header.partition(b"descr")[2].partition(b"fortran_order")[0]:
            self.pickles.append(place)
            yield from self._pickle(stream, place, b"\x80\x04")

    def _schema(self, stream: BinaryIO, place: str) -> Iterator[Suspicion]:
        """The types and functions in a file of skops; which of them are trusted is written in the model itself."""
        try:
            nodes: list[Any] = [parse_json(stream.read().decode())]
        except ValueError as error:
            yield Suspicion(place=place, why=f"it cannot be read: {error}")
            return
        names: dict[tuple[str, str], None] = {}
        while nodes:
            node = nodes.pop()
            nodes += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            for module, name in _SKOPS if isinstance(node, dict) else ():
                if isinstance(node.get(module), str) and isinstance(node.get(name), str):
                    names[node[module], node[name]] = None
        for module, name in names:
            yield from self._judged(PickleImport(module=module, name=name, position=0), place)

    def _zip(self, stream: BinaryIO, place: str, depth: int) -> Iterator[Suspicion]:
        try:
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                if len(members) > self.limits.members:
                    yield Suspicion(place=place, why=f"it has more than {self.limits.members} files")
                    return
                for member in members:
                    if not member.is_dir():
                        with archive.open(member) as opened:
                            yield from self._unpacked(opened, f"{place}!{member.filename}", depth)
        except _UNREADABLE as error:
            yield Suspicion(place=place, why=f"it is an archive that cannot be read: {error}")

    def _tar(self, stream: BinaryIO, place: str, depth: int) -> Iterator[Suspicion]:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for count, member in enumerate(archive):
                    if count >= self.limits.members:
                        yield Suspicion(place=place, why=f"it has more than {self.limits.members} files")
                        return
                    opened = archive.extractfile(member) if member.isfile() else None
                    if opened is not None:
                        yield from self._unpacked(opened, f"{place}!{member.name}", depth)
        except (tarfile.TarError, *_UNREADABLE) as error:
            yield Suspicion(place=place, why=f"it is an archive that cannot be read: {error}")

    def _compressed(self, opened: Any, stream: BinaryIO, place: str, depth: int) -> Iterator[Suspicion]:
        left = self.left
        with opened as unpacked:
            yield from self._unpacked(unpacked, f"{place}!", depth, certain=False)
        if left == self.left:  # text may begin as a compressed stream does
            stream.seek(0)
            yield from self._pickle(stream, place, b"")

    def _unpacked(self, source: Any, place: str, depth: int, *, certain: bool = True) -> Iterator[Suspicion]:
        """
        Unpack within the limit to a file that can be read twice, and scan that.

        What was unpacked before an error is scanned too: a loader that reads piece by piece runs it. An error without
        any content is only reported if it is `certain` that there is an archive.
        """
        broken, start = "", self.left
        with SpooledTemporaryFile(max_size=64 << 20) as copy:
            try:
                while piece := source.read1(_PIECE):
                    self.left -= len(piece)
                    if self.left < 0:
                        broken = (
                            f"the model has more than {self.limits.unpacked >> 20} MB in archives, too much to scan"
                        )
                        break
                    copy.write(piece)
            except _UNREADABLE as error:
                broken = f"it cannot be unpacked to its end: {str(error) or type(error).__name__}"
            copy.seek(0)
            yield from self.stream(cast("BinaryIO", copy), place, depth + 1)
        if broken and (certain or start != self.left):
            yield Suspicion(place=place, why=broken)


class _Inflated:
    """A stream of zlib, as joblib writes it, as a file to read from once."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._inflate = source, zlib.decompressobj()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read1(self, size: int) -> bytes:
        """At most `size` unpacked bytes, none at the end. Raises EOFError for a stream that ends early."""
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._source.read(1 << 16)
            if not packed:
                raise EOFError("it ends early")
            if unpacked := self._inflate.decompress(packed, size):
                return unpacked
        return b""


def _decompressor(head: bytes) -> Callable[[Any], Any] | None:
    if head.startswith(b"\x1f\x8b"):
        return gzip.open
    if head.startswith(b"BZh"):
        return bz2.open
    if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lzma.open
    return _Inflated if head[:2] in {b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"} else None


def suspicions(
    model: Path, *, allowed: frozenset[str] = frozenset(), pickles: bool = True, limits: ScanLimits | None = None
) -> tuple[Suspicion, ...]:
    """What is suspicious in the files of a model, none of which is loaded; without `pickles` also each pickle."""
    limits = limits or ScanLimits()
    scan = _Scan(allowed=allowed, limits=limits, left=limits.unpacked)
    found: list[Suspicion] = []
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            found += scan.stream(stream, path.relative_to(model).as_posix())
    if not pickles:
        found += (Suspicion(place=place, why="it is a pickle") for place in scan.pickles)
    return tuple(dict.fromkeys(found))


def require_harmless(model: Path, variables: Mapping[str, str], say: Callable[[str], None]) -> None:
    """
    Scan a downloaded model by the policy in the caller's variables, which no checkout can set.

    Raises ModelRefused, and BadInput for a policy that does not exist.
    """
    policy = _policy(variables)
    if policy is ScanPolicy.OFF:
        return
    allowed = frozenset(variables.get(IMPORTS, "").replace(",", " ").split())
    found = suspicions(model, allowed=allowed, pickles=policy is not ScanPolicy.NO_PICKLES)
    if not found:
        return
    lines = [suspicion.text for suspicion in found]
    if policy is ScanPolicy.WARN:
        for line in lines[:_SHOWN]:
            say(f"  suspicious: {line}")
        return
    imports = sorted({suspicion.found.shown for suspicion in found if suspicion.found is not None})
    fix = f"if you trust who made the model, {SCAN}=warn"
    if imports and all(suspicion.found is not None for suspicion in found):
        fix = f"if you trust who made the model, {IMPORTS}={','.join(imports)}"
    raise ModelRefused(what="the model is not loaded", why="; ".join(lines[:_SHOWN]), fix=visible(fix))


def _policy(variables: Mapping[str, str]) -> ScanPolicy:
    given = variables.get(SCAN) or ScanPolicy.REFUSE.value
    with suppress(ValueError):
        return ScanPolicy(given)
    raise BadInput(
        what=f"{SCAN} is {given!r}",
        why=f"it is one of {', '.join(policy.value for policy in ScanPolicy)}",
        fix=f"{SCAN}={ScanPolicy.REFUSE.value}",
    )
