"""Computes the origin of a URL: scheme, host and port (RFC 6454)."""

from urllib.parse import urlsplit

from ...command.lazy_pattern import lazy_pattern

_LOOPBACK = lazy_pattern(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")
_PORTS = {"http": 80, "https": 443}
# Strict, because parsers disagree about backslashes, spaces and a second `@`, and therefore about the host.
_WEB = lazy_pattern(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[!-\[\]-~]*)?")


def is_plain_web_address(url: str) -> bool:
    """Whether a text is an HTTP URL without a user that every parser reads in the same way."""
    return _WEB.fullmatch(url) is not None


def origin_of(url: str) -> str | None:
    """`scheme://host:port` of an HTTP URL, always with the port; None for any other URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    default = _PORTS.get(parts.scheme)
    if default is None or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{default if port is None else port}"


def is_loopback(host: str) -> bool:
    """Whether a host (without port) is this machine, so that no network is involved; `127.0.0.1.example` is not."""
    return _LOOPBACK.fullmatch(host) is not None
