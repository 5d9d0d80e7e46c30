"""
Writes and reads the list of what packages brought into a layer, which is at the end of its blob.

A registry gives the end of a blob without the rest (RFC 9110, range requests), so that a machine need not download a
layer to know what is in it. Decompression skips the list: with gzip it is in extra fields of members without content
(RFC 1952), as the table of contents of eStargz, with zstd in skippable frames (RFC 8878), as that of zstd:chunked.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from zlib_ng import zlib_ng

from ...core.image.composition import Compression
from ...core.image.dockerfile import VENV
from ...core.image.layers import deletes_path
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..engines.library_scanner import Descriptions

# Bytes of a list that was decompressed: two hundred thousand files, which no layer of packages has. Whoever made the
# image decides what it is as objects of Python, which may take thirty times the memory.
_MOST_TEXT = 32 << 20
_LEVEL = 6
_FIELD = b"MU"
_START = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"  # deflate, with extra fields, without time and operating system
_END = b"\x03\0" + bytes(8)  # a block without content, its checksum and its size
_MOST_FIELD = 0xFFFF - 4
_SKIPPED = 0x184D2A5D
_MOST_FRAME = 1 << 20
# Its library has no types.
_DAMAGE: tuple[Any, ...] = (KeyError, TypeError, AttributeError, RecursionError, zlib_ng.error)
_PAIR = ("library", "name")  # of a version of symbols
_OTHERWISE = "its list of files describes a library in another way"


@lazy_dataclass
class LayerContents:
    """
    The digest of each file that packages brought into a layer, as their RECORDs have it, by absolute path.

    `libraries` are the descriptions of its shared libraries, by their paths in the environment.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    libraries: Descriptions = field(default_factory=dict)


def written_list(contents: LayerContents, compression: Compression) -> bytes:
    """The end of a blob with a compression; equal contents give equal bytes."""
    plain = {"files": contents.files, "libraries": contents.libraries}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    data = zlib_ng.compress(text, _LEVEL)
    if compression is Compression.GZIP:
        return b"".join(_member(piece) for piece in _pieces(data, _MOST_FIELD))
    frames = (struct.pack("<II", _SKIPPED, len(piece)) + piece for piece in _pieces(data, _MOST_FRAME))
    return b"".join(frames)


def read_list(end: bytes) -> LayerContents:
    """
    The contents that the end of a blob lists.

    Whoever wrote it decided what it says. Raises ValueError for anything else than a list, or one with a path that is
    not below the environment or would delete other files.
    """
    frames = _fields(end) if end.startswith(_START) else _frames(end)
    try:
        content = parse_json(_decompressed(b"".join(frames)))
        contents = LayerContents(
            files={_path(path): _text(digest) for path, digest in content["files"].items()},
            libraries={_text(path): _description(each) for path, each in content["libraries"].items()},
        )
    except _DAMAGE as error:
        raise ValueError(f"its list of files cannot be read: {error}") from error
    if strays := contents.libraries.keys() - {path.removeprefix(f"{VENV}/") for path in contents.files}:
        raise ValueError(f"it describes {min(strays)}, which no package lists")
    return contents


def _pieces(data: bytes, most: int) -> Iterator[bytes]:
    for at in range(0, len(data), most):
        yield data[at : at + most]


def _member(piece: bytes) -> bytes:
    field = _FIELD + struct.pack("<H", len(piece)) + piece
    return _START + struct.pack("<H", len(field)) + field + _END


def _fields(end: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(end):
        data = place + len(_START) + 6
        head = end[place:data]
        length = int.from_bytes(head[-2:], "little")
        if head != _START + struct.pack("<H", length + 4) + _FIELD + struct.pack("<H", length):
            raise ValueError("its list of files is not at its end")
        yield end[data : data + length]
        place = data + length + len(_END)
        if end[data + length : place] != _END:
            raise ValueError("its list of files is not at its end")


def _frames(end: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(end):
        data = place + 8
        length = int.from_bytes(end[place + 4 : data], "little")
        if end[place : place + 4] != struct.pack("<I", _SKIPPED) or data + length > len(end):
            raise ValueError("its list of files is not at its end")
        yield end[data : data + length]
        place = data + length


def _decompressed(data: bytes) -> bytes:
    stream = zlib_ng.decompressobj()
    text: bytes = stream.decompress(data, _MOST_TEXT)
    if not stream.eof:
        raise ValueError("its list of files is too long, or ends too early")
    return text


def _path(path: object) -> str:
    text = _text(path)
    parts = text.split("/")
    if not text.startswith(f"{VENV}/") or {"", ".", ".."} & {*parts[1:]} or deletes_path(text):
        raise ValueError(f"its list of files has {text[:200]!r}")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("its list of files has something else than text")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(_OTHERWISE)  # noqa: TRY004  # as for every other malformed part
    return value


def _description(value: Any) -> Mapping[str, Any]:
    """A description, of the types that `library_descriptions.py` reads."""
    texts = {"package", "machine", "name"} & value.keys()
    lists = {"needed", "folders", "marks"} & value.keys()
    described: dict[str, Any] = {name: _text(value[name]) for name in texts}
    described |= {name: [_text(each) for each in _list(value[name])] for name in lists}
    if "versions" in value:
        pairs = [_list(pair) for pair in _list(value["versions"])]
        described["versions"] = [[_text(each) for each in pair] for pair in pairs if len(pair) == len(_PAIR)]
        if len(described["versions"]) < len(pairs):
            raise ValueError(_OTHERWISE)
    if not isinstance(value["truncated"], bool) or len(described) not in {1, 7}:
        raise ValueError(_OTHERWISE)
    return {**described, "package": described["package"], "truncated": value["truncated"]}
