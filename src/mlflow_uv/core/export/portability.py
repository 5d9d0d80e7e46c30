"""What of a list would mean something else, or nothing, outside of the checkout?"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from ...command.report import Finding, Severity
from ..lock.lockfile import Lockfile, Package, package_line
from .indexes import Used
from .requirements import LocalRequirement, Requirements

_NAMED = 5
_SECRET = re.compile(r"https?://[^/\s@]+@|://[^/\s:@]+:[^/\s@]+@")


class LocalPackages(Enum):
    """What becomes of packages that are folders or files of the checkout."""

    REFUSE = "refuse"
    WHEELS = "wheels"
    OMIT = "omit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """The wheel of a local package, in the folder `wheels` beside the lists of one folder."""

    local: LocalRequirement
    name: str
    version: str
    path: PurePath
    sha256: str
    data: bytes = field(repr=False)

    @property
    def seen(self) -> str:
        """The way to it from the folder of the lists."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def requirement(self) -> LocalRequirement:
        """Its line in a requirements file: pip and uv read such a path from the folder they are started in."""
        return replace(self.local, path=f"./{self.seen}", hashes=(f"sha256:{self.sha256}",))


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """The lock that a list was made from: where it is, its bytes, what they say."""

    path: PurePath
    data: bytes
    lock: Lockfile

    def line_of(self, package: Package | None) -> int:
        """The 1-based line where a package stands."""
        return 1 if package is None else package_line(self.data, package.position)

    def package_of(self, local: LocalRequirement) -> Package | None:
        """The package that a local line of an export means."""
        path = unquote(urlsplit(local.path).path) if local.path.startswith("file:") else local.path
        wanted = posixpath.normpath(path)
        found = (one for one in self.lock.packages if one.source.kind.local)
        return next((one for one in found if posixpath.normpath(one.source.address) == wanted), None)

    def name_of(self, local: LocalRequirement) -> str:
        """The name of a local package; its path where the lock does not know it."""
        package = self.package_of(local)
        return package.name if package else local.path


def local_findings(requirements: Requirements, locked: Locked, choice: LocalPackages, *, fix: str) -> Iterator[Finding]:
    """Local packages that a list cannot name: an error where they are refused, a notice where they are left out."""
    if not requirements.local or choice is LocalPackages.WHEELS:
        return
    named = ", ".join(f"`{locked.name_of(one)}` ({one.path})" for one in requirements.local)
    line = locked.line_of(locked.package_of(requirements.local[0]))
    if choice is LocalPackages.OMIT:
        why = "the list installs everything but these"
        yield Finding(
            rule="export-local", severity=Severity.NOTICE, what=f"{named} left out of the list", why=why,
            path=locked.path, line=line,
        )  # fmt: skip
        return
    yield Finding(
        rule="export-local",
        what=f"{named} cannot be listed",
        why="a path of the checkout means nothing elsewhere",
        fix=fix,
        path=locked.path,
        line=line,
    )


def index_findings(
    requirements: Requirements, used: tuple[Used, ...], locked: Locked, *, hashes: bool, fix: str
) -> Iterator[Finding]:
    """Packages of an explicit index in a requirements file: any index may serve them there, and only hashes decide."""
    unhashed = {pin.name for pin in requirements.pins if not hashes or not pin.hashes}
    for one in used:
        packages = [package for package in one.packages if package.name in unhashed]
        if not one.index.explicit or not packages:
            continue
        names = ", ".join(dict.fromkeys(package.name for package in packages))
        where = f"`{one.index.name}` ({one.index.url})" if one.index.name else one.index.url
        why = "a requirements file cannot say so, and pip would take any index's file of that name"
        if hashes:
            why = f"{why}; the lock has no hashes of them"
        yield Finding(
            rule="export-explicit-index",
            what=f"{names} must come from {where} alone",
            why=why,
            fix="" if hashes else fix,
            path=locked.path,
            line=locked.line_of(packages[0]),
        )


def unhashed_findings(requirements: Requirements, locked: Locked, *, wheels: bool, fix: str) -> Iterator[Finding]:
    """
    Pins without hashes in a list that is to have them: an error where others have some, for pip refuses such a list.

    `wheels` says that local packages are listed as wheels, which always have one. `fix` is what has hashes of all.
    """
    some = any(pin.hashes for pin in requirements.pins) or (wheels and bool(requirements.local))
    names = list(dict.fromkeys(pin.name for pin in requirements.pins if not pin.hashes))
    if names:
        package = next((one for one in locked.lock.packages if one.name == names[0]), None)
        yield Finding(
            rule="export-unhashed",
            severity=Severity.ERROR if some else Severity.WARNING,
            what=f"{', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''} without a hash",
            why="the lock has none, and pip installs either all by their hashes or none",
            fix=fix,
            path=locked.path,
            line=locked.line_of(package),
        )


def credential_findings(requirements: Requirements, locked: Locked) -> Iterator[Finding]:
    """Direct URLs that carry a password or token, which no list may hand on."""
    names = [pin.name for pin in requirements.pins if _SECRET.search(pin.exact)]
    if names:
        package = next((one for one in locked.lock.packages if one.name == names[0]), None)
        yield Finding(
            rule="export-credentials",
            what=f"the address of {', '.join(names)} carries credentials",
            why="whoever reads the list could use them",
            fix="put them into a netrc or git's credential store instead of the URL in pyproject.toml, then `uv lock`",
            path=locked.path,
            line=locked.line_of(package),
        )
