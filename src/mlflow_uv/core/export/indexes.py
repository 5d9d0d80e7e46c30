"""Which indexes do the packages of a list come from, and how does a requirements file name them?"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..lock.lockfile import Lockfile, Package, SourceKind
from .requirements import Requirements

_LEGACY = (("index-url", True, False), ("extra-index-url", False, False), ("find-links", False, True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """
    Where packages come from.

    `url` carries no credentials; of a folder it is a path relative to the lock's. A flat one lists files, not names.
    """

    url: str
    name: str = ""
    flat: bool = False
    default: bool = False
    explicit: bool = False

    @property
    def folder(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.url


@dataclass(frozen=True, kw_only=True, slots=True)
class Used:
    """An index, and the packages of the list that come from it."""

    index: Index
    packages: tuple[Package, ...]


def bare(url: str) -> str:
    """A URL without what could be a credential: user, password, query, fragment. A path stays as it is."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_user(url: str) -> str:
    """A URL without user and password, if it is one of the web; that of ssh names an account, not a secret."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url)


def declared(table: Mapping[str, Any], *, folder: str) -> tuple[Index, ...]:
    """
    The indexes of one `[tool.uv]` table or uv.toml, in its order.

    `folder` is that of the file, relative to the lock's. What is malformed is uv's to refuse.
    """
    found = []
    for one in _tables(table.get("index")):
        index = Index(
            url=_address(str(one.get("url", "")), folder),
            name=str(one.get("name", "")),
            flat=one.get("format") == "flat",
            default=one.get("default") is True,
            explicit=one.get("explicit") is True,
        )
        found.append(index)
    for key, default, flat in _LEGACY:
        said = table.get(key)
        urls = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        found += [Index(url=_address(str(url), folder), default=default, flat=flat) for url in urls]
    return tuple(index for index in found if index.url)


def registries(lock: bytes) -> frozenset[str]:
    """The registries that a lock names, without reading the whole of it."""
    return frozenset(re.findall(r'registry = "([^"\n]*)"', lock.decode(errors="replace")))


def used_indexes(requirements: Requirements, lock: Lockfile, indexes: Iterable[Index]) -> tuple[Used, ...]:
    """
    The indexes that these pins come from, in the order in which they are declared, and then undeclared ones.

    The one registry that nobody declared is the default of whoever locked, and not named. Of several nobody can tell
    which that is, so all of them are.
    """
    known: dict[str, Index] = {}
    for index in indexes:
        known.setdefault(_key(index.url), index)
    every = {_key(package.source.address): package.source.address for package in lock.packages if _indexed(package)}
    strange = sorted(every.keys() - known.keys())
    if len(strange) > 1:
        known |= {key: Index(url=bare(every[key])) for key in strange}
    pinned = {(pin.name, pin.version) for pin in requirements.pins}
    found: dict[str, tuple[Package, ...]] = {}
    for package in lock.packages:
        key = _key(package.source.address)
        if _indexed(package) and key in known and (package.name, package.version) in pinned:
            found[key] = (*found.get(key, ()), package)
    return tuple(Used(index=index, packages=found[key]) for key, index in known.items() if key in found)


def option_lines(used: Iterable[Used], indexes: Iterable[Index], *, beside: str) -> tuple[str, ...]:
    """
    The options by which pip and uv find what comes from these indexes.

    `beside` is the way from the folder of the requirements file to the lock's: both read a relative folder of files so.
    The public default is never asked where the project replaced it.
    """
    asked = [one.index for one in used]
    replaced = next((index for index in indexes if index.default), None)
    urls = [index.url for index in asked if not index.flat and not index.default and _sayable(index)]
    lines = []
    if replaced is not None and asked:
        if not replaced.flat and _sayable(replaced):
            lines.append(f"--index-url {replaced.url}")
        elif urls:
            lines.append(f"--index-url {urls.pop(0)}")
        else:
            lines.append("--no-index")
    lines += [f"--extra-index-url {url}" for url in urls]
    for index in asked:
        if index.flat and (index.folder or _sayable(index)):
            path = posixpath.normpath(posixpath.join(beside, index.url)) if index.folder else index.url
            lines.append(f'--find-links "{path}"' if " " in path else f"--find-links {path}")
    return tuple(dict.fromkeys(lines))


def _sayable(index: Index) -> bool:
    """Whether an option can name it: pip reads no relative folder of names, and would expand a variable."""
    return not index.folder and "${" not in index.url


def _indexed(package: Package) -> bool:
    return package.source.kind is SourceKind.REGISTRY


def _key(address: str) -> str:
    return bare(address).rstrip("/")


def _address(url: str, folder: str) -> str:
    return bare(url) if "://" in url or not url else posixpath.normpath(posixpath.join(folder, url))


def _tables(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
