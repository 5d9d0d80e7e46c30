"""
Finds missing shared libraries of an environment's packages, and links copies from other wheels in their place.

`python -I -B libraries.py ENVIRONMENT [MODEL]` prints as JSON {lacking: [[package, file, library]], linked: [[library,
file]], required}. `lacking` are neither in the packages nor in the loader's folders. `linked` are those that `--link`
linked. `required` is the library without which the model does not load; checked only if something is lacking.

`python -I -B libraries.py --link ENVIRONMENT [LAYER MACHINE]` links lacking libraries that another package has into
the last folder of the loader; with LAYER, below that folder and for the architecture MACHINE.

`python -I -B - --names < libraries.py` prints the names of the system's libraries as JSON. With such a list on standard
input, `python -I -B libraries.py --compare FOLDER [--elsewhere]` prints {lacking: [[package, file, library, copy]]} for
the packages in a folder; `copy` is the file that `--link` would link, empty without one. With `--elsewhere` the names
are those of another system: no file of this one outside of the folder counts.
"""

import csv
import json
import os
import platform
import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FILE_DATE_S = 315532800  # 1980, as for all installed files
LOAD_S = 240
# Runtime libraries of GCC, which are backward compatible and have symbol versions: any copy that is not older fits.
LINKABLE = ("libgomp.so.1", "libgfortran.so.5", "libquadmath.so.0")
VERSIONS = re.compile(rb"\0((?:GOMP|OMP|OACC|GOACC|GFORTRAN|QUADMATH)_[0-9.]+)(?=\0)")
# Versions of symbols in the C and the C++ library of a system.
SYMBOLS = re.compile(r"(GLIBC|GLIBCXX|CXXABI)_([0-9]{1,4}(?:\.[0-9]{1,4})+)")
# Names for features of the loader, which have no order: a C library has each of them or not. `GLIBC_PRIVATE` is no
# limit: every C library has it.
FEATURES = re.compile(r"GLIBC_ABI_[A-Z0-9_]{1,64}")
# Provided by a driver when the container starts.
OF_DRIVERS = ("libcuda.", "libnvidia-", "libnvcuvid.", "libamdhip")
# The error messages of the loaders of glibc and musl.
ABSENT = re.compile(r"([\w.+-]+\.so[\w.]*)(?=: cannot open shared object file|: No such file or directory \(needed by)")
LOAD = "import sys, mlflow.pyfunc; mlflow.pyfunc.load_model(sys.argv[1])"
HEAD, DEEPEST = 52, 5
LOADED, DYNAMIC, NEEDED, STRINGS, SIZE, NAME, PATHS = 1, 2, 1, 5, 10, 14, (15, 29)
# The list of needed versions: its address, the number of libraries in it, and the flag of a version that may be absent.
VERSIONS_AT, VERSIONS_NUMBER, WEAK, MOST_VERSIONS = 0x6FFFFFFE, 0x6FFFFFFF, 2, 4096
# As `platform.machine` has them.
MACHINES = {3: "i386", 21: "ppc64le", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


@dataclass(frozen=True)
class Library:
    """
    The dynamic section of an ELF file; `strings` is its string table.

    `versions` are the versions of symbols without which the loader refuses it, each with the library that has them.
    """

    path: Path
    machine: str
    name: str
    needed: "tuple[str, ...]"
    folders: "tuple[str, ...]"
    strings: bytes
    versions: "tuple[tuple[str, str], ...]"


def main(arguments: "list[str]") -> None:
    """Links missing libraries (`--link`), or prints what was asked for."""
    if arguments[0] == "--link":
        folder, layer, machine = [*arguments[1:], "/", ""][:3]
        link_copies(Path(folder), layer, machine)
        return
    json.dump(answer(*arguments), sys.stdout)


def answer(mode: str, *arguments: str) -> object:
    """What is printed; `mode` is the environment if it is none of the options."""
    if mode == "--names":
        return sorted(system_names())
    if mode == "--compare":
        within = Path(arguments[0] if "--elsewhere" in arguments[1:] else "/")
        return {"lacking": compared(Path(arguments[0]), set(json.load(sys.stdin)), within)}
    lacking = missing(list(libraries_in(Path(mode))), system_names(), Path("/"))
    required = required_by(arguments[0]) if lacking and arguments else ""
    rows = [[owner(Path(mode), library.path), library.path.name, name] for library, name in lacking]
    return {"lacking": sorted(rows), "linked": linked(Path(mode)), "required": required}


def missing(
    libraries: "list[Library]", here: "set[str]", within: "Path | frozenset[str]"
) -> "list[tuple[Library, str]]":
    """
    The libraries of packages with each missing dependency; `here` are the names of the system's libraries.

    At the places that a library names, only dependencies `within` a folder, or a set of paths, are looked for.
    """
    known = {library.path.name for library in libraries} | {library.name for library in libraries} | here
    return [
        (library, name)
        for library in libraries
        for name in library.needed
        if name not in known and not name.startswith(OF_DRIVERS) and not beside(library, name, within)
    ]


def compared(environment: Path, here: "set[str]", within: Path) -> "list[list[str]]":
    """The rows of `--compare`: package, file and missing library, and the copy of it in another package."""
    rows = compared_libraries(list(libraries_in(environment)), owners_in(environment), here, within)
    return [[*row[:3], row[3].rpartition("/")[2]] for row in rows]


def compared_libraries(
    libraries: "list[Library]", owners: "dict[str, str]", here: "set[str]", within: "Path | frozenset[str]"
) -> "list[list[str]]":
    """The rows of `--compare` for libraries and the packages that own them, each with the path of the copy."""
    rows = []
    for library, name in missing(libraries, here, within):
        marks = set(VERSIONS.findall(library.strings))
        copy = next(sources_of(libraries, name, marks), "") if name in LINKABLE else ""
        rows.append([owners.get(str(library.path), library.path.parent.name), library.path.name, name, str(copy)])
    return sorted(rows)


def needed_symbols(libraries: "list[Library]", owners: "dict[str, str]") -> "list[list[str]]":
    """
    Rows of package, file, architecture, and what the file needs of its system, with the version.

    A name of a feature is a row without a version, and each package has a row without symbols for each architecture.
    Symbols of a library that a wheel contains are not those of the system; no wheel replaces the C library.
    """
    newest: dict[tuple[str, str, str], tuple[tuple[int, ...], str]] = {}
    own = {library.name for library in libraries} | {library.path.name for library in libraries}
    for library in libraries:
        package = owners.get(str(library.path), library.path.parent.name)
        needed: dict[str, tuple[int, ...]] = {"": ()}
        for file, name in library.versions:
            if FEATURES.fullmatch(name):
                needed[name] = ()
            elif (match := SYMBOLS.fullmatch(name)) and (file not in own or match[1] == "GLIBC"):
                needed[match[1]] = max(tuple(map(int, match[2].split("."))), needed.get(match[1], ()))
        for symbols, version in needed.items():
            key = (package, library.machine, symbols)
            if key not in newest or version > newest[key][0]:
                newest[key] = (version, library.path.name)
    return sorted(
        [package, file, machine, symbols, ".".join(map(str, version))]
        for (package, machine, symbols), (version, file) in newest.items()
    )


def libraries_in(environment: Path) -> "Iterator[Library]":
    """Every shared library below a folder."""
    return filter(None, map(read, named_as_libraries(environment)))


def named_as_libraries(environment: Path) -> "Iterator[Path]":
    """Every file below a folder whose name may be that of a shared library."""
    for base, folders, names in os.walk(environment):
        folders.sort()
        yield from filter(Path.is_file, (Path(base, name) for name in sorted(names) if ".so" in name))  # no pipe


def is_truncated(path: Path) -> bool:
    """Whether an ELF file ends before its headers or segments do: it can be mapped, and a process that uses it dies."""
    try:
        with path.open("rb") as file:
            *_, segments = _headers(file)
            size = os.fstat(file.fileno()).st_size
    except EOFError:  # other files, whose names have `.so` too, may be empty
        return path.stat().st_size > 0 or re.fullmatch(r".+\.so(\.[0-9]+)*", path.name) is not None
    except (OSError, ValueError, struct.error, OverflowError):
        return False
    mapped = (offset + length for kind, offset, _, length in segments if kind in {LOADED, DYNAMIC})
    return not path.name.endswith(".debug") and max(mapped, default=0) > size  # whose segments are in another file


def read(path: Path) -> "Library | None":
    """The dynamic section of a file; None for a file that is no ELF library, or a broken one."""
    try:
        with path.open("rb") as file:
            order, wide, machine, segments = _headers(file)
            offset, length = next((offset, size) for kind, offset, _, size in segments if kind == DYNAMIC)
            file.seek(offset)
            entries = list(struct.iter_unpack(f"{order}{'qQ' if wide else 'iI'}", file.read(length)))
            values = dict(reversed(entries))
            file.seek(_offset(segments, values[STRINGS]))
            strings = file.read(values[SIZE])
            versions = []
            if VERSIONS_AT in values:
                file.seek(_offset(segments, values[VERSIONS_AT]))
                versions = list(_versions(file.read(MOST_VERSIONS * 32), order, values.get(VERSIONS_NUMBER, 0)))
        folders = (part for tag, value in entries if tag in PATHS for part in _text(strings, value).split(":"))
        return Library(
            path=path,
            machine=MACHINES.get(machine, f"machine {machine}"),
            name=_text(strings, values[NAME]) if NAME in values else path.name,
            needed=tuple(_text(strings, value) for tag, value in entries if tag == NEEDED),
            folders=tuple(filter(None, folders)),
            strings=strings,
            versions=tuple((_text(strings, library), _text(strings, name)) for library, name in versions),
        )
    except (OSError, ValueError, struct.error, KeyError, StopIteration, OverflowError, MemoryError, EOFError):
        return None


def _text(strings: bytes, start: int) -> str:
    return strings[start : strings.index(b"\0", start)].decode(errors="replace")


def _headers(file: BinaryIO) -> "tuple[str, bool, int, list[tuple[int, int, int, int]]]":
    """
    Byte order, width, number of the architecture and segments of an ELF file.

    Raises EOFError for one that ends before its headers do, ValueError for another file.
    """
    head = file.read(64)
    if not b"\x7fELF".startswith(head[:4]):
        raise ValueError(head)
    order, wide = "<" if head[5:6] == b"\x01" else ">", head[4:5] == b"\x02"
    if len(head) < (64 if wide else HEAD):
        raise EOFError
    (machine,) = struct.unpack_from(f"{order}H", head, 18)
    (start,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", head, 32 if wide else 28)
    step, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
    file.seek(start)
    if len(table := file.read(step * count)) < step * count:
        raise EOFError
    entries = (table[at * step : (at + 1) * step] for at in range(count))
    return order, wide, machine, [_segment(entry, order, wide=wide) for entry in entries]


def _segment(entry: bytes, order: str, *, wide: bool) -> "tuple[int, int, int, int]":
    """Type, file offset, address and file size of a segment."""
    kind, *fields = struct.unpack_from(f"{order}{'IIQQQQ' if wide else 'IIIII'}", entry)
    offset, address, _, size = fields[1:] if wide else fields
    return kind, offset, address, size


def _offset(segments: "list[tuple[int, int, int, int]]", address: int) -> int:
    """Where an address of the loaded file is in the file. Raises StopIteration."""
    return next(o + address - a for kind, o, a, s in segments if kind == LOADED and a <= address < a + s)


def _versions(table: bytes, order: str, number: int) -> "Iterator[tuple[int, int]]":
    """
    Library and name, as places in the string table, of each needed version (`Elf64_Verneed`; 32 bits have the same).

    The loader passes over the absence of a version that is marked as weak. Raises struct.error for a list that ends too
    early, or has too many entries.
    """
    place = entries = 0
    for _ in range(number):
        _, count, library, first, following = struct.unpack_from(f"{order}HHIII", table, place)
        at, entries = place + first, entries + 1 + count
        if entries > MOST_VERSIONS:
            raise struct.error("too many versions")
        for _ in range(count):
            _, flags, _, name, after = struct.unpack_from(f"{order}IHHII", table, at)
            if not flags & WEAK:
                yield library, name
            at += after
        place += following


def beside(library: Library, name: str, within: "Path | frozenset[str]") -> bool:
    """Whether a dependency is in one of the library's own search paths (RPATH, RUNPATH), and within a folder or set."""
    origin = str(library.path.parent)
    places = (re.sub(r"\$(ORIGIN|\{ORIGIN\})", lambda _: origin, folder) for folder in library.folders)
    found = [Path(place, name) for place in places]
    if isinstance(within, frozenset):
        return any(os.path.normpath(path) in within for path in found)
    top = os.path.join(os.path.realpath(within), "")
    return any(path.exists() and os.path.realpath(path).startswith(top) for path in found)


def system_names() -> "set[str]":
    """The names of all files in the loader's folders."""
    return {path.name for folder in map(Path, system_folders()) if folder.is_dir() for path in folder.iterdir()}


def system_folders() -> "list[str]":
    """The loader's folders: LD_LIBRARY_PATH, its configuration, its defaults, and the folder of libc."""
    named = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder.startswith("/")]
    configured = list(configured_in(Path("/etc/ld.so.conf")))
    triple = [f"{top}/{platform.machine()}-linux-gnu" for top in ("/lib", "/usr/lib")]
    own = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"]
    libc = [where] if (where := libc_folder()) else []
    return list(dict.fromkeys([*named, *configured, *triple, *own, *libc]))


def configured_in(file: Path, depth: int = 0) -> "Iterator[str]":
    """The folders in a configuration file of ldconfig and in the files that it includes."""
    text = file.read_text(errors="replace") if file.is_file() else ""
    for line in (line.partition("#")[0].strip() for line in text.splitlines()):
        if line.startswith("/"):
            yield line.partition("=")[0]
        elif (pattern := line.removeprefix("include ").strip()) != line and depth < DEEPEST:
            within = os.path.relpath(pattern, file.parent) if pattern[0] == "/" else pattern
            for other in sorted(file.parent.glob(within)):
                yield from configured_in(other, depth + 1)


def libc_folder() -> str:
    """The folder of this process's C library, which the loader searches; empty for musl."""
    maps = Path("/proc/self/maps")
    text = maps.read_text(errors="replace") if maps.is_file() else ""
    match = re.search(r"(/\S*)/libc(?:\.so\.6|-2\.\d+\.so)$", text, re.MULTILINE)
    return os.path.realpath(match[1]) if match else ""


def link_copies(environment: Path, layer: str = "/", machine: str = "", here: "set[str] | None" = None) -> None:
    """Link missing libraries to copies in other packages that have every required symbol version."""
    own, machine = platform.machine(), machine or platform.machine()
    place = libc_folder()
    if not place or (machine != own and own not in place):
        return
    folder = Path(layer, place.replace(own, machine).lstrip("/"))
    required: dict[str, set[bytes]] = {}
    absent: dict[str, set[str]] = {}
    libraries = list(libraries_in(environment))
    for library, name in missing(libraries, system_names() if here is None else here, Path("/")):
        absent.setdefault(name, set()).add(owner(environment, library.path))
        required.setdefault(name, set()).update(VERSIONS.findall(library.strings))
    for name in sorted(absent):
        source = next(sources_of(libraries, name, required[name]), None) if name in LINKABLE else None
        text = f"warning: {name} is missing, which {', '.join(sorted(absent[name]))} is linked with"
        if source is not None:
            link(folder / name, source)
            text = f"{name} is linked to the copy of {owner(environment, source)}: {source}"
        sys.stderr.write(f"{text}\n")


def sources_of(libraries: "list[Library]", name: str, versions: "set[bytes]") -> "Iterator[Path]":
    """Copies of a library under the name of a repaired wheel, with these symbol versions; scikit-learn's first."""
    stem, _, number = name.partition(".so")
    pattern = re.compile(rf"{re.escape(stem)}-[0-9a-f]{{8,}}\.so{re.escape(number)}(\.[0-9.]+)?")
    copies = (library for library in libraries if pattern.fullmatch(library.path.name))
    for library in sorted(copies, key=lambda item: ("scikit_learn.libs" not in str(item.path), str(item.path))):
        if versions <= set(VERSIONS.findall(library.strings)):
            yield library.path


def link(path: Path, target: Path) -> None:
    """Create a link with FILE_DATE_S, and restore the dates of existing folders."""
    created = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.parent.stat().st_mtime_ns
    path.symlink_to(target)
    os.utime(path, (FILE_DATE_S, FILE_DATE_S), follow_symlinks=False)
    os.utime(path.parent, ns=(before, before))
    for folder in created:
        os.utime(folder, (FILE_DATE_S, FILE_DATE_S))


def linked(environment: Path) -> "list[list[str]]":
    """Name and target of every link that `link_copies` created here."""
    links = (Path(libc_folder() or "/nonexistent", name) for name in LINKABLE)
    targets = ((path, os.path.realpath(path)) for path in links if path.is_symlink())
    top = os.path.realpath(environment)
    return [[path.name, os.path.relpath(to, top)] for path, to in targets if to.startswith(f"{top}/")]


def owner(environment: Path, path: Path) -> str:
    """The distribution of a shared library, else the name of its folder."""
    return owners_in(environment).get(str(path), path.parent.name)


def owners_in(environment: Path) -> "dict[str, str]":
    """The distribution of each shared library that one lists, by its path."""
    places = ("lib/python*/site-packages/*.dist-info/RECORD", "*.dist-info/RECORD")
    owners: dict[str, str] = {}
    for record in sorted(record for place in places for record in environment.glob(place) if record.is_file()):
        package, top = re.sub(r"[-_.]+", "-", record.parent.name.partition("-")[0]).lower(), record.parents[1]
        with record.open(newline="", encoding="utf-8", errors="replace") as rows:
            for row in csv.reader(rows):
                if row and ".so" in row[0]:
                    owners.setdefault(os.path.join(top, row[0]), package)
    return owners


def required_by(model: str) -> str:
    """The library without which a model does not load; empty if it loads or fails for another reason."""
    argv = (sys.executable, "-I", "-B", "-c", LOAD, model)
    variables = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:////tmp/libraries.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=LOAD_S, check=False, env=variables
        )
    except subprocess.TimeoutExpired:
        return ""
    names: Iterable[str] = ABSENT.findall(done.stderr) if done.returncode else ()
    return next(iter(names), "")


if __name__ == "__main__":
    main(sys.argv[1:])
