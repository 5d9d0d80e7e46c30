"""Writes the YAML front matter of a model card, as a subset of YAML that every reader reads the same way."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# What YAML does not allow in a document, and its line ends that JSON does not escape (YAML 1.2, section 5.1).
_ESCAPED = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufdcf\ufdf0-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def front_matter(values: Mapping[str, Any]) -> str:
    """Texts, numbers, lists and mappings between two lines of dashes; every text is in double quotes."""
    return "\n".join(("---", *_lines(values, 0), "---", ""))


def _lines(value: Any, indent: int) -> Iterator[str]:
    space = " " * indent
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, Mapping | list | tuple):
                yield f"{space}{key}:"
                yield from _lines(item, indent + 2)
            else:
                yield f"{space}{key}: {_scalar(item)}"
        return
    for item in value:
        if isinstance(item, Mapping):
            first, *rest = _lines(item, indent + 2)
            yield f"{space}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{space}- {_scalar(item)}"


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and "." not in text:  # YAML 1.1 reads 1e-05 as text
        text = text.replace("e", ".0e")
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
