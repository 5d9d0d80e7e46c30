"""Reads the packages that uv laid out in an environment, and verifies each file by the RECORD of its package."""

import base64
import csv
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path, PurePosixPath

from ...command.errors import ToolFailed
from ...core.image.dockerfile import MOUNTS
from ...core.image.layers import PACKAGES, deletes
from ...core.lock.package_names import canonicalize_name
from ...core.model.model_files import WHEELS
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.content import open_file
from .archive import LayerFile

# Files of a package that have no digest in its RECORD (packaging.python.org, "Recording installed projects").
_UNSIGNED = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
# uv writes them on installation: when the wheel was read, and from which folder, which is the same in every image.
_UV_CACHE, _DIRECT_URL = "uv_cache.json", "direct_url.json"
# Of an unpacked package: a wheel of megabytes may unpack to any size. The largest of PyPI have a few gigabytes.
MOST_BYTES = 16 << 30
# Read at once: `hashlib.file_digest` has the kernel provide four times as much memory anew for each file.
_PIECE = 1 << 16
_WHEELS = f"{MOUNTS}/{PACKAGES}/{WHEELS}"


@lazy_dataclass
class RecordedFile:
    """A file of a package, relative to its environment, and its digest in the RECORD; empty for RECORD itself."""

    path: PurePosixPath
    digest: str


@lazy_dataclass
class RecordedPackage:
    """A package in an environment: its normalized name, and its files as its RECORD lists them."""

    name: str
    record: PurePosixPath
    files: tuple[RecordedFile, ...]


def recorded_packages(environment: Path) -> tuple[RecordedPackage, ...]:
    """The packages of an environment, as `packages_in`. Raises ToolFailed also for a RECORD that lists a path twice."""
    packages = packages_in(environment)
    for package in packages:
        paths = [file.path for file in package.files]
        if len(set(paths)) < len(paths):
            first = next(path for path in sorted(paths) if paths.count(path) > 1)
            raise unfit(package.name, str(first), "its RECORD lists it twice")
    return packages


