"""What does a team ask of a version before it is promoted, in [tool.mlflow-uv.promote]?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import PurePath
from typing import Annotated, Any

from ...command.errors import BadInput
from ...command.step import Doc, ValueLayer, fields_of, refuse_unknown, settle
from ..lock.toml_lines import key_lines, line_at
from ..release.record import LINKS
from .gates import EXAMPLE, Gate, read_gate

TABLE = ("tool", "mlflow-uv", "promote")
SHOWN = f"[{'.'.join(TABLE)}]"
# The last one is the digest of the record itself, which the registry keeps.
CHAIN = frozenset({*LINKS, "record"})
_LISTS = ("gates", "required-tags")
_HOURS = "minimum-age-hours"
_TAG = re.compile(r"[^=\s](?:[^=]*[^=\s])?(?:=.*)?", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotePolicy:
    """What a version must be to get the alias, as it is written; a rule that is not set asks nothing."""

    gates: Annotated[
        tuple[str, ...],
        Doc(f"Comparisons of metrics that must hold, each with a number or with the champion, such as `{EXAMPLE}`."),
    ] = ()
    minimum_age_hours: Annotated[float | None, Doc("The version was registered at least so many hours ago.")] = None
    required_tags: Annotated[
        tuple[str, ...], Doc("The version has each of these tags: `key`, or `key=value` for one value alone.")
    ] = ()
    allow_dirty: Annotated[
        bool, Doc("A version may come from a tree with changes that no commit holds, and is promoted all the same.")
    ] = False
    allow_breaking_signature: Annotated[
        bool, Doc("A version may refuse what the champion accepts, or answer in another shape.")
    ] = False
    allow_unverified: Annotated[
        tuple[str, ...],
        Doc(f"Links of the chain that need not be verified where promote runs, of {', '.join(sorted(CHAIN))}."),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """The policy, its gates as they are read, and where it is written: manifest, table's line, that of each key."""

    policy: PromotePolicy
    gates: tuple[Gate, ...]
    manifest: PurePath
    line: int
    lines: Mapping[str, int]


RULES = frozenset(field.kebab for field in fields_of(PromotePolicy))


def read_promotion(table: Any, *, text: str, manifest: PurePath, shown: str) -> Promotion:
    """
    What `text`, a manifest, holds as `table`; `shown` is how a message calls that file.

    Raises BadInput that names the key and its line.
    """
    if not isinstance(table, dict):
        raise BadInput(what="`promote` in [tool.mlflow-uv] is not a table", why=f"it is {table!r}", fix=SHOWN)
    lines = key_lines(text)

    def said(key: str, *more: int) -> str:
        return f"`{key}` in {SHOWN} (line {line_at(lines, (*TABLE, key, *more))} of {shown})"

    refuse_unknown(table, RULES, source=f"{SHOWN} of {shown}")
    for key in _LISTS:
        # Names may be written as one text with spaces; a comparison and a tag's value may hold some.
        if isinstance(table.get(key), str):
            raise BadInput(what=f"{said(key)} is not a list", why="it is one text", fix=f'{key} = ["{table[key]}"]')
        if isinstance(table.get(key), list) and (odd := [one for one in table[key] if not isinstance(one, str)]):
            raise BadInput(what=f"{said(key)} must be a list of texts", why=f"it holds {odd[0]!r}")
    hours = table.get(_HOURS)
    if isinstance(hours, (int, float)) and (isinstance(hours, bool) or not 0 <= hours < inf):
        raise BadInput(what=f"{said(_HOURS)} must be a finite number, not negative", why=f"it is {hours!r}")
    layers = tuple(
        ValueLayer(said(key).replace("{", "{{").replace("}", "}}"), {key: value}) for key, value in table.items()
    )
    policy = settle(PromotePolicy, layers)
    refuse_unknown(dict.fromkeys(policy.allow_unverified), CHAIN, source=said("allow-unverified"))
    for position, tag in enumerate(policy.required_tags):
        if not _TAG.fullmatch(tag):
            source = said("required-tags", position)
            raise BadInput(what=f"{source} holds {tag!r}, which is no tag", why="a tag is `key` or `key=value`")
    gates = []
    for position, gate in enumerate(policy.gates):
        try:
            gates.append(read_gate(gate))
        except ValueError as error:
            source = said("gates", position)
            raise BadInput(what=f"{source} holds {gate!r}, which is no gate", why=str(error)) from error
    found = {key: line_at(lines, (*TABLE, key)) for key in table}
    return Promotion(policy=policy, gates=tuple(gates), manifest=manifest, line=line_at(lines, TABLE), lines=found)
