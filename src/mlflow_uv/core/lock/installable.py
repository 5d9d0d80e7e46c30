"""Determines how a locked package installs on a target, and whether its origin is public, private or local."""

from enum import Enum
from ipaddress import ip_address
from itertools import product
from math import prod
from urllib.parse import urlsplit

from ..security.url_credentials import plain_url
from .lockfile import Package, SourceKind

_MOST_TAGS = 1000  # combinations in one wheel's file name
# Top-level domains of private networks: RFC 6762, 8375 and 9476, and those that ICANN reserved.
_PRIVATE = (".local", ".home.arpa", ".internal", ".localhost", ".lan", ".corp", ".intranet", ".alt")


class InstallMethod(Enum):
    """How a package is installed on a target."""

    WHEEL = "wheel"
    BUILT = "built from source"
    GIT = "fetched and built from git"
    IMPOSSIBLE = "cannot be installed"
    LOCAL = "local, travels as a wheel"


class SourceReach(Enum):
    """From where an address can be reached."""

    ANYWHERE = "anywhere"
    PRIVATE = "a private network"
    FOLDER = "a folder of one machine"


def install_method(package: Package, tags: frozenset[str]) -> InstallMethod:
    """
    Return how a package is installed on a target with these tags (see Target.tags).

    The `Requires-Python` of a single wheel is not in the lock; uv took it into account when it resolved.
    """
    match package.source.kind:
        case SourceKind.GIT:
            return InstallMethod.GIT
        case SourceKind.DIRECTORY | SourceKind.EDITABLE | SourceKind.VIRTUAL:
            return InstallMethod.LOCAL
        case kind:
            if any(fits(wheel.file, tags) for wheel in package.wheels):
                return InstallMethod.LOCAL if kind is SourceKind.PATH else InstallMethod.WHEEL
            if package.sdist is None:
                return InstallMethod.IMPOSSIBLE
            return InstallMethod.LOCAL if kind is SourceKind.PATH else InstallMethod.BUILT


def fits(file: str, tags: frozenset[str]) -> bool:
    """Whether a wheel's compressed tag set (PEP 425), read from its file name, has one of these tags."""
    match file.removesuffix(".whl").lower().rsplit("-", 3):
        case [_, *parts] if len(parts) == len(("python", "abi", "platform")):
            choices = [part.split(".") for part in parts]
            # No real build tool produces a name with more combinations.
            return prod(map(len, choices)) <= _MOST_TAGS and any("-".join(tag) in tags for tag in product(*choices))
    return False


def local_build(package: Package) -> str:
    """The local version label (PEP 440), such as `cu121` of `2.4.0+cu121`; empty where the version has none."""
    return "" if package.version is None else package.version.partition("+")[2]


def origin(package: Package) -> str | None:
    """The index or URL that a package is installed from, without credentials; None for any other kind of source."""
    match package.source.kind:
        case SourceKind.REGISTRY:
            return plain_url(package.source.address).rstrip("/")
        case SourceKind.URL:
            return plain_url(package.source.address)
        case _:
            return None


def source_reach(address: str) -> SourceReach:
    """Classify an address by its scheme and host name alone; no request is made."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        return SourceReach.FOLDER
    host = (parts.hostname or "").rstrip(".")
    try:
        return SourceReach.ANYWHERE if ip_address(host).is_global else SourceReach.PRIVATE
    except ValueError:
        return SourceReach.PRIVATE if "." not in host or host.endswith(_PRIVATE) else SourceReach.ANYWHERE
