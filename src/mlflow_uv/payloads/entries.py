"""Who let an alias name which version, and when? Entries that lie as tags on the versions themselves."""

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
# What a tag of a version may hold: 5,000 characters in MLflow 2.22, 100,000 in 3.1 and later.
_LONGEST = 5000


@dataclass(frozen=True, kw_only=True)
class AliasEntry:
    """
    One move of an alias. It lies on `after` from before the alias moves, and on `before` when everything is `done`.

    `previous` is where the next rollback goes: to `before` after a promotion, further back after a rollback. `keeps` is
    the alias that names it meanwhile.
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
        """The value of the tag; of gates that do not fit, the number."""
        for kept in range(len(self.gates), -1, -1):
            more = () if kept == len(self.gates) else (f"and {len(self.gates) - kept} more",)
            said = asdict(replace(self, gates=(*self.gates[:kept], *more)))
            text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
            if len(text) <= _LONGEST:
                return text
        raise Problem(ProblemKind.INVALID, f"who, when and run of an entry do not fit into {_LONGEST} characters")


def key_after(known: "Iterable[str]", now: datetime, token: str) -> str:
    """
    The tag of a new entry; it sorts behind the known ones even if this machine's clock is behind.

    Each move shares a version with the one before it, so the keys of one alias have the order of its moves.
    """
    stamps = [datetime.strptime(_stamp(key), _STAMP).replace(tzinfo=timezone.utc) for key in known]
    latest = max((stamp + timedelta(microseconds=1) for stamp in stamps), default=now)
    return f"{PREFIX}{max(now, latest).strftime(_STAMP)}-{token}"


def entries_of(tags: "Mapping[str, str]") -> "dict[str, AliasEntry]":
    """The entries of a version by their tags, newest first. What others put there is none."""
    found = {}
    for key in sorted((key for key in tags if _KEY.fullmatch(key)), reverse=True):
        entry = _read(tags[key])
        if entry is not None:
            found[key] = entry
    return found


def _stamp(key: str) -> str:
    found = _KEY.fullmatch(key)
    assert found is not None  # noqa: S101  # only keys of entries come here
    return found[1]


def _read(text: str) -> "AliasEntry | None":
    try:
        said: dict[str, Any] = json.loads(text)
        return AliasEntry(**{**said, "gates": tuple(said["gates"])})
    except (ValueError, TypeError, KeyError):
        return None
