"""
Decides which artifact locations of a tracking server are followed.

A location is an answer of the server, and whoever may create an experiment or a version there chooses it. MLflow
follows every one of them: `file:` and bare paths lead into this machine, `http:` takes the credentials of the tracking
server along. docs/threat-model.md has the table of what is allowed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import SplitResult, unquote, urlsplit

from .problems import Problem, ProblemKind, mask

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
    The servers that the caller named, and the other places at which artifacts may lie.

    `local` says that a file or folder of this machine decides about locations, and may name folders beside it.
    """

    servers: "tuple[str, ...]"
    roots: "tuple[str, ...]" = ()
    local: bool = False

    @property
    def origins(self) -> "frozenset[tuple[str, str, int]]":
        """Scheme, host and port of everything that may be asked over HTTP."""
        found = (_origin(urlsplit(address)) for address in (*self.servers, *self.roots))
        return frozenset(origin for origin in found if origin is not None)

    @property
    def folders(self) -> "tuple[str, ...]":
        """The shared folders, without symbolic links."""
        return tuple(os.path.realpath(path) for root in self.roots for path in _paths(root)[:1])


def trust_of(variables: "Mapping[str, str]") -> "Trust | None":
    """
    None where no server decides about locations: a database of one's own names folders of one's own.

    A file or folder may be a checkout's, which may name folders of this machine, as its code may, but no server.
    """
    tracking, registry = (variables.get(name, "") for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"))
    scheme = tracking.partition(":")[0].lower()
    local = scheme.partition("+")[0] in _FILES
    if scheme not in _SERVERS and not local:
        return None
    servers = tuple(address for address in (tracking, registry) if address.partition(":")[0].lower() in _SERVERS)
    return Trust(servers=servers, roots=tuple(variables.get(ROOTS, "").split()), local=local)


def check(location: str, trust: Trust) -> "Problem | None":
    """Why a location that a server named is not followed; None where it is."""
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
    """Whether a relative path may lead out of its folder, however it is quoted."""
    return any(
        text.startswith("/") or ".." in PurePosixPath(text).parts or "\0" in text for text in (path, unquote(path))
    )


def _is_shared(location: str, trust: Trust) -> bool:
    """However MLflow reads it, the path is below a shared folder."""
    paths = _paths(location)
    return bool(paths) and all(
        any(os.path.commonpath((folder, os.path.realpath(path))) == folder for folder in trust.folders)
        for path in paths
    )


def _paths(location: str) -> "tuple[str, ...]":
    """The absolute paths that a location can be read as; none for another machine's, and for what is no path."""
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
        # MLflow takes the scheme of the tracking server, and the host from here.
        parts = parts._replace(scheme=urlsplit(trust.servers[0]).scheme)
    return _origin(parts) in trust.origins


def _origin(parts: SplitResult) -> "tuple[str, str, int] | None":
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # not a number
        return None
    return None if port is None or not parts.hostname else (parts.scheme, parts.hostname.rstrip("."), port)


def _local(location: str) -> str:
    return f"`{mask(location)}`, is a path on the machine of whoever uses it, which is this machine here"


def _foreign(location: str) -> str:
    return f"`{mask(location)}`, is on another server, which would get the credentials of the tracking server"
