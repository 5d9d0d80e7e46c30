"""
Decides which artifact locations of a tracking server are followed.

The server returns a location, which anyone who may create an experiment or a version there chooses. MLflow follows all
of them: `file:` and plain paths refer to this machine, and a request to an `http:` location carries the credentials of
the tracking server. docs/threat-model.md has the table of what is allowed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import SplitResult, unquote, urlsplit

from ..problems import Problem, ProblemKind, mask

# Folders that this machine shares with the server, and origins of artifact servers; separated by spaces.
ROOTS = "MLFLOW_UV_ARTIFACT_ROOTS"
_SERVERS = ("http", "https", "databricks", "databricks-uc", "uc")
_FILES = ("sqlite", "file")
_PORTS = {"http": 80, "https": 443}
# The bearer token of an Azure identity goes to the host that the location names.
_AZURE = ("abfss", "wasbs")
_AZURE_HOSTS = (".core.windows.net", ".core.chinacloudapi.cn", ".core.usgovcloudapi.net", ".fabric.microsoft.com")
# urllib3 ends a host at a backslash, urllib.parse does not: such an address has two readings.
_AMBIGUOUS = frozenset('\\@"<>^`{|}')


@dataclass(frozen=True, kw_only=True)
class Trust:
    """
    The servers that the caller named, and further allowed artifact locations.

    `local`: the store is a file or folder of this machine, which may name other folders of it.
    """

    servers: "tuple[str, ...]"
    roots: "tuple[str, ...]" = ()
    local: bool = False

    @property
    def origins(self) -> "frozenset[tuple[str, str, int]]":
        """Scheme, host and port of every server to which HTTP requests are allowed."""
        origins = (_origin(urlsplit(address)) for address in (*self.servers, *self.roots))
        return frozenset(origin for origin in origins if origin is not None)

    @property
    def folders(self) -> "tuple[str, ...]":
        """The shared folders, with symbolic links resolved."""
        return tuple(os.path.realpath(path) for root in self.roots for path in _paths(root)[:1])


def trust_of(variables: "Mapping[str, str]") -> "Trust | None":
    """
    The locations to trust, None where no server chooses them: a database of the user names folders of the user.

    A local file or folder may come from the checkout: like its code it may name folders of this machine, but no server.
    """
    tracking, registry = (variables.get(name, "") for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"))
    scheme = tracking.partition(":")[0].lower()
    local = scheme.partition("+")[0] in _FILES
    if scheme not in _SERVERS and not local:
        return None
    servers = tuple(address for address in (tracking, registry) if address.partition(":")[0].lower() in _SERVERS)
    return Trust(servers=servers, roots=tuple(variables.get(ROOTS, "").split()), local=local)


def check(location: str, trust: Trust) -> "Problem | None":
    """The reason why a location from a server is not followed; None if it is allowed."""
    parts = urlsplit(location)
    scheme = parts.scheme
    if scheme in ("", "file") or PureWindowsPath(location).drive:
        if trust.local:
            return None
        return None if _is_shared(location, trust) else Problem(ProblemKind.LOCAL_ARTIFACTS, _local(location))
    if scheme in ("http", "https") or (scheme == "mlflow-artifacts" and parts.netloc):
        return None if _is_named(parts, trust) else Problem(ProblemKind.FOREIGN_ARTIFACTS, _foreign(location))
    if scheme in _AZURE and not (parts.hostname or "").endswith(_AZURE_HOSTS):
        return Problem(ProblemKind.FOREIGN_ARTIFACTS, _foreign(location))
    return None


def leaves(path: str) -> bool:
    """Whether a relative path may lead out of its folder, also if it is percent-encoded."""
    return any(
        text.startswith("/") or ".." in PurePosixPath(text).parts or "\0" in text for text in (path, unquote(path))
    )


def _is_shared(location: str, trust: Trust) -> bool:
    """Whether the path is below a shared folder in every way that MLflow may interpret it."""
    paths = _paths(location)
    return bool(paths) and all(
        any(os.path.commonpath((folder, os.path.realpath(path))) == folder for folder in trust.folders)
        for path in paths
    )


def _paths(location: str) -> "tuple[str, ...]":
    """The absolute paths as which a location can be interpreted; empty for another machine and for other schemes."""
    parts = urlsplit(location)
    if location.startswith("file:"):
        readings = [unquote(parts.path)] if parts.netloc in ("", "localhost") else []
    else:
        readings = [] if parts.scheme else [location, unquote(location)]
    return tuple(path for path in readings if path.startswith("/") and "\0" not in path)


def _is_named(parts: SplitResult, trust: Trust) -> bool:
    if _AMBIGUOUS & set(parts.netloc) or any(ord(sign) <= ord(" ") for sign in parts.netloc):
        return False
    if parts.scheme == "mlflow-artifacts" and trust.servers:
        # MLflow combines the scheme of the tracking server with the host of the location.
        parts = parts._replace(scheme=urlsplit(trust.servers[0]).scheme)
    return _origin(parts) in trust.origins


def _origin(parts: SplitResult) -> "tuple[str, str, int] | None":
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # not a number
        return None
    return None if port is None or not parts.hostname else (parts.scheme, parts.hostname.rstrip("."), port)


def _local(location: str) -> str:
    return f"`{mask(location)}`, is a path on the client's machine, which is this machine"


def _foreign(location: str) -> str:
    return f"`{mask(location)}`, is on another server, which would receive the credentials of the tracking server"