def packages_in(environment: Path) -> tuple[RecordedPackage, ...]:
    """
    The packages of an environment, sorted by name. Raises ToolFailed for a RECORD that names other places.

    A RECORD comes from a wheel: its paths are only used if they lead to files below the environment.
    """
    records = sorted(environment.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    return tuple(sorted((_package(environment, record) for record in records), key=lambda package: package.name))


def has_recorded_content(file: Path, digest: str) -> bool:
    """Whether a file has the content of a digest in a RECORD; not if that is of no accepted kind. Raises OSError."""
    algorithm, _, recorded = digest.partition("=")
    if algorithm not in _ALGORITHMS:
        return False
    computed = hashlib.new(algorithm)
    with open_file(file) as content:
        while piece := content.read(_PIECE):
            computed.update(piece)
    return base64.urlsafe_b64encode(computed.digest()).rstrip(b"=").decode() == recorded.rstrip("=")


def is_comparable(digest: str) -> bool:
    """Whether a RECORD has a digest of an accepted kind for a file."""
    return digest.partition("=")[0] in _ALGORITHMS


def shared_files(packages: tuple[RecordedPackage, ...]) -> Mapping[PurePosixPath, tuple[str, ...]]:
    """Each path that several packages list, with their names; uv installs whichever it writes last, in no order."""
    owners: dict[PurePosixPath, list[str]] = {}
    for package in packages:
        for file in package.files:
            owners.setdefault(file.path, []).append(package.name)
    return {path: tuple(names) for path, names in owners.items() if len(names) > 1}


def unowned(environment: Path, packages: tuple[RecordedPackage, ...]) -> Iterator[PurePosixPath]:
    """Every file and link of an environment that no package lists, such as those of `uv venv`."""
    owned = {str(file.path) for package in packages for file in package.files}
    start = len(os.path.join(environment, ""))  # noqa: PTH118  # text: an environment has twenty thousand files
    for base, folders, names in os.walk(environment):
        links = [name for name in folders if os.path.islink(f"{base}/{name}")]  # noqa: PTH114
        for name in sorted((*names, *links)):
            path = f"{base}/{name}"[start:]
            if path not in owned:
                yield PurePosixPath(path)


def require_apart(packages: tuple[RecordedPackage, ...], own: frozenset[PurePosixPath]) -> None:
    """Raise ToolFailed for a package that brings one of the environment's `own` files, such as its interpreter."""
    for package in packages:
        for file in package.files:
            if file.path in own:
                raise unfit(package.name, str(file.path), "it is a file of the environment itself")


def verified_files(
    environment: Path, package: RecordedPackage, home: PurePosixPath, *, most: int = MOST_BYTES
) -> dict[PurePosixPath, LayerFile]:
    """
    The files of a package for an environment at `home`, each with the content that its RECORD lists.

    Scripts start the interpreter there, and RECORD has the digests of these scripts. What differs between two
    installations of one wheel is left out. Raises ToolFailed that names a file which is missing, changed, or no file,
    or with which the package has more than `most` bytes.
    """
    _require_size(environment, package, most)
    files: dict[PurePosixPath, LayerFile] = {}
    rewritten: dict[PurePosixPath, bytes] = {}
    for file in package.files:
        if file.path == package.record or _is_left_out(package, file.path):
            continue
        source = environment / file.path
        executable = bool(_verified_mode(package, file, source) & 0o111)
        if (data := _rewritten(environment, package, file.path, home)) is not None:
            rewritten[file.path] = data
            files[file.path] = LayerFile(data=data, executable=executable)
        else:
            files[file.path] = LayerFile(source=source, executable=executable)
    executable = bool((environment / package.record).stat().st_mode & 0o111)
    files[package.record] = LayerFile(data=_record_of(environment, package, rewritten), executable=executable)
    return files


def recorded_digests(package: RecordedPackage, files: Mapping[PurePosixPath, LayerFile]) -> dict[PurePosixPath, str]:
    """The digest of each verified file, as the RECORD of a layer has it: of a script, that of its content there."""
    digests = {file.path: file.digest for file in package.files if file.path in files}
    rewritten = {path: file.data for path, file in files.items() if file.source is None and path != package.record}
    return {**digests, **{path: f"sha256={_encoded(data)}" for path, data in rewritten.items()}}


def _require_size(environment: Path, package: RecordedPackage, most: int) -> None:
    """Raise ToolFailed for a package that is too large, before its files are read."""
    size = 0
    for file in package.files:
        mode, own_size = _mode_and_size(environment / file.path)
        size += own_size if stat.S_ISREG(mode) else 0
        if size > most:
            raise ToolFailed(
                what=f"`{package.name}` cannot be put into an image: it unpacks to more than {most >> 30} GiB",
                why=f"the limit is passed with `{file.path}`; a wheel of that size is broken, or made to fill a disk",
                fix=f"lock another version of {package.name}",
            )


def _package(environment: Path, record: Path) -> RecordedPackage:
    name = _name_of(record.parent)
    top = os.path.relpath(record.parents[1], environment)
    files = []
    try:
        with TextIOWrapper(open_file(record), newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise ToolFailed(what=f"the RECORD of `{name}` cannot be read", why=str(error)) from error
    for written, digest in ((row[0], row[1] if len(row) > 1 else "") for row in rows):
        place = os.path.normpath(os.path.join(top, written))  # noqa: PTH118  # normalized as text, whatever is there
        if os.path.isabs(written) or place.startswith("..") or "\0" in written:  # noqa: PTH117
            raise unfit(name, written, "it is outside of the environment")
        if deletes(PurePosixPath(place)):
            raise ToolFailed(
                what=f"`{name}` cannot be put into an image: `{written}`",
                why="in a layer of an image, a path with such a name deletes other files",
                fix=f"lock another version of {name}",
            )
        files.append(RecordedFile(path=PurePosixPath(place), digest=digest))
    return RecordedPackage(
        name=name, record=PurePosixPath(record.relative_to(environment).as_posix()), files=tuple(files)
    )


def _name_of(dist_info: Path) -> str:
    """The normalized name, from METADATA: that of the folder may be written in several ways."""
    metadata = dist_info / "METADATA"
    text = metadata.read_text(encoding="utf-8", errors="replace") if metadata.is_file() else ""
    match = re.search(r"^Name:[ \t]*(\S+)", text, re.MULTILINE)
    return canonicalize_name(match[1] if match else dist_info.name.partition("-")[0])


def _is_left_out(package: RecordedPackage, path: PurePosixPath) -> bool:
    return path.name == _UV_CACHE and path.parent == package.record.parent


def _verified_mode(package: RecordedPackage, file: RecordedFile, source: Path) -> int:
    """The mode of a file that has the content which RECORD lists."""
    mode = _mode_and_size(source)[0]
    if not stat.S_ISREG(mode):
        raise unfit(package.name, str(file.path), "it is missing, or no file")
    if file.path.name in _UNSIGNED and file.path.parent == package.record.parent:
        return mode
    if not is_comparable(file.digest):
        raise unfit(package.name, str(file.path), "its RECORD has no digest of it")
    if not has_recorded_content(source, file.digest):
        why = "its content does not match its RECORD, and only a build by an engine installs that"
        raise unfit(package.name, str(file.path), why)
    return mode


def _mode_and_size(place: Path) -> tuple[int, int]:
    """The mode and the size of what is at a path, which is not followed if it is a link; zeros if nothing is there."""
    try:
        state = place.lstat()
    except (OSError, ValueError):
        return 0, 0
    return state.st_mode, state.st_size


def _rewritten(environment: Path, package: RecordedPackage, path: PurePosixPath, home: PurePosixPath) -> bytes | None:
    """The content that a file gets in an image, None if that is the content it has."""
    if path.parts[0] == "bin":
        # uv writes the second form where the first would be longer than the kernel reads, or has a space.
        name = re.escape(f"{environment}/bin/python".encode())
        first = rb"#!%b\n|#!/bin/sh\n'''exec' ['\"]?%b['\"]? \"\$0\" \"\$@\"\n' '''\n" % (name, name)
        data = (environment / path).read_bytes()
        match = re.match(first, data)
        return f"#!{home}/bin/python\n".encode() + data[match.end() :] if match else None
    if path.name == _DIRECT_URL and path.parent == package.record.parent:
        data = (environment / path).read_bytes()
        return re.sub(rb'"file://[^"]*/([^"/]+)"', f'"file://{_WHEELS}/'.encode() + rb'\1"', data, count=1)
    return None


def _record_of(environment: Path, package: RecordedPackage, rewritten: Mapping[PurePosixPath, bytes]) -> bytes:
    """RECORD as uv wrote it, with the digests of rewritten scripts, and without what is left out."""
    with (environment / package.record).open(newline="", encoding="utf-8") as lines:
        rows = [row for row in lines if row.strip("\r\n")]
    if len(rows) != len(package.files):
        raise unfit(package.name, str(package.record), "a path in it contains a line break")
    kept = []
    for row, file in zip(rows, package.files, strict=True):
        if _is_left_out(package, file.path):
            continue
        kept.append(_row(row, rewritten[file.path]) if file.path in rewritten else row)
    return "".join(kept).encode()


def _row(row: str, data: bytes) -> str:
    """A row of RECORD with the digest and size of other content."""
    written = row.rstrip("\r\n")
    path, end = written.rsplit(",", 2)[0], row[len(written) :]
    return f"{path},sha256={_encoded(data)},{len(data)}{end}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def unfit(name: str, path: str, why: str) -> ToolFailed:
    """The error for a package that is not used because of one of its files."""
    return ToolFailed(
        what=f"`{name}` cannot be used: `{path}`",
        why=f"{why}; if that stays so after the fix, the wheel is broken: lock another version of `{name}`",
        fix=f"uv cache clean {name}",
    )
