"""Scans the pickles of a downloaded model before anything loads it: in files, archives and compressed streams."""

import ast
import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from enum import Enum
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Self, cast

from ...command.errors import BadInput, ModelRefused
from ...core.security.control_characters import visible
from ...core.security.documents import parse_json
from ...core.security.pickle_imports import PickleImport
from ...core.security.pickle_opcodes import Incomplete, Unscannable
from ...core.security.pickle_reader import PickleReader
from ...payloads.messages.lazy_dataclass import lazy_dataclass

SCAN, IMPORTS = "MLFLOW_UV_MODEL_SCAN", "MLFLOW_UV_MODEL_IMPORTS"
_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".p")
_PROTOCOLS = frozenset({0, 1, 2, 3, 4, 5})
_SKOPS = (("__module__", "__class__"), ("module_path", "function"))  # how skops names types and functions
_DEPTH = 4  # of archives in archives
_SHOWN = 10
_PIECE = 1 << 20
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_BLOCK = 512  # bytes of the first header of tar
_HEADER = 1 << 16  # bytes of the header of an array
_UNSUPPORTED = (b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd")  # LZ4, Zstandard


class ScanPolicy(Enum):
    """What happens to a model that imports something suspicious; with NO_PICKLES to every model with a pickle."""

    REFUSE = "refuse"
    WARN = "warn"
    OFF = "off"
    NO_PICKLES = "no-pickles"


@lazy_dataclass
class ScanLimits:
    """The bytes that are unpacked of a model, the opcodes of a pickle, and the files of an archive, at most."""

    unpacked: int = 4 << 30
    opcodes: int = 50_000_000
    members: int = 100_000


@lazy_dataclass
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


@lazy_dataclass(frozen=False)
class _Scan:
    """One scan of a folder: what is allowed, and what is left of the limits."""

    allowed: frozenset[str]
    limits: ScanLimits
    left: int
    own: frozenset[str] = frozenset()
    pickles: list[str] = field(default_factory=list)

    def stream(self, stream: BinaryIO, place: str, depth: int = 0) -> Iterator[Suspicion]:
        """Scan a stream by its content; the name says only whether a broken pickle was meant to be one."""
        head = stream.read(_BLOCK)
        stream.seek(0)
        if depth > _DEPTH:
            yield Suspicion(place=place, why=f"it is an archive in {_DEPTH} others")
            return
        if opened := _decompressor(head):
            yield from self._compressed(opened(cast("Any", stream)), place, depth)
        elif head.startswith(_UNSUPPORTED):
            yield Suspicion(place=place, why="it is compressed in a format that cannot be scanned")
        elif _is_tar(head):
            yield from self._tar(stream, place, depth)
        elif head.startswith(b"\x93NUMPY"):
            yield from self._array(stream, place)
        elif place.endswith("!schema.json"):
            yield from self._schema(stream, place)
        stream.seek(0)
        archive = zipfile.is_zipfile(stream)  # wherever it begins
        if archive or head.startswith(b"PK\x03\x04"):
            stream.seek(0)
            yield from self._zip(stream, place, depth)
        # What is an archive for one loader is a pickle for another.
        stream.seek(0)
        known = archive or _decompressor(head) is not None or _is_tar(head) or head.startswith(b"\x93NUMPY")
        yield from self._pickles(stream, place, head, known=known)

    def _pickles(self, stream: BinaryIO, place: str, head: bytes, *, known: bool = False) -> Iterator[Suspicion]:
        """
        Scan pickles that follow each other.

        A file that neither begins nor is named as a pickle is one until the unpickler cannot read it further. What is
        not of the standard library counts there only if something is called.
        """
        certain = len(head) > 1 and head[0] == 0x80 and head[1] in _PROTOCOLS  # noqa: PLR2004  # the opcode PROTO
        certain |= not known and place.lower().endswith(_SUFFIXES)
        if certain:
            self.pickles.append(place)
        first, left = True, self.limits.opcodes
        while True:
            reader = PickleReader(stream, left)
            imports: dict[str, PickleImport] = {}
            broken: Incomplete | None = None
            try:
                for pickle_import in reader.imports():
                    imports.setdefault(pickle_import.shown, pickle_import)
            except Incomplete as error:
                broken = error
            left = reader.left
            used = certain or broken is None or reader.called or isinstance(broken, Unscannable)
            counted = [
                pickle_import
                for pickle_import in imports.values()
                if certain or pickle_import.is_standard or (used and pickle_import.is_plain)
            ]
            if not certain and counted and used:
                self.pickles.append(place)
            for pickle_import in counted:
                yield from self._unknown_import(pickle_import, place)
            if broken and (isinstance(broken, Unscannable) or (first and certain)):
                yield Suspicion(place=place, why=f"it is a pickle that cannot be scanned to its end: {broken}")
            first = False
            if broken or not stream.read(1):
                return
            stream.seek(-1, 1)

    def _unknown_import(self, found: PickleImport, place: str) -> Iterator[Suspicion]:
        if found.suspicious(self.own) and not self._is_allowed(found.shown):
            yield Suspicion(
                place=place,
                why=f"it imports `{found.shown}`, which is none of the imports of known models",
                found=found,
            )

    def _is_allowed(self, name: str) -> bool:
        packages = (entry.removesuffix("*") for entry in self.allowed if entry.endswith(".*"))
        return name in self.allowed or name.startswith(tuple(packages))

    def _array(self, stream: BinaryIO, place: str) -> Iterator[Suspicion]:
        """An array of objects is a pickle after a header, whose length is in it (NEP 1)."""
        head = stream.read(12)
        long = head[6:7] != b"\x01"
        size = int.from_bytes(head[8:12] if long else head[8:10], "little")
        stream.seek(12 if long else 10)
        try:
            header = ast.literal_eval(stream.read(min(size, _HEADER)).decode("latin1"))
            objects = "O" in repr(header["descr"])
        except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
            yield Suspicion(place=place, why="it is an array of NumPy that cannot be scanned")
            return
        if objects:
            yield from self._pickles(stream, place, b"\x80\x04")

    def _schema(self, stream: BinaryIO, place: str) -> Iterator[Suspicion]:
        """The types and functions in a file of skops; which of them are trusted is written in the model itself."""
        try:
            nodes: list[Any] = [parse_json(stream.read())]
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
            yield from self._unknown_import(PickleImport(module=module, name=name, position=0), place)

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

    def _compressed(self, opened: Any, place: str, depth: int) -> Iterator[Suspicion]:
        with opened as unpacked:  # text may begin as a compressed stream does
            yield from self._unpacked(unpacked, f"{place}!", depth, certain=place.lower().endswith(_SUFFIXES))

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


def _is_tar(head: bytes) -> bool:
    """Whether the first block has a checksum of tar; the oldest format has no other mark."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def _decompressor(head: bytes) -> Callable[[Any], Any] | None:
    if head.startswith(b"\x1f\x8b"):
        return gzip.open
    if head.startswith(b"BZh"):
        return bz2.open
    if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lzma.open
    return _Inflated if head[:2] in {b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"} else None


def _own_modules(model: Path) -> frozenset[str]:
    """The modules that the model brings in its folder of code, which loading it puts on the path of Python."""
    return frozenset(path.name.partition(".")[0] for path in (model / "code").glob("*"))


def suspicions(
    model: Path, *, allowed: frozenset[str] = frozenset(), pickles: bool = True, limits: ScanLimits | None = None
) -> tuple[Suspicion, ...]:
    """What is suspicious in the files of a model, none of which is loaded; without `pickles` also each pickle."""
    limits = limits or ScanLimits()
    scan = _Scan(allowed=allowed, limits=limits, left=limits.unpacked, own=_own_modules(model))
    listed: list[Suspicion] = []
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            listed += scan.stream(stream, path.relative_to(model).as_posix())
    if not pickles:
        listed += (Suspicion(place=place, why="it is a pickle") for place in scan.pickles)
    return tuple(dict.fromkeys(listed))


def require_harmless(model: Path, variables: Mapping[str, str], say: Callable[[str], None]) -> None:
    """
    Scan a downloaded model by the policy in the caller's variables, which no checkout can set.

    Raises ModelRefused, and BadInput for a policy that does not exist.
    """
    policy = _policy(variables)
    if policy is ScanPolicy.OFF:
        return
    allowed = frozenset(variables.get(IMPORTS, "").replace(",", " ").split())
    suspicious = suspicions(model, allowed=allowed, pickles=policy is not ScanPolicy.NO_PICKLES)
    if not suspicious:
        return
    lines = [suspicion.text for suspicion in suspicious]
    if policy is ScanPolicy.WARN:
        for line in lines[:_SHOWN]:
            say(f"  suspicious: {line}")
        return
    imports = sorted({suspicion.found.shown for suspicion in suspicious if suspicion.found is not None})
    fix = f"if you trust who made the model, {SCAN}=warn"
    if imports and all(suspicion.found is not None for suspicion in suspicious):
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
