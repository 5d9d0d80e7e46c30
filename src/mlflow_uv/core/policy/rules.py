"""Checks the packages of a lock against the rules of a policy."""

import posixpath
import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion

from ...command.report import Finding, counted, first_names
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.closure import Installed
from ..lock.lockfile import Lockfile, Package, SourceKind, package_line
from ..lock.package_names import canonicalize_name
from ..lock.served_packages import dependency_paths
from ..lock.uploads import cutoff_of, latest_upload
from .policy import SHOWN, WORKSPACE, parse_excluded

_SOURCE_WORDS = {
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


@lazy_dataclass
class PolicyRules:
    """
    A method for each rule about packages, which yields the violations.

    `path` and `data` are those of the lock, `command` writes it anew (`uv lock`), and `packages` are those to check.
    """

    path: PurePath
    data: bytes
    command: str
    lock: Lockfile
    packages: tuple[Package, ...]

    def indexes(self, allowed: tuple[str, ...]) -> Iterator[Finding]:
        """Check `allowed-indexes`, one finding for each index. The host of an index's files does not matter."""
        known = frozenset(map(address, allowed))
        not_allowed: dict[str, list[Package]] = {}
        for package in self.packages:
            if package.source.kind is SourceKind.REGISTRY and address(package.source.address) not in known:
                not_allowed.setdefault(address(package.source.address), []).append(package)
        for index, packages in not_allowed.items():
            yield Finding(
                rule="policy-allowed-indexes",
                what=f"{counted(len(packages), 'package')} from `{index}`",
                why=f"{_names(packages)}; `allowed-indexes` in {SHOWN} has {_quoted(map(address, allowed)) or 'none'}",
                fix=f"name an allowed index in [[tool.uv.index]], then `{self.command}`",
                path=self.path,
                line=self.line(packages[0]),
            )

    def sources(self, allowed: tuple[str, ...], served: Iterable[Installed]) -> Iterator[Finding]:
        """Check `allowed-sources`, one finding for each served package; virtual ones are not installed."""
        members = self.lock.manifest.get("members", ())
        for installed in served:
            package, kind = installed.package, installed.package.source.kind.value
            if package.source.kind.local and package.name in members:
                kind = WORKSPACE
            if kind in allowed or package.source.kind is SourceKind.VIRTUAL:
                continue
            yield Finding(
                rule="policy-allowed-sources",
                what=f"`{package.name}` comes from {_SOURCE_WORDS[kind]}",
                why=f"{_path(installed.via)} is served; `allowed-sources` in {SHOWN} has {_quoted(allowed) or 'none'}",
                fix=f"publish it to an index, remove it from [tool.uv.sources], then `{self.command}`",
                path=self.path,
                line=self.line(package),
            )

    def unhashed(self) -> Iterator[Finding]:
        """Check `require-hashes`, one finding for each index."""
        unhashed: dict[str, list[Package]] = {}
        for package in self.packages:
            if not _hashed(package):
                unhashed.setdefault(address(package.source.address), []).append(package)
        for origin, packages in unhashed.items():
            first = packages[0]
            yield Finding(
                rule="policy-require-hashes",
                what=f"{counted(len(packages), 'package')} from `{origin}` without a hash for every file",
                why=f"{_names(packages)}; `require-hashes` in {SHOWN}",
                fix=f"use an index that publishes hashes, then `{self.command} --upgrade-package {first.name}`",
                path=self.path,
                line=self.line(first),
            )

    def uploaded_late(self, *, now_s: float) -> Iterator[Finding]:
        """Check `keep-exclude-newer`, one finding for each version with a file that was uploaded too late."""
        for package in self.packages:
            cutoff, latest = cutoff_of(self.lock, package.name, now_s=now_s), latest_upload(package)
            if cutoff is None or latest is None or latest < cutoff.moment:
                continue
            yield Finding(
                rule="policy-keep-exclude-newer",
                what=f"`{package.name}` {package.version or ''} was uploaded after `exclude-newer`".replace("  ", " "),
                why=f"on {latest:%Y-%m-%d %H:%M} UTC; uv.lock has `{cutoff.text}`, `keep-exclude-newer` is in {SHOWN}",
                fix=f"{self.command} --upgrade-package {package.name}",
                path=self.path,
                line=self.line(package),
            )

    def excluded(self, entries: tuple[str, ...]) -> Iterator[Finding]:
        """Check `excluded`, one finding for each version, with the dependency path to it."""
        excluded: dict[str, list[Requirement]] = {}
        for requirement in parse_excluded(entries):
            excluded.setdefault(canonicalize_name(requirement.name), []).append(requirement)
        needing = dependency_paths(self.lock) if any(package.name in excluded for package in self.packages) else {}
        for package in self.packages:
            candidates = excluded.get(package.name, ())
            entry = next(
                (requirement for requirement in candidates if _matches(requirement.specifier, package.version)), None
            )
            if entry is None:
                continue
            yield Finding(
                rule="policy-excluded",
                what=f"`{package.name}`{f' {package.version}' if package.version else ''} is locked",
                why=f"{_path(needing.get(package.position, ()))} needs it; `excluded` in {SHOWN} has `{entry}`",
                fix=_removal_fix(entry, package, self.command),
                path=self.path,
                line=self.line(package),
            )

    def line(self, package: Package) -> int:
        """The 1-based line of a package in the lock."""
        return package_line(self.data, package.position)


def _hashed(package: Package) -> bool:
    """Whether each file of a package has a hash; git sources are identified by their commit, folders have none."""
    files = package.artifacts
    match package.source.kind:
        case SourceKind.REGISTRY:
            return all(file.hash for file in files)
        case SourceKind.URL | SourceKind.PATH:
            return bool(files) and all(file.hash for file in files)
    return True


def _matches(specifier: SpecifierSet, version: str | None) -> bool:
    """Whether a version is in a range. An empty range contains everything; a missing version is in no other range."""
    if not specifier:
        return True
    try:
        return version is not None and specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _removal_fix(entry: Requirement, package: Package, command: str) -> str:
    """The command that removes a package from the lock, or changes its version where the entry allows another."""
    if not entry.specifier:
        return f"remove the dependency on it, then `{command}`"
    specifiers = list(entry.specifier)
    if len(specifiers) == 1 and specifiers[0].operator in _OPPOSITE:
        requirement = f"{package.name}{_OPPOSITE[specifiers[0].operator]}{specifiers[0].version}"
        return f"{command} --upgrade-package {shlex.quote(requirement)}"
    return f"{command} --upgrade-package {package.name}"


def address(index: str) -> str:
    """An index's normalised address: no credentials, query, fragment, default port or trailing slash."""
    try:
        parts = urlsplit(index)
    except ValueError:
        return index
    if "://" not in index:
        return posixpath.normpath(index)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_PORTS.get(parts.scheme, ":"))
    return parts._replace(netloc=host, path=parts.path.rstrip("/"), query="", fragment="").geturl()


def _path(path: tuple[str, ...]) -> str:
    return f"`{' → '.join(path)}`" if path else "nothing in the lock"


def _names(packages: list[Package]) -> str:
    quoted_names = [f"`{name}`" for name in dict.fromkeys(package.name for package in packages)]
    return first_names(quoted_names)


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)
