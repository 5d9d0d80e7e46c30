"""
Finds shared libraries that packages of an environment need and nothing has, and links copies that other wheels bring.

`python -I -B libraries.py ENVIRONMENT [MODEL]` prints as JSON {lacking: [[package, file, library]], lent: [[library,
file]], missed}. `lacking` are needed and nowhere: not among the packages, not where the loader looks. `lent` are those
that `--lend` linked. `missed` is the library without which the model does not load, asked only where something lacks.

`python -I -B libraries.py --lend ENVIRONMENT [LAYER MACHINE]` links what is lacking and another package brings along
where the loader looks last, for the architecture of that name below LAYER, if not here.
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

WHEN = 315532800  # 1980, as everything that is installed here
LOAD_S = 240
# Compilers' own, which keep what they once had and name its versions: whichever is not older is as good.
LENDABLE = ("libgomp.so.1", "libgfortran.so.5", "libquadmath.so.0")
VERSIONS = re.compile(rb"\0((?:GOMP|OMP|OACC|GOACC|GFORTRAN|QUADMATH)_[0-9.]+)(?=\0)")
# What a driver brings when a container is started.
OF_DRIVERS = ("libcuda.", "libnvidia-", "libnvcuvid.", "libamdhip")
# As the loaders of glibc and of musl say it.
ABSENT = re.compile(r"([\w.+-]+\.so[\w.]*)(?=: cannot open shared object file|: No such file or directory \(needed by)")
LOAD = "import sys, mlflow.pyfunc; mlflow.pyfunc.load_model(sys.argv[1])"
HEAD, WIDE, DEEPEST = 52, 2, 5
LOADED, DYNAMIC, NEEDED, STRINGS, SIZE, NAME, PATHS = 1, 2, 1, 5, 10, 14, (15, 29)


@dataclass(frozen=True)
class Library:
    """What the dynamic section of an ELF file says; `strings` are the names in it."""

    path: Path
    name: str
    needed: "tuple[str, ...]"
    folders: "tuple[str, ...]"
    strings: bytes


def main(arguments: "list[str]") -> None:
    """Links missing libraries (`--lend`), or prints which ones are missing."""
    if arguments[0] == "--lend":
        folder, layer, machine = [*arguments[1:], "/", ""][:3]
        lend(Path(folder), layer, machine)
        return
    environment, *model = arguments
    found = lacking(Path(environment))
    missed = missed_by(model[0]) if found and model else ""
    rows = [[owner(Path(environment), library.path), library.path.name, name] for library, name in found]
    json.dump({"lacking": sorted(rows), "lent": lent(Path(environment)), "missed": missed}, sys.stdout)


def lacking(environment: Path, here: "set[str] | None" = None) -> "list[tuple[Library, str]]":
    """Every library of an environment with a name that it needs, and that nobody has; `here` is what the system has."""
    libraries = list(libraries_in(environment))
    known = {library.path.name for library in libraries} | {library.name for library in libraries}
    known |= system_names() if here is None else here
    return [
        (library, name)
        for library in libraries
        for name in library.needed
        if name not in known and not name.startswith(OF_DRIVERS) and not beside(library, name)
    ]


def libraries_in(environment: Path) -> "Iterator[Library]":
    """Every shared library below a folder."""
    for base, folders, names in os.walk(environment):
        folders.sort()
        for name in sorted(names):
            if ".so" in name and (library := read(Path(base, name))):
                yield library


def read(path: Path) -> "Library | None":
    """The dynamic section of a file; None for what is no ELF library, or a broken one."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if head[:4] != b"\x7fELF" or len(head) < HEAD:
                return None
            order, wide = "<" if head[5] == 1 else ">", head[4] == WIDE
            start, step, count = _segments(head, order, wide=wide)
            file.seek(start)
            table = file.read(step * count)
            segments = [_segment(table[at * step : (at + 1) * step], order, wide=wide) for at in range(count)]
            place = next(((offset, size) for kind, offset, _, size in segments if kind == DYNAMIC), None)
            if place is None:
                return None
            file.seek(place[0])
            entries = list(struct.iter_unpack(f"{order}{'qQ' if wide else 'iI'}", file.read(place[1])))
            values = dict(reversed(entries))
            at = next(
                o + values[STRINGS] - a for kind, o, a, s in segments if kind == LOADED and a <= values[STRINGS] < a + s
            )
            file.seek(at)
            strings = file.read(values[SIZE])
    except (OSError, struct.error, KeyError, StopIteration, OverflowError, MemoryError):
        return None

    def text(start: int) -> str:
        return strings[start : strings.index(b"\0", start)].decode(errors="replace")

    try:
        return Library(
            path=path,
            name=text(values[NAME]) if NAME in values else path.name,
            needed=tuple(text(value) for tag, value in entries if tag == NEEDED),
            folders=tuple(part for tag, value in entries if tag in PATHS for part in text(value).split(":") if part),
            strings=strings,
        )
    except ValueError:
        return None


