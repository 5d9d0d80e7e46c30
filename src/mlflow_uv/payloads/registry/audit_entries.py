"""Reads and writes the audit entries of alias moves, which are stored as tags of the versions."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import MAXYEAR, datetime, timedelta, timezone

from ..messages.reader import read
from ..messages.registry import AliasEntry
from ..messages.tags import AUDIT_PREFIX
from ..problems import Problem, ProblemKind

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_KEY = re.compile(re.escape(AUDIT_PREFIX) + r"(\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]+")
# The maximum length of a version's tag: 5,000 characters in MLflow 2.22, 100,000 in 3.1 and later.
_LONGEST = 5000


def text_of(entry: AliasEntry) -> str:
    """The value of the tag; gates that do not fit are replaced by their number."""
    for kept in range(len(entry.gates), -1, -1):
        more = () if kept == len(entry.gates) else (f"and {len(entry.gates) - kept} more",)
        parts = asdict(replace(entry, gates=(*entry.gates[:kept], *more)))
        text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        if len(text) <= _LONGEST:
            return text
    raise Problem(ProblemKind.INVALID, f"who, when and run of an audit entry do not fit into {_LONGEST} characters")


def key_after(known: "Iterable[str]", now: datetime, token: str) -> str:
    """
    The tag name of a new entry; it sorts after the known ones even if this machine's clock is behind.

    Each move shares a version with the move before it, so the tag names of one alias sort in the order of its moves.
    """
    dates = [date for date in map(_date, known) if date is not None]
    latest = max((date + timedelta(microseconds=1) for date in dates), default=now)
    return f"{AUDIT_PREFIX}{max(now, latest).strftime(_STAMP)}-{token}"


def entries_of(tags: "Mapping[str, str]") -> "dict[str, AliasEntry]":
    """The entries of a version by tag name, newest first; invalid tags are ignored."""
    entries = {}
    for key in sorted((key for key in tags if _date(key) is not None), reverse=True):
        entry = _read(tags[key])
        if entry is not None:
            entries[key] = entry
    return entries


def _date(key: str) -> "datetime | None":
    """The date in the name of an entry's tag; None for another tag, and for a date that no entry can follow."""
    match = _KEY.fullmatch(key)
    try:
        date = datetime.strptime(match[1], _STAMP).replace(tzinfo=timezone.utc) if match else None
    except ValueError:
        return None
    return date if date is not None and date.year < MAXYEAR else None


def _read(text: str) -> "AliasEntry | None":
    try:
        return read(AliasEntry, json.loads(text), what="an audit entry")
    except (ValueError, RecursionError):
        return None
