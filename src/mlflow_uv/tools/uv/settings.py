"""
Reads uv's settings where uv does: from a project, the folders above it, the user and the machine.

Settings outside of a repository must not make its lock look stale: those that affect a resolution are ignored, those
for authentication and transport apply.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ...command.errors import BadProject
from ...core.release.digests import sha256
from ..project.files import Project, read_manifest, repository_of, table_of, write_whole

# How uv chooses among what it finds: it makes another lock of the same files.
_MODES = frozenset({
    "build-constraint-dependencies", "constraint-dependencies", "dependency-metadata", "environments",
    "exclude-dependencies", "exclude-newer", "exclude-newer-package", "fork-strategy", "minimum-libc-version",
    "no-binary", "no-binary-package", "no-build", "no-build-package", "no-sources", "no-sources-package",
    "override-dependencies", "prerelease", "prerelease-package", "required-environments", "resolution",
    "torch-backend", "upgrade", "upgrade-package",
})  # fmt: skip
# Where uv looks: a lock names its indexes, and what was locked with one of these is fresh with it alone.
_INDEXES = ("extra-index-url", "find-links", "index", "index-strategy", "index-url", "no-index")
_ADDRESSES = frozenset({"extra-index-url", "find-links", "index-url"})
_MARKS = (("uv.toml", ()), ("pyproject.toml", ("tool", "uv")))


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingsFile:
    """A file with settings of uv, and the keys that lead to them."""

    path: Path
    keys: tuple[str, ...]
    table: Mapping[str, Any] = field(repr=False)

    def steering(self, *, modes: bool, indexes: bool) -> tuple[str, ...]:
        """The keys in it that steer a resolution."""
        return tuple(key for key in self.table if (modes and key in _MODES) or (indexes and key in _INDEXES))


def settings_of(root: Path, manifest: Mapping[str, Any] | None = None) -> SettingsFile | None:
    """
    The settings that uv takes for the project with its lock in `root`: the nearest uv.toml or `[tool.uv]`.

    uv looks into the folder and into every one above it; `manifest` is that of the folder, where it was read. Raises
    BadProject for what cannot be read in the folder itself, and for a uv.toml.
    """
    for folder in (root, *root.parents):
        for name, keys in _MARKS:
            known = manifest if keys and folder == root else None
            path = folder / name
            if known is None and not path.is_file():
                continue
            try:
                table = read_manifest(path) if known is None else known
            except BadProject:
                if folder == root or not keys:
                    raise
                continue  # uv goes on, too
            if not keys or isinstance(table_of(table, *keys[:-1]).get(keys[-1]), dict):
                return SettingsFile(path=path, keys=keys, table=table_of(table, *keys))
    return None


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """
    The configuration files of uv outside of any checkout, on behalf of a caller with these variables.

    `cache` is a private folder for what uv is given in their place.
    """

    variables: Mapping[str, str] = field(repr=False)
    cache: Path
    machine: Path = Path("/etc")

    def steering(self, project: Project, *, modes: bool, indexes: bool) -> Mapping[Path, tuple[str, ...]]:
        """The files that uv reads for a project from outside of its repository, each with its keys of that kind."""
        found = {file.path: file.steering(modes=modes, indexes=indexes) for file in self._files(project)}
        return {path: keys for path, keys in found.items() if keys}

    def keyring(self, project: Project | None) -> bool:
        """Whether a setting leads uv to a keyring helper: of the machine, and of a project where one is given."""
        files = [*self._own]
        if project is not None:
            with suppress(BadProject):  # uv says so
                nearest = settings_of(project.root)
                files += [nearest] if nearest else []
        return any(file.table.get("keyring-provider", "disabled") != "disabled" for file in files)

    def past(self, project: Project | None, *, modes: bool, without: frozenset[str] = frozenset()) -> dict[str, str]:
        """
        Variables that lead uv past what steers a resolution: all modes, and the indexes of the files in `without`.

        None where there is nothing to pass.
        """
        files = self._files(project)
        dropped = {
            file.path: file.steering(modes=modes or str(file.path) in without, indexes=str(file.path) in without)
            for file in files
        }
        if not any(dropped.values()):
            return {}
        above = files[0] not in self._own and bool(dropped[files[0].path])
        tables = [_kept(file, frozenset(dropped[file.path])) for file in (files if above else self._own)]
        folder = self._written(_text(tables))
        if above:  # then the project has none of its own that this would hide
            return {"UV_CONFIG_FILE": str(folder / "uv" / "uv.toml")}
        empty = self.cache / "uv-settings" / "empty"
        if not (empty / "uv" / "uv.toml").is_file():
            write_whole(empty / "uv" / "uv.toml", b"")
        return {"XDG_CONFIG_HOME": str(folder), "XDG_CONFIG_DIRS": str(empty)}

    # files

    def _files(self, project: Project | None) -> tuple[SettingsFile, ...]:
        """What uv reads from outside of a project's repository, the nearest first; UV_CONFIG_FILE stands for all."""
        if self.variables.get("UV_CONFIG_FILE"):
            return ()
        return (*self._above(project), *self._own)

    def _above(self, project: Project | None) -> Iterator[SettingsFile]:
        top = None if project is None else repository_of(project.root)
        if project is None or top is None:
            return  # without a repository nobody can tell where it ends
        with suppress(BadProject):
            nearest = settings_of(project.root)
            if nearest is not None and not nearest.path.is_relative_to(top):
                yield nearest

    @cached_property
    def _own(self) -> tuple[SettingsFile, ...]:
        """Those of the user and of the machine."""
        found = []
        for path in (self._home / "uv" / "uv.toml", *self._system):
            if path.is_file():
                with suppress(BadProject):  # uv says so
                    found.append(SettingsFile(path=path, keys=(), table=read_manifest(path)))
        return tuple(found)

    @property
    def _home(self) -> Path:
        return Path(self.variables.get("XDG_CONFIG_HOME") or Path(self.variables.get("HOME") or "/", ".config"))

    @property
    def _system(self) -> Iterator[Path]:
        folders = (self.variables.get("XDG_CONFIG_DIRS") or str(self.machine / "xdg")).split(":")
        places = (*(Path(folder, "uv", "uv.toml") for folder in folders if folder), self.machine / "uv" / "uv.toml")
        yield from [place for place in places if place.is_file()][:1]

    def _written(self, text: str) -> Path:
        """A folder that stands for the user's: everything that is in it, with another uv.toml."""
        home = self._home
        names = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
        folder = self.cache / "uv-settings" / sha256("\0".join((text, str(home), *names)).encode())[:16]
        if not (folder / "uv" / "uv.toml").is_file():
            write_whole(folder / "uv" / "uv.toml", text.encode())
            (folder / "uv" / "uv.toml").chmod(0o600)
            for name in names:
                with suppress(FileExistsError):  # `uv`, and what somebody else links at the same time
                    (folder / name).symlink_to(home / name)
        return folder


