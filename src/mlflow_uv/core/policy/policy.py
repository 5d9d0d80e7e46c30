"""Which rules does a team lay down for its lock in [tool.mlflow-uv.policy]?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any

from packaging.requirements import InvalidRequirement, Requirement

from ...command.errors import BadInput
from ...command.step import Doc, Matching, ValueLayer, fields_of, refuse_unknown, settle
from ..lock.lockfile import SourceKind
from ..lock.toml_lines import key_lines, line_at

TABLE = ("tool", "mlflow-uv", "policy")
SHOWN = f"[{'.'.join(TABLE)}]"
WORKSPACE = "workspace"
# `virtual` is no source: nothing of such a package is installed.
SOURCES = frozenset({WORKSPACE, *(kind.value for kind in SourceKind if kind is not SourceKind.VIRTUAL)})


@dataclass(frozen=True, kw_only=True, slots=True)
class LockPolicy:
    """Rules about a lock, as they are written; each is off unless it is set."""

    allowed_indexes: Annotated[
        tuple[str, ...] | None,
        Doc("Every package that comes from an index comes from one of these (URLs, or folders as uv.lock names them)."),
    ] = None
    allowed_sources: Annotated[
        tuple[str, ...] | None,
        Doc(f"What is served comes from these kinds of source alone: {', '.join(sorted(SOURCES))}."),
    ] = None
    require_hashes: Annotated[bool, Doc("Every file that can be installed is locked with its hash.")] = False
    keep_exclude_newer: Annotated[
        bool, Doc("No file in the lock was uploaded after the lock's own `exclude-newer`, of which uv takes no notice.")
    ] = False
    minimum_uv: Annotated[
        str | None,
        Matching(r"\d+(\.\d+){0,2}", "a version, such as 0.9"),
        Doc("The uv that answers is at least this one."),
    ] = None
    excluded: Annotated[
        tuple[str, ...], Doc("No package matches one of these: a name, or a name and a range such as `name<2`.")
    ] = ()
    maximum_age_days: Annotated[
        int | None, Doc("The lock changed within so many days, as git remembers its last commit.")
    ] = None
    warn: Annotated[tuple[str, ...], Doc("Rules of this table that only warn when they are broken.")] = ()

    @property
    def about_packages(self) -> bool:
        """Whether a rule asks what is in the lock."""
        asked = (self.allowed_indexes, self.allowed_sources)
        return (
            self.require_hashes
            or self.keep_exclude_newer
            or bool(self.excluded)
            or any(one is not None for one in asked)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicySource:
    """A policy, and where it is written: the manifest, the table's line, and that of each of its keys."""

    policy: LockPolicy
    manifest: PurePath
    line: int
    lines: Mapping[str, int]


RULES = frozenset(field.kebab for field in fields_of(LockPolicy) if field.name != "warn")


def read_policy(table: Any, *, text: str, manifest: PurePath, shown: str) -> PolicySource:
    """
    The policy that `text`, a manifest, holds as `table`; `shown` is how a message calls that file.

    Raises BadInput that names the key and its line.
    """
    if not isinstance(table, dict):
        raise BadInput(what="`policy` in [tool.mlflow-uv] is not a table", why=f"it is {table!r}", fix=SHOWN)
    lines = key_lines(text)

    def said(key: str, *more: int) -> str:
        return f"`{key}` in {SHOWN} (line {line_at(lines, (*TABLE, key, *more))} of {shown})"

    refuse_unknown(table, RULES | {"warn"}, source=f"{SHOWN} of {shown}")
    for key, value in table.items():
        if value == "":
            raise BadInput(what=f"{said(key)} is empty", why="a rule that is off is not there", fix=f"remove `{key}`")
    layers = tuple(
        ValueLayer(said(key).replace("{", "{{").replace("}", "}}"), {key: value}) for key, value in table.items()
    )
    policy = settle(LockPolicy, layers)
    refuse_unknown(dict.fromkeys(policy.allowed_sources or ()), SOURCES, source=said("allowed-sources"))
    refuse_unknown(dict.fromkeys(policy.warn), RULES, source=said("warn"))
    for position, entry in enumerate(policy.excluded):
        try:
            next(barred((entry,)))
        except ValueError as error:
            source = said("excluded", position)
            raise BadInput(what=f"{source} holds {entry!r}, which excludes nothing", why=str(error)) from error
    found = {key: line_at(lines, (*TABLE, key)) for key in table}
    return PolicySource(policy=policy, manifest=manifest, line=line_at(lines, TABLE), lines=found)


def barred(entries: tuple[str, ...]) -> Iterator[Requirement]:
    """The entries of `excluded`, parsed. Raises ValueError for what is not a name with perhaps a range."""
    for entry in entries:
        try:
            parsed = Requirement(entry)
        except InvalidRequirement as error:
            raise ValueError(str(error).splitlines()[0]) from error
        if parsed.url or parsed.extras or parsed.marker:
            raise ValueError("an entry is a name, or a name and a range of versions")
        yield parsed
