"""Which packages of a lock break a rule, and what mends it?"""

import posixpath
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from ...command.report import Finding, counted
from ..lock.closure import Installed
from ..lock.lockfile import Lockfile, Package, SourceKind, package_line
from ..lock.served_packages import dependency_paths
from ..lock.uploads import cutoff_of, latest_upload
from .policy import SHOWN, WORKSPACE, barred

_NAMED = 5  # names in one sentence
_SAID = {
    SourceKind.REGISTRY.value: "an index",
    SourceKind.GIT.value: "a git repository",
    SourceKind.URL.value: "a URL",
    SourceKind.PATH.value: "a file",
    SourceKind.DIRECTORY.value: "a folder",
    SourceKind.EDITABLE.value: "an editable folder",
    WORKSPACE: "the workspace",
}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """
    A lock with its bytes and its place, how one writes it anew (`uv lock`), and those of its packages that count.

    Each of its questions is one rule.
    """

    path: PurePath
    data: bytes
    command: str
    lock: Lockfile
    packages: tuple[Package, ...]

    def indexes(self, allowed: tuple[str, ...]) -> Iterator[Finding]:
        """Of an index all packages in one finding. Where its files lie does not matter: often on another host."""
        known = frozenset(map(address, allowed))
        strange: dict[str, list[Package]] = {}
        for package in self.packages:
            if package.source.kind is SourceKind.REGISTRY and address(package.source.address) not in known:
                strange.setdefault(address(package.source.address), []).append(package)
        for index, packages in strange.items():
            yield Finding(
                rule="policy-allowed-indexes",
                what=f"{counted(len(packages), 'package')} from `{index}`",
                why=f"{_names(packages)}; `allowed-indexes` in {SHOWN} has {_quoted(map(address, allowed)) or 'none'}",
                fix=f"name an allowed index in [[tool.uv.index]], then `{self.command}`",
                path=self.path,
                line=self.line(packages[0]),
            )

    def sources(self, allowed: tuple[str, ...], served: Iterable[Installed]) -> Iterator[Finding]:
        """A finding for each package that is served; nothing of a virtual one is installed."""
        members = self.lock.manifest.get("members", ())
        for one in served:
            package, kind = one.package, one.package.source.kind.value
            if package.source.kind.local and package.name in members:
                kind = WORKSPACE
            if kind in allowed or package.source.kind is SourceKind.VIRTUAL:
                continue
            yield Finding(
                rule="policy-allowed-sources",
                what=f"`{package.name}` comes from {_SAID[kind]}",
                why=f"{_way(one.via)} is served, and `allowed-sources` in {SHOWN} has {_quoted(allowed) or 'none'}",
                fix=f"publish it to an index, remove it from [tool.uv.sources], then `{self.command}`",
                path=self.path,
                line=self.line(package),
            )

    def unhashed(self) -> Iterator[Finding]:
        """Of an index all packages in one finding."""
        bare: dict[str, list[Package]] = {}
        for package in self.packages:
            if not _hashed(package):
                bare.setdefault(address(package.source.address), []).append(package)
        for origin, packages in bare.items():
            first = packages[0]
            yield Finding(
                rule="policy-require-hashes",
                what=f"{counted(len(packages), 'package')} from `{origin}` without a hash for every file",
                why=f"{_names(packages)}; `require-hashes` in {SHOWN}",
                fix=f"take it from an index that tells hashes, then `{self.command} --upgrade-package {first.name}`",
                path=self.path,
                line=self.line(first),
            )

    def uploaded_late(self, *, now_s: float) -> Iterator[Finding]:
        """A finding for each version with a file that is newer than the lock says it would take."""
        for package in self.packages:
            cutoff, latest = cutoff_of(self.lock, package.name, now_s=now_s), latest_upload(package)
            if cutoff is None or latest is None or latest < cutoff.moment:
                continue
            yield Finding(
                rule="policy-keep-exclude-newer",
                what=f"`{package.name}` {package.version or ''} was uploaded after `exclude-newer`".replace("  ", " "),
                why=f"on {latest:%Y-%m-%d %H:%M} UTC; uv.lock says `{cutoff.text}`, `keep-exclude-newer` is in {SHOWN}",
                fix=f"{self.command} --upgrade-package {package.name}",
                path=self.path,
                line=self.line(package),
            )

    def excluded(self, entries: tuple[str, ...]) -> Iterator[Finding]:
        """A finding for each version, with what needs it."""
        wanted: dict[str, list[Requirement]] = {}
        for one in barred(entries):
            wanted.setdefault(canonicalize_name(one.name), []).append(one)
        needing = dependency_paths(self.lock) if any(package.name in wanted for package in self.packages) else {}
        for package in self.packages:
            named = wanted.get(package.name, ())
            entry = next((one for one in named if _matches(one.specifier, package.version)), None)
            if entry is None:
                continue
            yield Finding(
                rule="policy-excluded",
                what=f"`{package.name}`{f' {package.version}' if package.version else ''} is locked",
                why=f"{_way(needing.get(package.position, ()))} needs it; `excluded` in {SHOWN} has `{entry}`",
                fix=_without(entry, package, self.command),
                path=self.path,
                line=self.line(package),
            )

    def line(self, package: Package) -> int:
        """Where a package begins."""
        return package_line(self.data, package.position)


def _hashed(package: Package) -> bool:
    """Whether each file of it has its hash; a git commit is its own, and a folder has none."""
    files = (*package.wheels, *((package.sdist,) if package.sdist else ()))
    match package.source.kind:
        case SourceKind.REGISTRY:
            return all(one.hash for one in files)
        case SourceKind.URL | SourceKind.PATH:
            return bool(files) and all(one.hash for one in files)
    return True


def _matches(specifier: SpecifierSet, version: str | None) -> bool:
    """A range says nothing of what has no version; without a range it is the name that counts."""
    if not specifier:
        return True
    try:
        return version is not None and specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _without(entry: Requirement, package: Package, command: str) -> str:
    """What takes it out of the lock: another version, where the entry leaves one."""
    if not entry.specifier:
        return f"remove what needs it, then `{command}`"
    found = list(entry.specifier)
    if len(found) == 1 and found[0].operator in _OPPOSITE:
        wanted = f"{package.name}{_OPPOSITE[found[0].operator]}{found[0].version}"
        return f"{command} --upgrade-package {shlex.quote(wanted)}"
    return f"{command} --upgrade-package {package.name}"


def address(index: str) -> str:
    """An index so that two ways of writing it are equal: no credentials, query, default port or trailing slash."""
    try:
        parts = urlsplit(index)
    except ValueError:
        return index
    if "://" not in index:
        return posixpath.normpath(index)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_PORTS.get(parts.scheme, ":"))
    return parts._replace(netloc=host, path=parts.path.rstrip("/"), query="", fragment="").geturl()


def _way(names: tuple[str, ...]) -> str:
    return f"`{' → '.join(names)}`" if names else "nothing in the lock"


def _names(packages: list[Package]) -> str:
    names = [f"`{name}`" for name in dict.fromkeys(package.name for package in packages)]
    more = len(names) - _NAMED
    return ", ".join((*names[:_NAMED], *((f"and {more} more",) if more > 0 else ())))


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
