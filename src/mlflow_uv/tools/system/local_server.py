"""Asks whether anything listens at a URL of this machine."""

from urllib.parse import urlsplit

from ...core.security.origins import is_loopback, origin_of

_TIMEOUT_S = 1.0
_EVERY = frozenset({"0.0.0.0", "::"})  # noqa: S104  # listened at by a server, and as a URL the same as loopback


def refuses_connections(url: str) -> bool:
    """Whether nothing listens at the port of an HTTP URL of this machine; False for any other URL. Nothing is sent."""
    parts = urlsplit(origin_of(url) or "")
    host = (parts.hostname or "").removesuffix(".")
    if not host or parts.port is None or not (is_loopback(host) or host in _EVERY):
        return False
    import socket  # noqa: PLC0415  # most trainings set no such URL

    try:
        with socket.create_connection((host, parts.port), timeout=_TIMEOUT_S):
            return False
    except ConnectionRefusedError:
        return True
    except (OSError, OverflowError):  # OverflowError: a port above 65535
        return False
