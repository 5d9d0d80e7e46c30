"""Parses the promotion policy in [tool.mlflow-uv.promote]."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from math import inf
from typing import Annotated, TypeVar

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.step import Doc, refuse_unknown
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..policy.table import PolicySource, PolicyTable
from ..release.record import LINKS
from .gates import EXAMPLE, Gate, read_gate
from .vulnerability_policy import (
    VULNERABILITY_EXCEPTION,
    VulnerabilityException,
    VulnerabilitySeverity,
    read_vulnerability_exception,
)

E = TypeVar("E")
# `record` is the digest of the record itself, which the registry keeps.
CHAIN = frozenset({*LINKS, "record"})
_LISTS = ("gates", "required-tags", "allowed-licences", "licence-exceptions", "vulnerability-exceptions")
_HOURS = "minimum-age-hours"
EXCEPTION = "name until 2027-01-31"
_EXCEPTION = lazy_pattern(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?")
_TAG = lazy_pattern(r"[^=\s](?:[^=]*[^=\s])?(?:=.*)?", re.DOTALL)


@lazy_dataclass
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
    allowed_licences: Annotated[
        tuple[str, ...] | None,
        Doc("Licences that the served packages may have, as SPDX expressions or as the names that report lists."),
    ] = None
    licence_exceptions: Annotated[
        tuple[str, ...],
        Doc(f"Packages that may have any licence, always or until a day: `name`, or `{EXCEPTION}`."),
    ] = ()
    refused_vulnerabilities: Annotated[
        VulnerabilitySeverity | None,
        Doc("Lowest severity of a known vulnerability that no served package may have; an unknown one is the highest."),
    ] = None
    vulnerability_exceptions: Annotated[
        tuple[str, ...],
        Doc(f"Vulnerabilities that are accepted, always or until a day: an id, or `{VULNERABILITY_EXCEPTION}`."),
    ] = ()
    allow_dirty: Annotated[bool, Doc("Allow versions that were trained from a tree with uncommitted changes.")] = False
    allow_breaking_signature: Annotated[
        bool, Doc("Allow a signature that refuses inputs of the champion, or changes its outputs.")
    ] = False
    allow_unverified: Annotated[
        tuple[str, ...],
        Doc(f"Links of the chain that may be unverified where promote runs: {', '.join(sorted(CHAIN))}."),
    ] = ()


@lazy_dataclass
class LicenceException:
    """A package whose licence is not compared, up to and including a day if there is one."""

    name: str
    until: date | None = None


@lazy_dataclass
class Promotion(PolicySource[PromotePolicy]):
    """
    The policy with its place, its parsed gates, and the targets that count beside those of the image.

    `vulnerability_service` is the URL of the service that knows vulnerabilities.
    """

    gates: tuple[Gate, ...]
    licence_exceptions: tuple[LicenceException, ...] = ()
    vulnerability_exceptions: tuple[VulnerabilityException, ...] = ()
    targets: tuple[str, ...] = ()
    vulnerability_service: str = ""


def read_promotion(table: PolicyTable) -> Promotion:
    """Parse the table of a promotion policy. Raises BadInput with the key and its line."""
    rules = table.rules(PromotePolicy)
    for key in _LISTS:
        value = rules.get(key)
        # Lists of names may be text separated by spaces; gates and values of tags may contain spaces themselves.
        if isinstance(value, str):
            raise BadInput(what=f"{table.describe(key)} is not a list", why="it is text", fix=f'{key} = ["{value}"]')
        if isinstance(value, list) and (not_texts := [item for item in value if not isinstance(item, str)]):
            raise BadInput(what=f"{table.describe(key)} must be a list of texts", why=f"it has {not_texts[0]!r}")
    hours = rules.get(_HOURS)
    if isinstance(hours, (int, float)) and (isinstance(hours, bool) or not 0 <= hours < inf):
        why = f"it is {hours!r}"
        raise BadInput(what=f"{table.describe(_HOURS)} must be a finite number, not negative", why=why)
    source = table.parse(PromotePolicy)
    policy = source.policy
    refuse_unknown(dict.fromkeys(policy.allow_unverified), CHAIN, source=table.describe("allow-unverified"))
    for position, tag in enumerate(policy.required_tags):
        if not _TAG.fullmatch(tag):
            item = table.describe("required-tags", position)
            raise BadInput(what=f"{item} holds {tag!r}, which is not a tag", why="a tag is `key` or `key=value`")
    return Promotion(
        policy=policy,
        manifest=source.manifest,
        line=source.line,
        lines=source.lines,
        gates=tuple(_gates(policy, table)),
        licence_exceptions=tuple(_exceptions(table, "licence-exceptions", policy.licence_exceptions, read_exception)),
        vulnerability_exceptions=tuple(
            _exceptions(
                table, "vulnerability-exceptions", policy.vulnerability_exceptions, read_vulnerability_exception
            )
        ),
    )


def read_exception(text: str) -> LicenceException:
    """Parse `NAME`, or `NAME until YYYY-MM-DD`. Raises ValueError."""
    match = _EXCEPTION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"it is neither a name of a package nor `{EXCEPTION}`")
    name = re.sub(r"[-_.]+", "-", match["name"]).lower()
    return LicenceException(name=name, until=date.fromisoformat(match["until"]) if match["until"] else None)


def _gates(policy: PromotePolicy, table: PolicyTable) -> Iterator[Gate]:
    for position, gate in enumerate(policy.gates):
        try:
            yield read_gate(gate)
        except ValueError as error:
            item = table.describe("gates", position)
            raise BadInput(what=f"{item} holds {gate!r}, which is not a gate", why=str(error)) from error


def _exceptions(table: PolicyTable, key: str, texts: tuple[str, ...], read: Callable[[str], E]) -> Iterator[E]:
    for position, text in enumerate(texts):
        try:
            yield read(text)
        except ValueError as error:
            item = table.describe(key, position)
            raise BadInput(what=f"{item} holds {text!r}, which is not an exception", why=str(error)) from error