def _kept(file: SettingsFile, dropped: frozenset[str]) -> dict[str, Any]:
    """A file's settings without some keys; a path in them leads where it led."""
    return {key: _absolute(key, value, file.path.parent) for key, value in file.table.items() if key not in dropped}


def _absolute(key: str, value: Any, folder: Path) -> Any:
    if key == "index" and isinstance(value, list):
        return [
            {inner: _absolute("index-url" if inner == "url" else inner, text, folder) for inner, text in index.items()}
            if isinstance(index, dict)
            else index
            for index in value
        ]
    if key not in _ADDRESSES:
        return value
    if isinstance(value, list):
        return [_absolute(key, one, folder) for one in value]
    return str(folder / value) if isinstance(value, str) and "://" not in value else value


def _text(tables: Iterable[Mapping[str, Any]]) -> str:
    """One file that says what several do: the first goes before the next, and lists are joined, as uv has it."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            known = merged.get(key, value)
            joined = isinstance(known, list) and isinstance(value, list) and key in merged
            merged[key] = [*known, *value] if joined else known
    return "".join(f"{_word(key)} = {_value(value)}\n" for key, value in merged.items())


def _word(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    """A value as TOML writes it in one line."""
    match value:
        case bool() | int() | float():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{_word(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case str():
            return _word(value).replace("\x7f", "\\u007f")
        case _:
            return str(value.isoformat())  # a date or time
