"""What does uv.lock say? A reader of the format that uv writes, versions 1, any revision."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..security.documents import LOCK_LIMIT, Unparsable, parse_toml

VERSION = 1


class SourceKind(Enum):
    """Where a package comes from; the words are uv's."""

    REGISTRY = "registry"
    GIT = "git"
    URL = "url"
    PATH = "path"
    DIRECTORY = "directory"
    EDITABLE = "editable"
    VIRTUAL = "virtual"

    @property
    def local(self) -> bool:
        """Whether it is a folder or file of the checkout, which means nothing anywhere else."""
        return self in _LOCAL


_KINDS = {int: "number", str: "text", dict: "table", list: "list"}
_LOCAL = frozenset({SourceKind.PATH, SourceKind.DIRECTORY, SourceKind.EDITABLE, SourceKind.VIRTUAL})


class PackageSource(NamedTuple):
    """A kind and its address: a URL, or a path relative to the lock's folder."""

    kind: SourceKind
    address: str


class Artifact(NamedTuple):
    """A wheel or source distribution. `hash` is `sha256:…`, `size` in bytes; either may be unknown, and then None."""

    url: str
    file: str
    hash: str | None
    size: int | None


class Dependency(NamedTuple):
    """An edge. `version` and `source` are only written where the name alone is not one package of the lock."""

    name: str
    version: str | None
    source: PackageSource | None
    extras: tuple[str, ...]
    marker: str


class NotALock(ValueError):
    """The text is not a lock that can be read: why, and the 1-based line where that shows."""

    def __init__(self, why: str, *, line: int = 1) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """
    One `[[package]]`: identified by name, version **and source**; a local one may have no version.

    `position` counts from 0 in the order of the file; names are normalised (PEP 503), as uv writes them.
    """

    name: str
    version: str | None
    source: PackageSource
    position: int
    table: Mapping[str, Any] = field(repr=False)

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What it always needs."""
        return _dependencies(self.table.get("dependencies", ()))

    @property
    def extras(self) -> Mapping[str, tuple[Dependency, ...]]:
        """What each extra adds."""
        return {name: _dependencies(found) for name, found in self.table.get("optional-dependencies", {}).items()}

    @property
    def groups(self) -> Mapping[str, tuple[Dependency, ...]]:
        """What each dependency group is."""
        return {name: _dependencies(found) for name, found in self.table.get("dev-dependencies", {}).items()}

    @property
    def wheels(self) -> tuple[Artifact, ...]:
        """The built distributions that the lock knows."""
        return tuple(map(_artifact, self.table.get("wheels", ())))

    @property
    def sdist(self) -> Artifact | None:
        """The source distribution, if the lock knows one."""
        found = self.table.get("sdist")
        return None if found is None else _artifact(found)

    @property
    def resolution_markers(self) -> tuple[str, ...]:
        """Where this version is meant, for a name that is locked at several."""
        return tuple(self.table.get("resolution-markers", ()))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What a local package was locked from: `requires-dist`, `requires-dev`, `provides-extras`."""
        found: Mapping[str, Any] = self.table.get("metadata", {})
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Lockfile:
    """A whole uv.lock. `manifest`, `options` and `conflicts` are as uv wrote them."""

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
        found: dict[str, list[Package]] = {}
        for package in self.packages:
            found.setdefault(package.name, []).append(package)
        return {name: tuple(packages) for name, packages in found.items()}

    def local(self, path: str) -> Package | None:
        """The package whose source is this folder, relative to the lock's (`.` is the root itself)."""
        return next((one for one in self.packages if one.source.kind.local and one.source.address == path), None)


def read_lockfile(data: bytes) -> Lockfile:
    """Read the bytes of a uv.lock. Raises NotALock, and nothing else, for whatever is not one."""
    try:
        table = parse_toml(data, limit=LOCK_LIMIT)
    except Unparsable as error:
        conflict = _conflict_line(data)
        why = "it holds merge conflict markers" if conflict else str(error)
        raise NotALock(why, line=conflict or error.line) from error
    return _lockfile(table, data)


def package_line(data: bytes, position: int) -> int:
    """The 1-based line of the `[[package]]` at that position; 1 where there is none."""
    starts = re.finditer(rb"^\[\[package\]\]", data, re.MULTILINE)
    found = next(islice(starts, position, None), None)
    return data.count(b"\n", 0, found.start()) + 1 if found else 1


def _conflict_line(data: bytes) -> int | None:
    lines = data.split(b"\n")
    return next((number for number, line in enumerate(lines, 1) if line.startswith((b"<<<<<<< ", b">>>>>>> "))), None)


def _lockfile(table: Mapping[str, Any], data: bytes) -> Lockfile:
    try:
        if "version" not in table:
            raise NotALock("it has no `version`: uv did not write it")
        if _get(table, "version", int, 0) > VERSION:
            raise _Malformed("version", f"it is of format {table['version']}, and the newest known is {VERSION}")
        manifest = _get(table, "manifest", dict, {})
        _list(manifest, "members", str)
        _validate_edges(_get(manifest, "dependency-groups", dict, {}))
        return Lockfile(
            revision=_get(table, "revision", int, 0),
            requires_python=_get(table, "requires-python", str, ""),
            packages=tuple(_package(one, at, data) for at, one in enumerate(_list(table, "package", dict))),
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
    """Whatever the properties of a Package read has the shape they need. Raises _Malformed, ValueError."""
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
                _list(edge, "extras", str)  # so in the manifest
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
    path = url.partition("#")[0].partition("?")[0]  # urlsplit, for thousands of them, costs as much as the TOML
    file = raw.get("filename") or unquote(path.rpartition("/")[2])
    return Artifact(url, file, raw.get("hash"), raw.get("size"))


def _dependencies(raw: Any) -> tuple[Dependency, ...]:
    return tuple(
        Dependency(
            one["name"],
            one.get("version"),
            _source(one["source"]) if "source" in one else None,
            tuple(one.get("extra", ())),
            one.get("marker", ""),
        )
        for one in raw
    )


def _key_line(data: bytes, key: str) -> int:
    return next((number for number, line in enumerate(data.split(b"\n"), 1) if line.startswith(key.encode())), 1)


class _Malformed(Exception):
    """A key whose value is not what it should be."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def _get(table: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    found = table.get(key, default)
    if found is not default and type(found) is not kind:
        raise _Malformed(key, f"its `{key}` is not a {_KINDS[kind]}")
    return found


def _text(table: Mapping[str, Any], key: str) -> str:
    if key not in table:
        raise _Malformed(key, f"it has no `{key}`")
    return str(_get(table, key, str, ""))


def _list(table: Mapping[str, Any], key: str, kind: type) -> tuple[Any, ...]:
    found = _get(table, key, list, ())
    if not all(type(one) is kind for one in found):
        raise _Malformed(key, f"its `{key}` is not a list of {_KINDS[kind]}s")
    return tuple(found)
