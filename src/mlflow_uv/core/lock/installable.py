"""Can a package of the lock be installed on a target, and from where is it fetched?"""

from enum import Enum
from ipaddress import ip_address
from itertools import product
from math import prod
from urllib.parse import urlsplit

from ..export.indexes import bare
from .lockfile import Package, SourceKind

# RFC 6762, 8375 and 9476, and what ICANN set aside.
_MOST_TAGS = 1000  # that one name of a wheel stands for
_PRIVATE = (".local", ".home.arpa", ".internal", ".localhost", ".lan", ".corp", ".intranet", ".alt")


class InstallMethod(Enum):
    """How a package gets there."""

    WHEEL = "wheel"
    BUILT = "built from source"
    GIT = "fetched and built from git"
    IMPOSSIBLE = "cannot be installed"
    LOCAL = "local, travels as a wheel"


class SourceReach(Enum):
    """From where an address answers."""

    ANYWHERE = "anywhere"
    PRIVATE = "a private network"
    FOLDER = "a folder of one machine"


def verdict(package: Package, tags: frozenset[str]) -> InstallMethod:
    """
    How a package gets onto a target with these tags (see Target.tags).

    The Python that a single wheel asks for is not in the lock: uv has seen to it when it locked.
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
    """Whether a wheel of this file name installs where these tags do; its own may be several in one (PEP 425)."""
    match file.removesuffix(".whl").lower().rsplit("-", 3):
        case [_, *parts] if len(parts) == len(("python", "abi", "platform")):
            choices = [part.split(".") for part in parts]
            # A name that stands for more was given by no build.
            return prod(map(len, choices)) <= _MOST_TAGS and any("-".join(tag) in tags for tag in product(*choices))
    return False


def local_build(package: Package) -> str:
    """The local label of its version, e.g. `cu121` of `2.4.0+cu121`, which only the index that made it has."""
    return "" if package.version is None else package.version.partition("+")[2]


def origin(package: Package) -> str | None:
    """The address, without credentials, of the index or URL that it is installed from; None where it is neither."""
    match package.source.kind:
        case SourceKind.REGISTRY:
            return bare(package.source.address).rstrip("/")
        case SourceKind.URL:
            return bare(package.source.address)
        case _:
            return None


def reach(address: str) -> SourceReach:
    """From where an address answers, as far as its words tell: nobody is asked."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        return SourceReach.FOLDER
    host = (parts.hostname or "").rstrip(".")
    try:
        return SourceReach.ANYWHERE if ip_address(host).is_global else SourceReach.PRIVATE
    except ValueError:
        return SourceReach.PRIVATE if "." not in host or host.endswith(_PRIVATE) else SourceReach.ANYWHERE
