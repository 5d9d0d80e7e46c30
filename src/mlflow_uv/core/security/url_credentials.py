"""
Finds and removes user names, passwords and tokens in addresses.

The user ends at the last `@` before the first `/`, `?` or `#`, as for uv and browsers (WHATWG URL): a password may
contain an `@` that is not escaped.
"""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ...command.lazy_pattern import lazy_pattern

_USERINFO = lazy_pattern(r"((?:[^:/?#]*:)?//)[^/?#]*@")
# The user of another scheme than HTTP is not a secret without a password: git cannot ask an SSH server without it.
_IN_VALUE = lazy_pattern(r"(https?://)[^/?#]*@|(://)[^/?#:@]*:[^/?#]*@", re.IGNORECASE)
_IN_WORD = lazy_pattern(r"(https?://)[^\s/?#]*@|(://)[^\s/?#:@]*:[^\s/?#]*@", re.IGNORECASE)
# In a document, quotes end a text, but a text may contain the quotes of the other kind.
_IN_DOCUMENT = lazy_pattern(
    r"(?<=\")((?:\w+\+)?https?://)[^\"\n/?#]*@|(?<=')((?:\w+\+)?https?://)[^'\n/?#]*@"
    r"|(https?://)[^\s\"'/?#]*@|(://)[^\s\"'/?#:@]*:[^\s\"'/?#]*@",
    re.IGNORECASE,
)


def carries_user(url: str) -> bool:
    """Whether a URL has a user, and therefore may have a password or a token."""
    return _USERINFO.match(url) is not None


def without_userinfo(url: str) -> str:
    """The URL without user and password, whatever its scheme."""
    return _USERINFO.sub(r"\1", url, count=1) if carries_user(url) else url


def without_user(value: str) -> str:
    """
    An address, or a variable with several, without users and passwords.

    The user alone is left in addresses that are not HTTP.
    """
    return _IN_VALUE.sub(_address, value)


def without_credentials(document: str) -> str:
    """
    Remove user names and passwords from the addresses in a TOML document, except the `git@` of an SSH URL.

    Addresses that are written with escapes are left; `holds_credentials` finds them in the parsed document.
    """
    return _IN_DOCUMENT.sub(_address, document)


def holds_credentials(value: Any) -> bool:
    """Whether a parsed document has an address with credentials in any text."""
    match value:
        case str():
            return _IN_WORD.search(value) is not None
        case dict():
            return any(map(holds_credentials, value.values()))
        case list():
            return any(map(holds_credentials, value))
        case _:
            return False


def plain_url(url: str) -> str:
    """
    A URL without the parts that can hold credentials: user, password, query and fragment. Paths are unchanged.

    So it is of an address without a scheme or with a broken host, which come from files that anybody wrote.
    """
    if "://" not in url:
        return re.sub(r"^(//)?[^/@]*:[^/]*@", r"\1", url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return without_userinfo(re.split("[?#]", url, maxsplit=1)[0])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _address(match: re.Match[str]) -> str:
    return next(part for part in match.groups() if part)