def _segments(head: bytes, order: str, *, wide: bool) -> "tuple[int, int, int]":
    """Where the program headers begin, how long each is, and how many there are."""
    (start,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", head, 32 if wide else 28)
    step, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
    return start, step, count


def _segment(entry: bytes, order: str, *, wide: bool) -> "tuple[int, int, int, int]":
    """Kind, offset, address and size in the file of a segment."""
    if wide:
        kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", entry)
    else:
        kind, offset, address, _, size = struct.unpack_from(f"{order}IIIII", entry)
    return kind, offset, address, size


def beside(library: Library, name: str) -> bool:
    """Whether it is where the library itself says."""
    origin = str(library.path.parent)
    places = (re.sub(r"\$(ORIGIN|\{ORIGIN\})", lambda _: origin, folder) for folder in library.folders)
    return any(Path(place, name).exists() for place in places)


def system_names() -> "set[str]":
    """The names of everything that lies where the loader looks."""
    return {path.name for folder in map(Path, system_folders()) if folder.is_dir() for path in folder.iterdir()}


def system_folders() -> "list[str]":
    """Where the loader looks: what the environment says, its configuration, its own folders, and where libc is."""
    named = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder.startswith("/")]
    configured = list(configured_in(Path("/etc/ld.so.conf")))
    triple = [f"{top}/{platform.machine()}-linux-gnu" for top in ("/lib", "/usr/lib")]
    own = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"]
    found = [where] if (where := libc_folder()) else []
    return list(dict.fromkeys([*named, *configured, *triple, *own, *found]))


def configured_in(file: Path, depth: int = 0) -> "Iterator[str]":
    """The folders that a file for ldconfig lists, and those in the files that it includes."""
    text = file.read_text(errors="replace") if file.is_file() else ""
    for line in (line.partition("#")[0].strip() for line in text.splitlines()):
        if line.startswith("/"):
            yield line.partition("=")[0]
        elif (pattern := line.removeprefix("include ").strip()) != line and depth < DEEPEST:
            for other in sorted(
                file.parent.glob(os.path.relpath(pattern, file.parent) if pattern[0] == "/" else pattern)
            ):
                yield from configured_in(other, depth + 1)


def libc_folder() -> str:
    """The folder of the C library that this process uses, which is one where the loader looks; empty for musl."""
    maps = Path("/proc/self/maps")
    text = maps.read_text(errors="replace") if maps.is_file() else ""
    found = re.search(r"(/\S*)/libc(?:\.so\.6|-2\.\d+\.so)$", text, re.MULTILINE)
    return os.path.realpath(found[1]) if found else ""


def lend(environment: Path, layer: str = "/", machine: str = "", here: "set[str] | None" = None) -> None:
    """Link what is lacking to what another package brings, if that has every version that is asked for."""
    own, machine = platform.machine(), machine or platform.machine()
    place = libc_folder()
    if not place or (machine != own and own not in place):
        return
    folder = Path(layer, place.replace(own, machine).lstrip("/"))
    wanted: dict[str, set[bytes]] = {}
    absent: dict[str, set[str]] = {}
    for library, name in lacking(environment, here):
        absent.setdefault(name, set()).add(owner(environment, library.path))
        wanted.setdefault(name, set()).update(VERSIONS.findall(library.strings))
    for name in sorted(absent):
        lender = next(lenders(environment, name, wanted[name]), None) if name in LENDABLE else None
        if lender is not None:
            link(folder / name, lender)
            sys.stderr.write(f"{name} is that of {owner(environment, lender)}: {lender}\n")
        else:
            sys.stderr.write(f"warning: {name} is missing, which {', '.join(sorted(absent[name]))} is linked with\n")


def lenders(environment: Path, name: str, versions: "set[bytes]") -> "Iterator[Path]":
    """The files that are this library under a name of their own, with these versions; scikit-learn's first."""
    stem, _, number = name.partition(".so")
    pattern = re.compile(rf"{re.escape(stem)}-[0-9a-f]{{8,}}\.so{re.escape(number)}(\.[0-9.]+)?")
    found = [library for library in libraries_in(environment) if pattern.fullmatch(library.path.name)]
    for library in sorted(found, key=lambda one: ("scikit_learn.libs" not in str(one.path), str(one.path))):
        if versions <= set(VERSIONS.findall(library.strings)):
            yield library.path


def link(path: Path, target: Path) -> None:
    """Make a link with the one date, and leave the dates of the folders that are there as they were."""
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.parent.stat().st_mtime_ns
    path.symlink_to(target)
    os.utime(path, (WHEN, WHEN), follow_symlinks=False)
    os.utime(path.parent, ns=(before, before))
    for folder in made:
        os.utime(folder, (WHEN, WHEN))


def lent(environment: Path) -> "list[list[str]]":
    """What `lend` linked here, and to which file."""
    links = (Path(libc_folder() or "/nonexistent", name) for name in LENDABLE)
    targets = ((path, os.path.realpath(path)) for path in links if path.is_symlink())
    top = os.path.realpath(environment)
    return [[path.name, os.path.relpath(to, top)] for path, to in targets if to.startswith(f"{top}/")]


def owner(environment: Path, path: Path) -> str:
    """The distribution that a file came with, else the folder that it lies in."""
    for record in sorted(environment.glob("lib/python*/site-packages/*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as rows:
            if any(row and record.parents[1] / row[0] == path for row in csv.reader(rows)):
                return re.sub(r"[-_.]+", "-", record.parent.name.partition("-")[0]).lower()
    return path.parent.name


def missed_by(model: str) -> str:
    """The library without which a model does not load; empty where it loads, or fails for another reason."""
    argv = (sys.executable, "-I", "-B", "-c", LOAD, model)
    variables = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:////tmp/libraries.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=LOAD_S, check=False, env=variables
        )
    except subprocess.TimeoutExpired:
        return ""
    found: Iterable[str] = ABSENT.findall(done.stderr) if done.returncode else ()
    return next(iter(found), "")


if __name__ == "__main__":
    main(sys.argv[1:])
