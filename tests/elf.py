"""Builds shared libraries of a few bytes that a loader loads, and wheels that contain them."""

import base64
import hashlib
import platform
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

MACHINES = {"x86_64": 62, "aarch64": 183, "s390x": 22, "riscv64": 243, "other": 258}
NEEDED, STRINGS, SYMBOLS, SIZE, ENTRY, NAME, PATHS = 1, 5, 6, 10, 11, 14, 29
VERSIONS, VERSIONS_NUMBER = 0x6FFFFFFE, 0x6FFFFFFF
NOTHING: Mapping[str, tuple[str, ...]] = {}
FLAGS = {"load": (1, 6), "dynamic": (2, 6), "stack": (0x6474E551, 6)}


def library(
    *needed: str,
    name: str = "",
    folders: str = "",
    words: tuple[str, ...] = (),
    versions: Mapping[str, tuple[str, ...]] = NOTHING,
    weak: tuple[str, ...] = (),
    machine: str = "",
    order: str = "<",
    wide: bool = True,
) -> bytes:
    """
    An ELF file that needs others, with its own name, where it looks for them, and other words among its strings.

    `versions` are those of symbols that it needs of each library; of those that are `weak`, too, symbols may be absent.
    With them no loader loads it, because there are no symbols.
    """
    strings, places = b"\0", {}
    for text in (*needed, name, folders, *words, *versions, *(text for names in versions.values() for text in names)):
        places[text] = len(strings)
        strings += text.encode() + b"\0"
    entries = [(NEEDED, places[one]) for one in needed]
    entries += [(tag, places[text]) for tag, text in ((NAME, name), (PATHS, folders)) if text]
    head, segment, pair = (64, 56, 16) if wide else (52, 32, 8)
    start = head + 3 * segment
    end = start + pair * (len(entries) + 5 + 2 * bool(versions))
    symbol = 24 if wide else 16
    table = _needed_versions(versions, weak, places, order)
    if versions:
        entries += [(VERSIONS, end + symbol), (VERSIONS_NUMBER, len(versions))]
    entries += [(STRINGS, end + symbol + len(table)), (SYMBOLS, end), (SIZE, len(strings)), (ENTRY, symbol), (0, 0)]
    body = b"".join(struct.pack(f"{order}{'qQ' if wide else 'iI'}", *entry) for entry in entries)
    body += b"\0" * symbol + table + strings
    whole = start + len(body)
    segments = b"".join(
        _segment(kind, *place, order=order, wide=wide)
        for kind, place in (("load", (0, whole)), ("dynamic", (start, end - start)), ("stack", (0, 0)))
    )
    kind = bytes((0x7F, *b"ELF", 2 if wide else 1, 1 if order == "<" else 2, 1)) + b"\0" * 9
    number = MACHINES.get(machine or platform.machine(), 62)
    rest = (3, number, 1, 0, head, 0, 0, head, segment, 3, 0, 0, 0)
    return kind + struct.pack(f"{order}HHI{'QQQ' if wide else 'III'}IHHHHHH", *rest) + segments + body


def _needed_versions(
    versions: Mapping[str, tuple[str, ...]], weak: tuple[str, ...], places: Mapping[str, int], order: str
) -> bytes:
    """The list of needed versions (`Elf64_Verneed`, each with its `Elf64_Vernaux`)."""
    table = b""
    for at, (library_name, names) in enumerate(versions.items(), 1):
        size = 16 * (1 + len(names)) if at < len(versions) else 0
        table += struct.pack(f"{order}HHIII", 1, len(names), places[library_name], 16, size)
        for other, name in enumerate(names, 1):
            flags = 2 if name in weak else 0
            table += struct.pack(f"{order}IHHII", 0, flags, other, places[name], 16 if other < len(names) else 0)
    return table


def _segment(name: str, offset: int, size: int, *, order: str, wide: bool) -> bytes:
    kind, flags = FLAGS[name]
    align = 0x1000 if name == "load" else 8
    if wide:
        return struct.pack(f"{order}IIQQQQQQ", kind, flags, offset, offset, offset, size, size, align)
    return struct.pack(f"{order}IIIIIIII", kind, offset, offset, offset, size, size, flags, align)


def wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """Write version 1.0 of a wheel with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-1.0.dist-info"
    whole = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    rows = [f"{file},sha256={_digest(data)},{len(data)}\n" for file, data in whole.items()]
    whole[f"{about}/RECORD"] = "".join((*rows, f"{about}/RECORD,,\n")).encode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in whole.items():
            archive.writestr(zipfile.ZipInfo(file, (2026, 1, 1, 0, 0, 0)), data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
