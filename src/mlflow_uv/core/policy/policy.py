"""Parses the lock policy in [tool.mlflow-uv.policy]."""

from collections.abc import Iterator
from typing import Annotated

from packaging.requirements import InvalidRequirement, Requirement

from ...command.errors import BadInput
from ...command.step import Doc, Matching, fields_of, refuse_unknown
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import SourceKind
from .table import PolicySource, PolicyTable

SHOWN = "[tool.mlflow-uv.policy]"
WORKSPACE = "workspace"
# `virtual` is left out, since virtual packages are not installed.
SOURCES = frozenset({WORKSPACE, *(kind.value for kind in SourceKind if kind is not SourceKind.VIRTUAL)})


@lazy_dataclass
class LockPolicy:
    """The rules for a lock, as they are written; a rule that is not set is off."""

    allowed_indexes: Annotated[
        tuple[str, ...] | None,
        Doc("Indexes that packages may come from, as URLs or as folders in the form of uv.lock."),
    ] = None
    allowed_sources: Annotated[
        tuple[str, ...] | None,
        Doc(f"Kinds of source that served packages may come from: {', '.join(sorted(SOURCES))}."),
    ] = None
    require_hashes: Annotated[bool, Doc("Require a hash for every file that can be installed from the lock.")] = False
    keep_exclude_newer: Annotated[
        bool,
        Doc("Refuse files that were uploaded after the lock's own `exclude-newer`, which uv does not check in a lock."),
    ] = False
    minimum_uv: Annotated[
        str | None,
        Matching(r"\d+(\.\d+){0,2}", "a version, such as 0.9"),
        Doc("Minimum version of uv that checks the lock."),
    ] = None
    excluded: Annotated[
        tuple[str, ...], Doc("Packages that must not be locked, as a name or as a name with a range such as `name<2`.")
    ] = ()
    maximum_age_days: Annotated[
        int | None, Doc("Maximum number of days since the last commit that changed the lock.")
    ] = None
    warn: Annotated[tuple[str, ...], Doc("Rules of this table whose violations are warnings instead of errors.")] = ()

    @property
    def about_packages(self) -> bool:
        """Whether any rule is about the packages in the lock."""
        origins = (self.allowed_indexes, self.allowed_sources)
        return (
            self.require_hashes
            or self.keep_exclude_newer
            or bool(self.excluded)
            or any(allowed is not None for allowed in origins)
        )


RULES = frozenset(field.kebab for field in fields_of(LockPolicy) if field.name != "warn")


def read_policy(table: PolicyTable) -> PolicySource[LockPolicy]:
    """Parse the table of a lock policy. Raises BadInput with the key and its line."""
    source = table.parse(LockPolicy)
    policy = source.policy
    refuse_unknown(dict.fromkeys(policy.allowed_sources or ()), SOURCES, source=table.describe("allowed-sources"))
    refuse_unknown(dict.fromkeys(policy.warn), RULES, source=table.describe("warn"))
    for position, entry in enumerate(policy.excluded):
        try:
            next(parse_excluded((entry,)))
        except ValueError as error:
            item = table.describe("excluded", position)
            raise BadInput(what=f"{item} holds {entry!r}, which excludes nothing", why=str(error)) from error
    return source


def parse_excluded(entries: tuple[str, ...]) -> Iterator[Requirement]:
    """Parse the entries of `excluded`. Raises ValueError for one that is not a name with an optional version range."""
    for entry in entries:
        try:
            parsed = Requirement(entry)
        except InvalidRequirement as error:
            raise ValueError(str(error).splitlines()[0]) from error
        if parsed.url or parsed.extras or parsed.marker:
            raise ValueError("an entry is a name, or a name and a version range")
        yield parsed
