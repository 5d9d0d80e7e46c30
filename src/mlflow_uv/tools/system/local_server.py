"""Asks whether anything listens at a URL of this machine."""

from urllib.parse import urlsplit

from ...core.security.origins import is_loopback, origin_of

_TIMEOUT_S = 1.0


def refuses_connections(url: str) -> bool:
    """Whether nothing listens at the port of an HTTP URL on loopback; False for any other URL. Nothing is sent."""
    parts = urlsplit(origin_of(url) or "")
    if parts.hostname is None or parts.port is None or not is_loopback(parts.hostname):
        return False
    import socket  # noqa: PLC0415  # most trainings set no such URL

    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT_S):
            return False
    except ConnectionRefusedError:
        return True
    except (OSError, OverflowError):  # OverflowError: a port above 65535
        return False
