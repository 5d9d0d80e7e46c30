"""
Writes the names and values of this program's tags as Unity Catalog accepts them, and reads them back.

A tag there is that of any object of the catalog: its name has none of `. , - = / :`, and its value at most 1,000
characters (https://docs.databricks.com/en/database-objects/tags.html). The tags of other programs are left as they are.
"""

import hashlib
import re
from collections.abc import Mapping

LONGEST_VALUE = 1000
_OURS, _OURS_THERE = "mlflow-uv.", "mlflow_uv__"
_SIGNS = re.compile(r"[^0-9A-Za-z]+")
_WRITTEN = re.compile(r"((?:___[0-9a-f]{2})+)|__|_")
_SINGLE = {"-": "_", ".": "__"}
# A value of several tags: its first tag has the number of the others and the digest of the whole value.
_HEAD = re.compile(r"mlflow-uv\+(\d+) ([0-9a-f]{8}) (.*)", re.DOTALL)
_PART = re.compile(r".*___part\d+", re.DOTALL)
_LONGEST_PART = LONGEST_VALUE - len("mlflow-uv+999 01234567 ")


def catalog_name(name: str) -> str:
    """The name of a tag in the catalog: letters, digits and underscores, from which `original_name` is read back."""
    if not name.startswith(_OURS):
        return name
    return _SIGNS.sub(lambda signs: _SINGLE.get(signs[0]) or _as_bytes(signs[0]), name)


def original_name(name: str) -> str:
    """The name of a tag of this program that the catalog has under another; other names as they are."""
    return _WRITTEN.sub(_sign, name) if name.startswith(_OURS_THERE) else name


def catalog_tags(name: str, value: str) -> "tuple[tuple[str, str], ...]":
    """
    The tags for one: a long value is that of several, of which the one with its name is to be written last.

    The value of another program's tag is left as it is.
    """
    there = catalog_name(name)
    if there == name or len(value) <= LONGEST_VALUE:
        return ((there, value),)
    parts = [value[start : start + _LONGEST_PART] for start in range(0, len(value), _LONGEST_PART)]
    head = f"mlflow-uv+{len(parts) - 1} {_digest(value)} {parts[0]}"
    return (*((_part(there, number), part) for number, part in enumerate(parts[1:], 1)), (there, head))


def original_tags(tags: "Mapping[str, str]") -> "dict[str, str]":
    """
    Names and values as they were set.

    A long value of which a part is missing, or is that of another value, is read as the text of its first tag.
    """
    return {
        original_name(name): _whole(name, value, tags) if name.startswith(_OURS_THERE) else value
        for name, value in tags.items()
        if not (name.startswith(_OURS_THERE) and _PART.fullmatch(name))
    }


def _whole(name: str, value: str, tags: "Mapping[str, str]") -> str:
    head = _HEAD.fullmatch(value)
    if head is None or int(head[1]) > len(tags):
        return value
    whole = head[3] + "".join(tags.get(_part(name, number), "") for number in range(1, int(head[1]) + 1))
    return whole if _digest(whole) == head[2] else value


def _part(name: str, number: int) -> str:
    return f"{name}___part{number}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:8]


def _as_bytes(signs: str) -> str:
    return "".join(f"___{byte:02x}" for byte in signs.encode())


def _sign(written: "re.Match[str]") -> str:
    if written[1]:
        return bytes.fromhex(written[1].replace("_", "")).decode(errors="replace")
    return "." if written[0] == "__" else "-"
