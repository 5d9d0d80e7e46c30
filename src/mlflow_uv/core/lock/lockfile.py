"""Parses uv.lock: version 1 of the format, any revision."""

import re
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.size_limits import LOCK_LIMIT
from ..security.toml_documents import Unparsable, parse_toml

VERSION = 1


class SourceKind(Enum):
    """The kind of a package's source; the values are the keys that uv writes."""

    REGISTRY = "registry"
    GIT = "git"
    URL = "url"
    PATH = "path"
    DIRECTORY = "directory"
    EDITABLE = "editable"
    VIRTUAL = "virtual"

    @property
    def local(self) -> bool:
        """Whether it is a folder or file of the checkout, which exists on no other machine."""
        return self in _LOCAL


_KINDS = {int: "number", str: "text", dict: "table", list: "list"}
_LOCAL = frozenset({SourceKind.PATH, SourceKind.DIRECTORY, SourceKind.EDITABLE, SourceKind.VIRTUAL})


class PackageSource(NamedTuple):
    """A source's kind and its address: a URL, or a path relative to the lock's folder."""

    kind: SourceKind
    address: str


class Artifact(NamedTuple):
    """A wheel or source distribution. `hash` is `sha256:…`, `size` is in bytes; both are None where unknown."""

    url: str
    file: str
    hash: str | None
    size: int | None


class Dependency(NamedTuple):
    """A dependency. uv writes `version` and `source` only where the name is locked more than once, else None."""

    name: str
    version: str | None
    source: PackageSource | None
    extras: tuple[str, ...]
    marker: str


class NotALock(ValueError):
    """The text is not a readable uv.lock. `line` is 1-based."""

    def __init__(self, why: str, *, line: int = 1) -> None:
        super().__init__(why)
        self.line = line


@lazy_dataclass
class Package:
    """
    A `[[package]]` table, identified by name, version **and source**; a local package may have no version.

    `position` counts from 0 in the order of the file; names are normalised (PEP 503), as uv writes them.
    """

    name: str
    version: str | None
    source: PackageSource
    position: int
    table: Mapping[str, Any] = field(repr=False)

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """The dependencies without any extra or group."""
        return _dependencies(self.table.get("dependencies", ()))

    @property
    def extras(self) -> Mapping[str, tuple[Dependency, ...]]:
        """The additional dependencies of each extra."""
        return {name: _dependencies(entries) for name, entries in self.table.get("optional-dependencies", {}).items()}

    @property
    def groups(self) -> Mapping[str, tuple[Dependency, ...]]:
        """The dependencies of each dependency group."""
        return {name: _dependencies(entries) for name, entries in self.table.get("dev-dependencies", {}).items()}

    @property
    def wheels(self) -> tuple[Artifact, ...]:
        """The locked wheels."""
        return tuple(map(_artifact, self.table.get("wheels", ())))

    @property
    def sdist(self) -> Artifact | None:
        """The locked source distribution, or None."""
        table = self.table.get("sdist")
        return None if table is None else _artifact(table)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The locked wheels, then the source distribution, if there is one."""
        sdist = self.sdist
        return self.wheels if sdist is None else (*self.wheels, sdist)

    @property
    def resolution_markers(self) -> tuple[str, ...]:
        """The markers under which this version applies, for a name that is locked more than once."""
        return tuple(self.table.get("resolution-markers", ()))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The requirements that a local package was locked from: `requires-dist`, `requires-dev`, `provides-extras`."""
        metadata: Mapping[str, Any] = self.table.get("metadata", {})
        return metadata


@lazy_dataclass
class Lockfile:
    """A parsed uv.lock. `manifest`, `options` and `conflicts` are as uv wrote them."""

    revision: int
    requires_python: str
    packages: tuple[Package, ...]
    resolution_markers: tuple[str, ...]
    supported_markers: tuple[str, ...]
    required_markers: tuple[str, ...]
    manifest: Mapping[str, Any] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    conflicts: tuple[Any, ...] = field(repr=False)

    @property
    def by_name(self) -> Mapping[str, tuple[Package, ...]]:
        """The packages of each name, in the order of the file."""
        by_name: dict[str, list[Package]] = {}
        for package in self.packages:
            by_name.setdefault(package.name, []).append(package)
        return {name: tuple(packages) for name, packages in by_name.items()}

    def local(self, path: str) -> Package | None:
        """The package whose source is this folder, relative to the lock's folder (`.`: the root); None without one."""
        return next(
            (package for package in self.packages if package.source.kind.local and package.source.address == path), None
        )


def is_lock(data: bytes) -> bool:
    """Whether `read_lockfile` can parse the bytes."""
    try:
        read_lockfile(data)
    except NotALock:
        return False
    return True


@lru_cache(maxsize=2)
def read_lockfile(data: bytes) -> Lockfile:
    """
    Parse the bytes of a uv.lock. Raises NotALock, and no other exception, for any other content.

    A step reads the same lock several times; nobody changes what is returned.
    """
    try:
        table = parse_toml(data, limit=LOCK_LIMIT)
    except Unparsable as error:
        conflict = _conflict_line(data)
        why = "it holds merge conflict markers" if conflict else str(error)
        raise NotALock(why, line=conflict or error.line) from error
    return _lockfile(table, data)


