"""
Reads uv's settings where uv does: from a project, the folders above it, the user and the machine.

Settings outside of a repository must not make its lock look stale: those that affect a resolution are ignored, those
for authentication and transport apply.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from ...command.errors import BadProject
from ...core.release.digests import sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..project.files import Project, read_manifest, repository_of, table_of, write_atomically
from .settings_places import MACHINE, machine_files, users_file, users_folder

# Settings of the resolver: they change the lock that is made from the same files.
_MODES = frozenset({
    "build-constraint-dependencies", "constraint-dependencies", "dependency-metadata", "environments",
    "exclude-dependencies", "exclude-newer", "exclude-newer-package", "fork-strategy", "minimum-libc-version",
    "no-binary", "no-binary-package", "no-build", "no-build-package", "no-sources", "no-sources-package",
    "override-dependencies", "prerelease", "prerelease-package", "required-environments", "resolution",
    "torch-backend", "upgrade", "upgrade-package",
})  # fmt: skip
# Settings for indexes: a lock names its indexes, so one made with these is fresh only with them.
_INDEXES = ("extra-index-url", "find-links", "index", "index-strategy", "index-url", "no-index")
_ADDRESSES = frozenset({"extra-index-url", "find-links", "index-url"})
_FILES = (("uv.toml", ()), ("pyproject.toml", ("tool", "uv")))


@lazy_dataclass
class SettingsFile:
    """A file with settings of uv, and the keys of the table that contains them."""

    path: Path
    keys: tuple[str, ...]
    table: Mapping[str, Any] = field(repr=False)

    def resolution_keys(self, *, modes: bool, indexes: bool) -> tuple[str, ...]:
        """The keys that affect a resolution: those of the resolver (`modes`), those for indexes, or both."""
        return tuple(key for key in self.table if (modes and key in _MODES) or (indexes and key in _INDEXES))


def settings_of(root: Path, manifest: Mapping[str, Any] | None = None) -> SettingsFile | None:
    """
    The settings that uv uses for the project with its lock in `root`: the nearest uv.toml or `[tool.uv]`.

    uv searches the folder and every one above it. `manifest` is the pyproject.toml of `root`, if it was read already.
    Raises BadProject for an unreadable uv.toml, and for an unreadable pyproject.toml in `root`.
    """
    for folder in (root, *root.parents):
        for name, keys in _FILES:
            known = manifest if keys and folder == root else None
            path = folder / name
            if known is None and not path.is_file():
                continue
            try:
                table = read_manifest(path) if known is None else known
            except BadProject:
                if folder == root or not keys:
                    raise
                continue  # uv continues, too
            if not keys or isinstance(table_of(table, *keys[:-1]).get(keys[-1]), dict):
                return SettingsFile(path=path, keys=keys, table=table_of(table, *keys))
    return None


@lazy_dataclass
class MachineSettings:
    """
    The configuration files of uv outside of any checkout, for a caller with these variables.

    `cache` is a private folder for the files that replace them.
    """

    variables: Mapping[str, str] = field(repr=False)
    cache: Path
    machine: Path = Path(MACHINE)

    def resolution_keys(self, project: Project, *, modes: bool, indexes: bool) -> Mapping[Path, tuple[str, ...]]:
        """The files outside of a project's repository that uv reads, each with its keys that affect a resolution."""
        keys_by_file = {file.path: file.resolution_keys(modes=modes, indexes=indexes) for file in self._files(project)}
        return {path: keys for path, keys in keys_by_file.items() if keys}

    def keyring(self, project: Project | None) -> bool:
        """Whether the machine's settings, or those of a given project, enable a keyring helper."""
        files = [*self._own]
        if project is not None:
            with suppress(BadProject):  # uv reports it
                nearest = settings_of(project.root)
                files += [nearest] if nearest else []
        return any(file.table.get("keyring-provider", "disabled") != "disabled" for file in files)

    def overrides(
        self, project: Project | None, *, modes: bool, without: frozenset[str] = frozenset()
    ) -> dict[str, str]:
        """
        Variables by which uv ignores settings that affect a resolution: all `modes`, and the indexes of `without`.

        They name copies of the configuration files without these keys. Empty if there are no such keys.
        """
        files = self._files(project)
        dropped = {
            file.path: file.resolution_keys(modes=modes or str(file.path) in without, indexes=str(file.path) in without)
            for file in files
        }
        if not any(dropped.values()):
            return {}
        above = files[0] not in self._own and bool(dropped[files[0].path])
        tables = [_kept(file, frozenset(dropped[file.path])) for file in (files if above else self._own)]
        folder = self._written(_text(tables))
        if above:  # then the project has no settings of its own that this would replace
            return {"UV_CONFIG_FILE": str(folder / "uv" / "uv.toml")}
        empty = self.cache / "uv-settings" / "empty"
        if not (empty / "uv" / "uv.toml").is_file():
            write_atomically(empty / "uv" / "uv.toml", b"")
        return {"XDG_CONFIG_HOME": str(folder), "XDG_CONFIG_DIRS": str(empty)}

    # files

    def _files(self, project: Project | None) -> tuple[SettingsFile, ...]:
        """The files outside of a project's repository that uv reads, nearest first; none with UV_CONFIG_FILE."""
        if self.variables.get("UV_CONFIG_FILE"):
            return ()
        return (*self._above(project), *self._own)

    def _above(self, project: Project | None) -> Iterator[SettingsFile]:
        top = None if project is None else repository_of(project.root)
        if project is None or top is None:
            return  # without a repository its boundary is unknown
        with suppress(BadProject):
            nearest = settings_of(project.root)
            if nearest is not None and not nearest.path.is_relative_to(top):
                yield nearest

    @cached_property
    def _own(self) -> tuple[SettingsFile, ...]:
        """The files of the user and of the machine."""
        files = []
        for path in (Path(users_file(self.variables)), *self._system):
            if path.is_file():
                with suppress(BadProject):  # uv reports it
                    files.append(SettingsFile(path=path, keys=(), table=read_manifest(path)))
        return tuple(files)

    @property
    def _home(self) -> Path:
        return Path(users_folder(self.variables))

    @property
    def _system(self) -> Iterator[Path]:
        places = map(Path, machine_files(self.variables, str(self.machine)))
        yield from [place for place in places if place.is_file()][:1]

    def _written(self, text: str) -> Path:
        """A copy of the user's configuration folder: links to its entries, and another uv.toml."""
        home = self._home
        entries = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
        folder = self.cache / "uv-settings" / sha256("\0".join((text, str(home), *entries)).encode())[:16]
        if not (folder / "uv" / "uv.toml").is_file():
            write_atomically(folder / "uv" / "uv.toml", text.encode())
            (folder / "uv" / "uv.toml").chmod(0o600)
            for name in entries:
                with suppress(FileExistsError):  # `uv`, and entries that another process links at the same time
                    (folder / name).symlink_to(home / name)
        return folder


def _kept(file: SettingsFile, dropped: frozenset[str]) -> dict[str, Any]:
    """A file's settings without some keys, with absolute paths."""
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
        return [_absolute(key, item, folder) for item in value]
    return str(folder / value) if isinstance(value, str) and "://" not in value else value


def _text(tables: Iterable[Mapping[str, Any]]) -> str:
    """Merge settings files, as uv does: the first has precedence, and lists are concatenated."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            known = merged.get(key, value)
            joined = isinstance(known, list) and isinstance(value, list) and key in merged
            merged[key] = [*known, *value] if joined else known
    return "".join(f"{_string(key)} = {_value(value)}\n" for key, value in merged.items())


def _string(key: str) -> str:
    return json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    """A value as TOML, on one line."""
    match value:
        case bool() | int() | float():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{_string(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case str():
            return _string(value)
        case _:
            return str(value.isoformat())  # a date or time
