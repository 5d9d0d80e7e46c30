"""Finds requirements that cannot be installed, or are ambiguous, outside of the checkout."""

import posixpath
from collections.abc import Iterator
from dataclasses import field, replace
from enum import Enum
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, Severity, first_names
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import Lockfile, Package, package_line
from .indexes import UsedIndex
from .requirements import LocalRequirement, Requirements

_SECRET = lazy_pattern(r"https?://[^/\s@]+@|://[^/\s:@]+:[^/\s@]+@")


class LocalPackages(Enum):
    """How an export handles packages that are folders or files of the checkout."""

    REFUSE = "refuse"
    WHEELS = "wheels"
    OMIT = "omit"


@lazy_dataclass
class LocalWheel:
    """The wheel of a local package, in the folder `wheels` next to the exported files."""

    local: LocalRequirement
    name: str
    version: str
    path: PurePath
    sha256: str
    data: bytes = field(repr=False)

    @property
    def relative_path(self) -> str:
        """Its path relative to the folder of the exported files."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def requirement(self) -> LocalRequirement:
        """Its requirement; pip and uv resolve such a path from their working directory."""
        return replace(self.local, path=f"./{self.relative_path}", hashes=(f"sha256:{self.sha256}",))


@lazy_dataclass
class LockSource:
    """The lock that an export is made from: its path, bytes and parsed content."""

    path: PurePath
    data: bytes
    lock: Lockfile

    def line_of(self, package: Package | None) -> int:
        """The 1-based line of a package in the lock; 1 for None."""
        return 1 if package is None else package_line(self.data, package.position)

    def package_of(self, local: LocalRequirement) -> Package | None:
        """The locked package of a local requirement, or None."""
        path = unquote(urlsplit(local.path).path) if local.path.startswith("file:") else local.path
        normalized = posixpath.normpath(path)
        local_packages = (package for package in self.lock.packages if package.source.kind.local)
        return next(
            (package for package in local_packages if posixpath.normpath(package.source.address) == normalized), None
        )

    def name_of(self, local: LocalRequirement) -> str:
        """The name of a local requirement's package; its path where it is not in the lock."""
        package = self.package_of(local)
        return package.name if package else local.path


def local_findings(
    requirements: Requirements, locked: LockSource, choice: LocalPackages, *, fix: str
) -> Iterator[Finding]:
    """Report local packages: an error where they are refused, a notice where they are left out."""
    if not requirements.local or choice is LocalPackages.WHEELS:
        return
    names = ", ".join(f"`{locked.name_of(local)}` ({local.path})" for local in requirements.local)
    line = locked.line_of(locked.package_of(requirements.local[0]))
    if choice is LocalPackages.OMIT:
        why = "installing from the list does not install them"
        yield Finding(
            rule="export-local", severity=Severity.NOTICE, what=f"{names} left out of the list", why=why,
            path=locked.path, line=line,
        )  # fmt: skip
        return
    yield Finding(
        rule="export-local",
        what=f"{names} cannot be listed",
        why="a path of the checkout does not exist elsewhere",
        fix=fix,
        path=locked.path,
        line=line,
    )


def index_findings(
    requirements: Requirements, used: tuple[UsedIndex, ...], locked: LockSource, *, hashes: bool, fix: str
) -> Iterator[Finding]:
    """Report packages of an explicit index: a requirements file cannot bind them to it, only hashes can."""
    unhashed = {pin.name for pin in requirements.pins if not hashes or not pin.hashes}
    for use in used:
        packages = [package for package in use.packages if package.name in unhashed]
        if not use.index.explicit or not packages:
            continue
        package_names = ", ".join(dict.fromkeys(package.name for package in packages))
        where = f"`{use.index.name}` ({use.index.url})" if use.index.name else use.index.url
        why = "a requirements file cannot express this, and pip would take the package from any index"
        if hashes:
            why = f"{why}; the lock has no hashes of them"
        yield Finding(
            rule="export-explicit-index",
            what=f"{package_names} must come from {where} alone",
            why=why,
            fix="" if hashes else fix,
            path=locked.path,
            line=locked.line_of(packages[0]),
        )


def unhashed_findings(requirements: Requirements, locked: LockSource, *, wheels: bool, fix: str) -> Iterator[Finding]:
    """
    Report pins without hashes: an error if others have some, since pip refuses such a list, else a warning.

    `wheels` states that local packages are listed as wheels, which always have hashes.
    """
    some = any(pin.hashes for pin in requirements.pins) or (wheels and bool(requirements.local))
    names = list(dict.fromkeys(pin.name for pin in requirements.pins if not pin.hashes))
    if names:
        package = next((package for package in locked.lock.packages if package.name == names[0]), None)
        yield Finding(
            rule="export-unhashed",
            severity=Severity.ERROR if some else Severity.WARNING,
            what=f"{first_names(names)} without a hash",
            why="the lock has none, and pip requires hashes for all packages or for none",
            fix=fix,
            path=locked.path,
            line=locked.line_of(package),
        )


def credential_findings(requirements: Requirements, locked: LockSource) -> Iterator[Finding]:
    """Report direct URLs with a password or token, which an export must not contain."""
    names = [pin.name for pin in requirements.pins if _SECRET.search(pin.exact)]
    if names:
        package = next((package for package in locked.lock.packages if package.name == names[0]), None)
        yield Finding(
            rule="export-credentials",
            what=f"the address of {', '.join(names)} carries credentials",
            why="everyone who can read the list could use them",
            fix="put them into a netrc or git's credential store instead of the URL in pyproject.toml, then `uv lock`",
            path=locked.path,
            line=locked.line_of(package),
        )
