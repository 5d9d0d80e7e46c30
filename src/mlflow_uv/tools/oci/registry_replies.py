"""Reads what a container registry says besides content: error codes, and how long to wait."""

import re
from collections.abc import Mapping
from enum import Enum

from ...core.security.documents import parse_json
from ..system.web import WebReply

_MOST_WAIT_S = 60  # of what a busy registry asks for


class BlobMount(Enum):
    """What a registry does that is asked to take a blob from another repository, if it begins no upload instead."""

    TAKEN = "it has the blob"
    REFUSED = "it does not allow that"


def pause_s(wait_s: float, reply: WebReply | None) -> float:
    """The wait before another attempt: what the registry asks for in seconds (RFC 9110, Retry-After), within limits."""
    retry_after = reply.headers.get("retry-after", "") if reply is not None else ""
    return max(wait_s, min(int(retry_after), _MOST_WAIT_S)) if re.fullmatch(r"[0-9]{1,9}", retry_after) else wait_s


def codes_of(body: bytes) -> set[str]:
    """The error codes of a response, the only part of it that is shown."""
    errors = object_of(body).get("errors")
    entries = errors if isinstance(errors, list) else ()
    codes = {str(entry.get("code")) for entry in entries if isinstance(entry, dict)}
    return {code for code in codes if re.fullmatch(r"[A-Z_]{1,40}", code)}


def object_of(body: bytes) -> Mapping[str, object]:
    """The JSON object in a response; empty for anything else."""
    try:
        content = parse_json(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
