"""Compares where the packages of two locks and their files come from."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import Artifact, Lockfile, Package, PackageSource, SourceKind
from ..security.url_credentials import plain_url, without_user

_AUTHORITY = lazy_pattern(r"\s*[a-z][a-z0-9+.-]*:[/\\]*([^/\\?#]*)", re.IGNORECASE)  # as lenient as uv's parser of URLs
_GIT_QUERY = frozenset({"subdirectory", "rev", "tag", "branch", "lfs"})  # what uv writes; none of them is a secret
_SHOWN_FILES = 5


@lazy_dataclass
class UsualOrigins:
    """The index that most packages of a lock come from, and all hosts of its files."""

    index: PackageSource | None
    hosts: frozenset[str]

    @staticmethod
    def of(lock: Lockfile | None) -> "UsualOrigins":
        """Those of a lock."""
        packages = lock.packages if lock is not None else ()
        indexes = Counter(_key(package.source) for package in packages if package.source.kind is SourceKind.REGISTRY)
        hosts = {_host(artifact.url) for package in packages for artifact in package.artifacts}
        return UsualOrigins(index=next((index for index, _ in indexes.most_common(1)), None), hosts=frozenset(hosts))

    def unusual_source(self, package: Package) -> str:
        """The source of a package; empty for the usual index and for a project of the repository."""
        source = package.source
        inside = not source.address.startswith(("..", "/"))
        if (source.kind.local and source.kind is not SourceKind.PATH and inside) or _key(source) == self.index:
            return ""
        if source.kind is SourceKind.REGISTRY and self.index is None:
            return ""
        return _shown(source)

    def unusual_files(self, package: Package) -> str:
        """Say from which other hosts the files of a package from an index come, and which have no hash."""
        if package.source.kind is not SourceKind.REGISTRY:
            return ""
        own = _host(package.source.address)
        hosts = sorted({_host(artifact.url) for artifact in package.artifacts} - self.hosts - {own, ""})
        return f"from {', '.join(hosts)}" if hosts and self.hosts - {""} else ""


def same_source(one: Package, other: Package) -> bool:
    """Whether two packages have the same source, credentials aside; the query and the commit count."""
    return _key(one.source) == _key(other.source)


def source_texts(before: PackageSource, after: PackageSource) -> tuple[str, str]:
    """Two sources that differ, without credentials, as texts that differ."""
    shown = _shown(before), _shown(after)
    if shown[0] != shown[1]:
        return shown
    return shown[0], f"{shown[1]} (with another query or fragment)"


def file_differences(one: Package, other: Package, usual: UsualOrigins) -> str:
    """
    Say what differs in the files of one version, other than files that are gone or new ones from a usual host.

    Empty if nothing else differs.
    """
    lines = list(_differences(_by_name(one.artifacts), _by_name(other.artifacts), usual))
    more = len(lines) - _SHOWN_FILES
    return "; ".join(lines[:_SHOWN_FILES]) + (f"; and {more} more" if more > 0 else "")


def _differences(
    before: dict[str, list[Artifact]], after: dict[str, list[Artifact]], usual: UsualOrigins
) -> Iterator[str]:
    for file in sorted(after):
        old, new = before.get(file, []), after[file]
        if not old:
            parts = list(_new_file(new[0], usual))
            if parts:
                yield f"{file} is new, {' and '.join(parts)}"
        elif {_content(artifact) for artifact in old} != {_content(artifact) for artifact in new}:
            yield f"{file} has {' and '.join(_changed_file(old[-1], new[-1]))}"


def _new_file(artifact: Artifact, usual: UsualOrigins) -> Iterator[str]:
    host = _host(artifact.url)
    if host and host not in usual.hosts:
        yield f"from {host}"
    if artifact.hash is None:
        yield "without a hash"


def _changed_file(before: Artifact, after: Artifact) -> Iterator[str]:
    if before.hash != after.hash:
        yield "no hash any more" if after.hash is None else "a hash now" if before.hash is None else "another hash"
    if before.url != after.url:
        old, new = _host(before.url), _host(after.url)
        yield f"another host, {new} instead of {old}" if old != new else "another address"
    if before[:3] == after[:3]:
        yield "several entries"


def _content(artifact: Artifact) -> tuple[str, str | None]:
    return artifact.url, artifact.hash


def _by_name(artifacts: Sequence[Artifact]) -> dict[str, list[Artifact]]:
    by_name: dict[str, list[Artifact]] = {}
    for artifact in artifacts:
        by_name.setdefault(artifact.file, []).append(artifact)
    return by_name


def _host(url: str) -> str:
    """The host and port of a URL in lower case, without credentials; empty for a path."""
    match = _AUTHORITY.match(url)
    return match[1].rpartition("@")[2].lower() if match else ""


def _key(source: PackageSource) -> PackageSource:
    """What identifies a source: its address with query and fragment, without credentials."""
    return PackageSource(source.kind, without_user(source.address).rstrip("/"))


def _shown(source: PackageSource) -> str:
    """A source without credentials: the address alone for an index, else with its kind; of git with its commit."""
    address = plain_url(source.address).rstrip("/")
    if source.kind is SourceKind.REGISTRY:
        return address
    if source.kind is not SourceKind.GIT:
        return f"{source.kind.value} {address}"
    path, _, commit = source.address.rpartition("#")
    query = [f"{key}={value}" for key, value in parse_qsl(path.partition("?")[2]) if key in _GIT_QUERY]
    return " ".join(filter(None, ("git", address, *query, commit[:12])))