def package_line(data: bytes, position: int) -> int:
    """The 1-based line of the `[[package]]` at a position (from 0); 1 where there is none."""
    starts = re.finditer(rb"^\[\[package\]\]", data, re.MULTILINE)
    match = next(islice(starts, position, None), None)
    return data.count(b"\n", 0, match.start()) + 1 if match else 1


def _conflict_line(data: bytes) -> int | None:
    lines = data.split(b"\n")
    return next((number for number, line in enumerate(lines, 1) if line.startswith((b"<<<<<<< ", b">>>>>>> "))), None)


def _lockfile(table: Mapping[str, Any], data: bytes) -> Lockfile:
    try:
        if "version" not in table:
            raise NotALock("it has no `version`: uv did not write it")
        if _get(table, "version", int, 0) > VERSION:
            raise _Malformed("version", f"its format is version {table['version']}, supported is {VERSION}")
        manifest = _get(table, "manifest", dict, {})
        _list(manifest, "members", str)
        _validate_edges(_get(manifest, "dependency-groups", dict, {}))
        return Lockfile(
            revision=_get(table, "revision", int, 0),
            requires_python=_get(table, "requires-python", str, ""),
            packages=tuple(
                _package(entry, position, data) for position, entry in enumerate(_list(table, "package", dict))
            ),
            resolution_markers=_list(table, "resolution-markers", str),
            supported_markers=_list(table, "supported-markers", str),
            required_markers=_list(table, "required-markers", str),
            manifest=manifest,
            options=_get(table, "options", dict, {}),
            conflicts=_list(table, "conflicts", list),
        )
    except _Malformed as error:
        raise NotALock(str(error), line=_key_line(data, error.key)) from error


def _package(table: Mapping[str, Any], position: int, data: bytes) -> Package:
    try:
        package = Package(
            name=_text(table, "name"),
            version=_get(table, "version", str, None),
            source=_source(table.get("source")),
            position=position,
            table=table,
        )
        _validate(table)
    except (_Malformed, ValueError) as error:
        line = package_line(data, position)
        raise NotALock(f"a package is malformed: {error}", line=line) from error
    return package


def _validate(table: Mapping[str, Any]) -> None:
    """Check the types of everything that the properties of a Package read. Raises _Malformed, ValueError."""
    groups = (_get(table, name, dict, {}) for name in ("optional-dependencies", "dev-dependencies"))
    _validate_edges({"dependencies": table.get("dependencies", [])}, *groups)
    _list(table, "resolution-markers", str)
    _get(table, "metadata", dict, {})
    for file in (*_list(table, "wheels", dict), _get(table, "sdist", dict, {})):
        for key in ("url", "path", "filename", "hash"):
            _get(file, key, str, None)
        _get(file, "size", int, None)


def _validate_edges(*groups: Mapping[str, Any]) -> None:
    for group in groups:
        for name in group:
            for edge in _list(group, name, dict):
                _text(edge, "name")
                _get(edge, "version", str, None)
                _get(edge, "marker", str, "")
                _list(edge, "extra", str)
                _list(edge, "extras", str)  # as in the manifest
                if "source" in edge:
                    _source(edge["source"])


def _source(raw: Any) -> PackageSource:
    if isinstance(raw, dict):
        for kind in SourceKind:
            address = raw.get(kind.value)
            if isinstance(address, str):
                return PackageSource(kind, address)
    raise _Malformed("source", f"{raw!r} is not a source")


def _artifact(raw: Mapping[str, Any]) -> Artifact:
    url = raw.get("url") or raw.get("path") or raw.get("filename") or ""
    path = url.partition("#")[0].partition("?")[0]  # urlsplit on thousands of URLs takes as long as parsing the TOML
    file = raw.get("filename") or unquote(path.rpartition("/")[2])
    return Artifact(url, file, raw.get("hash"), raw.get("size"))


def _dependencies(raw: Any) -> tuple[Dependency, ...]:
    return tuple(
        Dependency(
            entry["name"],
            entry.get("version"),
            _source(entry["source"]) if "source" in entry else None,
            tuple(entry.get("extra", ())),
            entry.get("marker", ""),
        )
        for entry in raw
    )


def _key_line(data: bytes, key: str) -> int:
    return next((number for number, line in enumerate(data.split(b"\n"), 1) if line.startswith(key.encode())), 1)


class _Malformed(Exception):
    """A key has a value of the wrong type."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def _get(table: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = table.get(key, default)
    if value is not default and type(value) is not kind:
        raise _Malformed(key, f"its `{key}` is not a {_KINDS[kind]}")
    return value


def _text(table: Mapping[str, Any], key: str) -> str:
    if key not in table:
        raise _Malformed(key, f"it has no `{key}`")
    return str(_get(table, key, str, ""))


def _list(table: Mapping[str, Any], key: str, kind: type) -> tuple[Any, ...]:
    values = _get(table, key, list, ())
    if not all(type(value) is kind for value in values):
        raise _Malformed(key, f"its `{key}` is not a list of {_KINDS[kind]}s")
    return tuple(values)
