"""Computes the origin of a URL: scheme, host and port (RFC 6454)."""

import ipaddress
from urllib.parse import urlsplit

from ...command.lazy_pattern import lazy_pattern

# Up to four parts, each as in C: with `0x` hexadecimal, with `0` octal (inet_aton).
_IPV4 = lazy_pattern(r"(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,12})(?:\.(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,12})){0,3}")
_LOOPBACK_NETWORK, _PARTS, _BYTE = 127, 4, 0xFF
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
    """
    Whether a host (without port) is this machine, so that no network is involved; `127.0.0.1.example` is not.

    In each form that the C library reads, such as `127.1`, `0x7f.1` and `0:0:0:0:0:0:0:1`. `localhost.` is none: with
    the dot, a resolver asks DNS for it and not `/etc/hosts`.
    """
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return (address.ipv4_mapped or address).is_loopback
    return host.lower() == "localhost" or (_IPV4.fullmatch(host) is not None and _is_in_loopback_network(host.lower()))


def _is_in_loopback_network(host: str) -> bool:
    try:
        *bytes_of, last = (_number(part) for part in host.split("."))
    except ValueError:  # an 8 or a 9 in an octal number
        return False
    free = _PARTS - len(bytes_of)  # bytes of the last part
    if any(part > _BYTE for part in bytes_of) or last >= 1 << (8 * free):
        return False
    return (bytes_of[0] if bytes_of else last >> 24) == _LOOPBACK_NETWORK


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)
