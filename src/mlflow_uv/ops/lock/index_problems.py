"""Finds invalid index URLs, and the index that a missing package was looked for in."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ...command.lazy_pattern import lazy_pattern
from ...core.freshness.causes import Cause, Difference, ManifestPlace
from ...core.freshness.declared_requirements import ProjectManifest, Workspace
from ...core.lock.package_names import canonicalize_name
from ...core.security.url_credentials import plain_url

_SCHEMES = frozenset({"http", "https"})
_SCHEME = lazy_pattern(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_KEYS = ("index-url", "extra-index-url", "find-links")
_NOT_FOUND = lazy_pattern(r"\b([A-Za-z0-9][A-Za-z0-9._-]*) was not found in the package registry")


class _Address(NamedTuple):
    """An index address in a manifest."""

    url: str
    manifest: ProjectManifest
    place: ManifestPlace


def index_faults(workspace: Workspace) -> tuple[Difference, ...]:
    """Return the addresses in the manifests that are neither a URL nor an existing path."""
    return tuple(
        Difference(
            cause=Cause.INDEX, place=address.place, what=f"`{plain_url(address.url)}` is not an index URL", why=why
        )
        for address in _addresses(workspace)
        if (why := _fault(address))
    )


def not_found(words: str, workspace: Workspace) -> tuple[str, ManifestPlace] | None:
    """Return the package that an index does not have, and the place of that index's address."""
    match = _NOT_FOUND.search(words)
    addresses = tuple(_addresses(workspace))
    if match is None or not addresses:
        return None
    name = canonicalize_name(match[1])
    sources = (
        manifest.sources[name][1] for manifest in (*workspace.members, workspace.root) if name in manifest.sources
    )
    named = {source["index"] for source in sources if isinstance(source, dict) and isinstance(source.get("index"), str)}
    meant = [address for address in addresses if _name(address) in named] or [
        address for address in addresses if not _table(address).get("explicit")
    ]
    return (name, meant[0].place) if meant else None


def _addresses(workspace: Workspace) -> Iterator[_Address]:
    keys = workspace.options
    yield from _in_manifest(workspace.settings, keys)
    for manifest in workspace.members:
        if manifest.file != workspace.settings.file:
            yield from _in_manifest(manifest, ("tool", "uv"))


def _in_manifest(manifest: ProjectManifest, keys: tuple[str, ...]) -> Iterator[_Address]:
    for position, table in enumerate(manifest.list_at(*keys, "index")):
        if isinstance(table, dict) and isinstance(table.get("url"), str):
            yield _Address(table["url"], manifest, ManifestPlace(manifest.file, (*keys, "index", position, "url")))
    for key in _KEYS:
        value = manifest.get(*keys, key)
        urls = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        for url in urls:
            if isinstance(url, str):
                yield _Address(url, manifest, ManifestPlace(manifest.file, (*keys, key)))


def _table(address: _Address) -> dict[str, object]:
    keys = address.place.path
    tables = address.manifest.get(*map(str, keys[:-2])) if keys[-1] == "url" else None
    position = keys[-2] if len(keys) > 1 else 0
    return tables[position] if isinstance(tables, list) and isinstance(position, int) else {}


def _name(address: _Address) -> object:
    return _table(address).get("name")


def _fault(address: _Address) -> str:
    """Return why an address is invalid, empty if it is valid."""
    url = address.url
    if "$" in url:
        return ""
    scheme = _SCHEME.match(url)
    if scheme and scheme[1].lower() in _SCHEMES:
        return ""
    if scheme and scheme[1].lower() != "file":
        return f"`{scheme[1]}` is not http, https or file"
    path = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path(address.manifest.folder, url)
    return "" if os.path.lexists(path) else "it is read as a path that does not exist"
