"""Explains a database whose schema is not that of the MLflow in use, and names the fix."""

import shlex
from pathlib import Path

from ...command.errors import StoreUnreachable
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import Wording, option
from ...core.model.database_schemas import releases_of
from ...payloads.messages.request import SchemaFacts

_SQLITE = lazy_pattern(r"(sqlite(?:\+\w+)?:///)([^?:]+)(.*)")


def schema_mismatch(facts: SchemaFacts, *, uri: str, shown: str) -> StoreUnreachable:
    """The error for a database whose schema the MLflow in use would migrate or cannot read."""
    revision = facts.revision
    if revision == "none":
        return StoreUnreachable(
            what=f"`{shown}` is not an MLflow database",
            why="it contains other tables, and MLflow would add its own",
            fix=option("tracking-uri", "sqlite:///NEW_FILE"),
        )
    readers = releases_of(revision)
    made_by = readers or "an unknown MLflow: a newer version, or another program"
    why = f"its schema {revision} is that of {made_by}, and the MLflow {facts.mlflow} in use has {facts.wanted}"
    use = f"use it from a project with {readers or 'the MLflow that made it'}"
    if not facts.upgradable:
        fresh = Wording(use, ", or ", option("tracking-uri", "sqlite:///NEW_FILE"))
        return StoreUnreachable(what=f"`{shown}` is a database of another MLflow", why=why, fix=fresh)
    program = str(Path(facts.python).parent / "mlflow")
    file = _SQLITE.fullmatch(uri)
    if file is None:
        upgrade = shlex.join((program, "db", "upgrade", shown))
        fix: str = Wording(f"{use}; or back it up and `{upgrade}`, after which no older MLflow can read it")
    else:
        copy = f"{file[2]}.upgraded"
        upgrade = f"{shlex.join(('cp', file[2], copy))} && {shlex.join((program, 'db', 'upgrade', file[1] + copy))}"
        fix = Wording(f"{use}, or a copy: `{upgrade}`, then ", option("tracking-uri", file[1] + copy))
    return StoreUnreachable(what=f"`{shown}` is a database of another MLflow", why=why, fix=fix)
