"""Reads and writes the audit entries of alias moves, which are stored as tags of the versions."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from .problems import Problem, ProblemKind

PREFIX = "mlflow-uv.audit."
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_KEY = re.compile(re.escape(PREFIX) + r"(\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]+")
# The maximum length of a version's tag: 5,000 characters in MLflow 2.22, 100,000 in 3.1 and later.
_LONGEST = 5000


@dataclass(frozen=True, kw_only=True)
class AliasEntry:
    """
    One move of an alias from version `before` to version `after`.

    It is a tag of `after` before the alias moves, and of `before`, too, once the move is complete (`done`). `previous`
    is the target of the next rollback: `before` after a promotion, an earlier version after a rollback. `keeps` is the
    alias that names it in the meantime.
    """

    action: str
    alias: str
    before: "str | None"
    after: str
    previous: "str | None"
    who: str
    when: str
    run: "str | None" = None
    keeps: "str | None" = None
    gates: "tuple[str, ...]" = ()
    done: bool = False

    def text(self) -> str:
        """The value of the tag; gates that do not fit are replaced by their number."""
        for kept in range(len(self.gates), -1, -1):
            more = () if kept == len(self.gates) else (f"and {len(self.gates) - kept} more",)
            fields = asdict(replace(self, gates=(*self.gates[:kept], *more)))
            text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
            if len(text) <= _LONGEST:
                return text
        raise Problem(ProblemKind.INVALID, f"who, when and run of an audit entry do not fit into {_LONGEST} characters")


def key_after(known: "Iterable[str]", now: datetime, token: str) -> str:
    """
    The tag name of a new entry; it sorts after the known ones even if this machine's clock is behind.

    Each move shares a version with the move before it, so the tag names of one alias sort in the order of its moves.
    """
    stamps = [datetime.strptime(_stamp(key), _STAMP).replace(tzinfo=timezone.utc) for key in known]
    latest = max((stamp + timedelta(microseconds=1) for stamp in stamps), default=now)
    return f"{PREFIX}{max(now, latest).strftime(_STAMP)}-{token}"


def entries_of(tags: "Mapping[str, str]") -> "dict[str, AliasEntry]":
    """The entries of a version by tag name, newest first; invalid tags are ignored."""
    entries = {}
    for key in sorted((key for key in tags if _KEY.fullmatch(key)), reverse=True):
        entry = _read(tags[key])
        if entry is not None:
            entries[key] = entry
    return entries


def _stamp(key: str) -> str:
    match = _KEY.fullmatch(key)
    assert match is not None  # noqa: S101  # callers pass keys of entries only
    return match[1]


def _read(text: str) -> "AliasEntry | None":
    try:
        fields: dict[str, Any] = json.loads(text)
        return AliasEntry(**{**fields, "gates": tuple(fields["gates"])})
    except (ValueError, TypeError, KeyError):
        return None
