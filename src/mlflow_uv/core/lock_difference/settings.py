"""Lists the values of two locks that are no packages and differ: options of uv, Python, markers, constraints."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..lock.lockfile import Lockfile

MOST = 50
LONGEST = 300  # characters of a text
_SHORT = 100  # characters of a value
# uv writes this date beside a span of days; it means nothing (see docs/lock.md).
_SENTINEL = "0001-01-01T00:00:00Z"


def setting_changes(before: Lockfile | None, after: Lockfile | None) -> tuple[str, ...]:
    """Return each value that differs as `name: before → after`, in the order of a lock; none for a new lock."""
    if before is None or after is None:
        return ()
    old, new = (dict(_settings(lock)) for lock in (before, after))
    names = dict.fromkeys((*old, *new))
    texts = (
        f"{name[:_SHORT]}: {_shown(old.get(name))} → {_shown(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    )
    return tuple(text[:LONGEST] for text in texts)[:MOST]


def _settings(lock: Lockfile) -> Iterator[tuple[str, Any]]:
    yield "requires-python", lock.requires_python
    yield from _flat(lock.options)
    yield "resolution-markers", list(lock.resolution_markers)
    yield "supported-markers", list(lock.supported_markers)
    yield "required-markers", list(lock.required_markers)
    yield "conflicts", list(lock.conflicts)
    yield from _flat(lock.manifest)
    yield "revision", lock.revision


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value != _SENTINEL:
            yield f"{prefix}{key}", value


def _shown(value: object) -> str:
    if value is None or value in ("", []):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"
