"""Determines the indexes that exported packages come from, and renders them as pip's options."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import Lockfile, Package, SourceKind
from ..security.url_credentials import plain_url
from .requirements import Requirements

_LEGACY = (("index-url", True, False), ("extra-index-url", False, False), ("find-links", False, True))


@lazy_dataclass
class Index:
    """
    A package index.

    `url` has no credentials; for a folder it is a path relative to the lock's folder. A flat index (`--find-links`) is
    a list of files.
    """

    url: str
    name: str = ""
    flat: bool = False
    default: bool = False
    explicit: bool = False

    @property
    def folder(self) -> bool:
        """Whether the index is a folder of this machine."""
        return "://" not in self.url


@lazy_dataclass
class UsedIndex:
    """An index, and the exported packages that come from it."""

    index: Index
    packages: tuple[Package, ...]


def declared_indexes(table: Mapping[str, Any], *, folder: str) -> tuple[Index, ...]:
    """
    Return the indexes that a `[tool.uv]` table or uv.toml declares, in its order.

    `folder` is the file's folder relative to the lock's. Malformed entries are skipped, as uv reports them.
    """
    indexes = []
    for entry in _tables(table.get("index")):
        index = Index(
            url=_address(str(entry.get("url", "")), folder),
            name=str(entry.get("name", "")),
            flat=entry.get("format") == "flat",
            default=entry.get("default") is True,
            explicit=entry.get("explicit") is True,
        )
        indexes.append(index)
    for key, default, flat in _LEGACY:
        values = table.get(key)
        urls = [values] if isinstance(values, str) else values if isinstance(values, list) else []
        indexes += [Index(url=_address(str(url), folder), default=default, flat=flat) for url in urls]
    return tuple(index for index in indexes if index.url)


def registries(lock: bytes) -> frozenset[str]:
    """The registries in a lock's bytes, found without parsing it."""
    return frozenset(re.findall(r'registry = "([^"\n]*)"', lock.decode(errors="replace")))


def used_indexes(requirements: Requirements, lock: Lockfile, indexes: Iterable[Index]) -> tuple[UsedIndex, ...]:
    """
    Return the indexes that these pins come from: the declared ones in their order, then undeclared ones.

    A single undeclared registry is the default index at the time of locking and is left out. If there are several, the
    default is unknown, and all of them are returned.
    """
    known: dict[str, Index] = {}
    for index in indexes:
        known.setdefault(_key(index.url), index)
    by_key = {
        _key(package.source.address): package.source.address for package in lock.packages if _is_from_index(package)
    }
    undeclared = sorted(by_key.keys() - known.keys())
    if len(undeclared) > 1:
        known |= {key: Index(url=plain_url(by_key[key])) for key in undeclared}
    pinned = {(pin.name, pin.version) for pin in requirements.pins}
    packages_by_key: dict[str, tuple[Package, ...]] = {}
    for package in lock.packages:
        key = _key(package.source.address)
        if _is_from_index(package) and key in known and (package.name, package.version) in pinned:
            packages_by_key[key] = (*packages_by_key.get(key, ()), package)
    return tuple(
        UsedIndex(index=index, packages=packages_by_key[key]) for key, index in known.items() if key in packages_by_key
    )


def option_lines(used: Iterable[UsedIndex], indexes: Iterable[Index], *, beside: str) -> tuple[str, ...]:
    """
    Return the options for pip and uv to use these indexes.

    `beside` is the path from the requirements file's folder to the lock's, as relative `--find-links` folders are
    resolved from the former. If the project replaces the default index, PyPI is not used.
    """
    indexes_in_use = [use.index for use in used]
    replaced = next((index for index in indexes if index.default), None)
    urls = [index.url for index in indexes_in_use if not index.flat and not index.default and _fits_option(index)]
    lines = []
    if replaced is not None and indexes_in_use:
        if not replaced.flat and _fits_option(replaced):
            lines.append(f"--index-url {replaced.url}")
        elif urls:
            lines.append(f"--index-url {urls.pop(0)}")
        else:
            lines.append("--no-index")
    lines += [f"--extra-index-url {url}" for url in urls]
    for index in indexes_in_use:
        if index.flat and (index.folder or _fits_option(index)):
            path = posixpath.normpath(posixpath.join(beside, index.url)) if index.folder else index.url
            lines.append(f'--find-links "{path}"' if " " in path else f"--find-links {path}")
    return tuple(dict.fromkeys(lines))


def _fits_option(index: Index) -> bool:
    """Whether an option can name an index: pip accepts no relative folder there, and expands variables."""
    return not index.folder and "${" not in index.url


def _is_from_index(package: Package) -> bool:
    return package.source.kind is SourceKind.REGISTRY


def _key(address: str) -> str:
    return plain_url(address).rstrip("/")


def _address(url: str, folder: str) -> str:
    return plain_url(url) if "://" in url or not url else posixpath.normpath(posixpath.join(folder, url))


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
