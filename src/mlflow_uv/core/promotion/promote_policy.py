"""Parses the promotion policy in [tool.mlflow-uv.promote]."""

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
# `record` is the digest of the record itself, which the registry keeps.
CHAIN = frozenset({*LINKS, "record"})
_LISTS = ("gates", "required-tags")
_HOURS = "minimum-age-hours"
_TAG = re.compile(r"[^=\s](?:[^=]*[^=\s])?(?:=.*)?", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotePolicy:
    """The conditions for getting an alias, as they are written; a condition that is not set is off."""

    gates: Annotated[
        tuple[str, ...],
        Doc(f"Comparisons that must hold, of a metric with a number or with the champion, such as `{EXAMPLE}`."),
    ] = ()
    minimum_age_hours: Annotated[float | None, Doc("Minimum number of hours since the version was registered.")] = None
    required_tags: Annotated[
        tuple[str, ...], Doc("Tags that the version must have: `key`, or `key=value` for a specific value.")
    ] = ()
    allow_dirty: Annotated[bool, Doc("Allow versions that were trained from a tree with uncommitted changes.")] = False
    allow_breaking_signature: Annotated[
        bool, Doc("Allow a signature that refuses inputs of the champion, or changes its outputs.")
    ] = False
    allow_unverified: Annotated[
        tuple[str, ...],
        Doc(f"Links of the chain that may be unverified where promote runs, of {', '.join(sorted(CHAIN))}."),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """The policy, its parsed gates, and its place: the manifest, and the 1-based lines of the table and its keys."""

    policy: PromotePolicy
    gates: tuple[Gate, ...]
    manifest: PurePath
    line: int
    lines: Mapping[str, int]


RULES = frozenset(field.kebab for field in fields_of(PromotePolicy))


def read_promotion(table: Any, *, text: str, manifest: PurePath, shown: str) -> Promotion:
    """
    Parse the table of a policy. `text` is the manifest's content, for lines, and `shown` its name in messages.

    Raises BadInput with the key and its line.
    """
    if not isinstance(table, dict):
        raise BadInput(what="`promote` in [tool.mlflow-uv] is not a table", why=f"it is {table!r}", fix=SHOWN)
    lines = key_lines(text)

    def describe_key(key: str, *more: int) -> str:
        return f"`{key}` in {SHOWN} (line {line_at(lines, (*TABLE, key, *more))} of {shown})"

    refuse_unknown(table, RULES, source=f"{SHOWN} of {shown}")
    for key in _LISTS:
        # Lists of names may be text separated by spaces; gates and values of tags may contain spaces themselves.
        if isinstance(table.get(key), str):
            raise BadInput(what=f"{describe_key(key)} is not a list", why="it is text", fix=f'{key} = ["{table[key]}"]')
        if isinstance(table.get(key), list) and (
            not_texts := [item for item in table[key] if not isinstance(item, str)]
        ):
            raise BadInput(what=f"{describe_key(key)} must be a list of texts", why=f"it has {not_texts[0]!r}")
    hours = table.get(_HOURS)
    if isinstance(hours, (int, float)) and (isinstance(hours, bool) or not 0 <= hours < inf):
        raise BadInput(what=f"{describe_key(_HOURS)} must be a finite number, not negative", why=f"it is {hours!r}")
    layers = tuple(
        ValueLayer(describe_key(key).replace("{", "{{").replace("}", "}}"), {key: value})
        for key, value in table.items()
    )
    policy = settle(PromotePolicy, layers)
    refuse_unknown(dict.fromkeys(policy.allow_unverified), CHAIN, source=describe_key("allow-unverified"))
    for position, tag in enumerate(policy.required_tags):
        if not _TAG.fullmatch(tag):
            source = describe_key("required-tags", position)
            raise BadInput(what=f"{source} holds {tag!r}, which is not a tag", why="a tag is `key` or `key=value`")
    gates = []
    for position, gate in enumerate(policy.gates):
        try:
            gates.append(read_gate(gate))
        except ValueError as error:
            source = describe_key("gates", position)
            raise BadInput(what=f"{source} holds {gate!r}, which is not a gate", why=str(error)) from error
    key_line_numbers = {key: line_at(lines, (*TABLE, key)) for key in table}
    return Promotion(
        policy=policy, gates=tuple(gates), manifest=manifest, line=line_at(lines, TABLE), lines=key_line_numbers
    )
