"""Defines the verbs about registered models, their versions and aliases."""

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from .lazy_dataclass import lazy_dataclass
from .request import Request

PREVIOUS = "previous"  # the default alias of the version that a rollback returns to
LEASE_S = 120.0


@lazy_dataclass
class AliasEntry:
    """
    The audit entry of one move of an alias from version `before` to version `after`.

    It is a tag of `after` before the alias moves, and of `before`, too, once the move is complete (`done`). `previous`
    is the target of the next rollback: `before` after a promotion, an earlier version after a rollback. `keeps` is the
    alias that names it in the meantime.
    """

    action: str
    alias: str
    before: str | None
    after: str
    previous: str | None
    who: str
    when: str
    run: str | None = None
    keeps: str | None = None
    gates: tuple[str, ...] = ()
    done: bool = False


@lazy_dataclass
class _Version:
    """The parts that every description of a version has; `message` is the reason of its status."""

    name: str
    version: str
    status: str
    message: str | None
    source: str
    model_id: str | None
    run_id: str | None
    description: str | None
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    entries: tuple[AliasEntry, ...]


@lazy_dataclass
class RegisteredVersion(_Version):
    """A registered version; `created` is in milliseconds since 1970, `entries` are the newest first."""

    created: int


@lazy_dataclass
class SettledVersion(_Version):
    """The version of a model: whether this call created it, and other ready versions of the same source."""

    created: bool
    also: tuple[str, ...]


@lazy_dataclass
class FindOrCreateVersion(Request):
    """
    Find the version of a model by its source, then by its digest, or create one with these tags.

    The call waits up to `timeout_s` seconds until the version is ready. `source` and `run_id` replace `model_id` for
    an MLflow without logged models.
    """

    verb: ClassVar[str] = "find-or-create-version"
    name: str
    model_sha256: str
    tags: Mapping[str, str]
    description: str
    timeout_s: float
    model_id: str | None = None
    source: str | None = None
    run_id: str | None = None


@lazy_dataclass
class DescribeVersion(Request):
    """Describe a registered version."""

    verb: ClassVar[str] = "describe-version"
    name: str
    version: str


@lazy_dataclass
class FindVersions(Request):
    """Find the versions of a registered model, or only those of one logged model."""

    verb: ClassVar[str] = "find-versions"
    name: str
    model_id: str | None = None


@lazy_dataclass
class FoundVersions:
    """Versions of a registered model, lowest number first."""

    versions: tuple[RegisteredVersion, ...]


@lazy_dataclass
class DescribeName(Request):
    """Describe a registered model."""

    verb: ClassVar[str] = "describe-name"
    name: str


@lazy_dataclass
class RegisteredName:
    """
    Whether a registered model exists, the version number of each of its aliases, its tags and its description.

    `created` is when it was registered, in milliseconds since 1970, which tells it from one of another registry.
    If it does not exist, `names` are those of other registered models, at most 100.
    """

    exists: bool
    aliases: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    names: tuple[str, ...] = ()
    created: int | None = None


@lazy_dataclass
class DescribeRights(Request):
    """Check, without writing, that runs of an experiment and versions of a registered model may be created."""

    verb: ClassVar[str] = "describe-rights"
    name: str
    experiment: str


@lazy_dataclass
class NameRights:
    """Whether the registered model exists; a missing permission is an error."""

    exists: bool


@lazy_dataclass
class Author:
    """Who changes the registry, when (UTC), in which workflow run, and the gates that were checked before."""

    who: str
    when: str
    run: str | None = None
    gates: tuple[str, ...] = ()


@lazy_dataclass
class AliasMove:
    """
    The version numbers that an alias named before and names after a call, and notes for the user.

    `already` says that the alias named `after` before the call.
    """

    before: str | None
    after: str
    already: bool
    notes: tuple[str, ...] = ()


@lazy_dataclass
class AssignAlias(Request):
    """Assign an alias to a tested version, whatever it named before; states do not change."""

    verb: ClassVar[str] = "assign-alias"
    name: str
    version: str
    alias: str
    entry: Author
    lease_s: float = LEASE_S
    previous: str = PREVIOUS


@lazy_dataclass
class ExpectedVersion:
    """What the registry was when the gates were checked: the alias, and the record and the state of the version."""

    alias_names: str | None
    record_sha256: str | None
    state: str | None


@lazy_dataclass
class PromoteVersion(Request):
    """Promote a version to an alias if the registry is as expected; `previous` is the alias for the version before."""

    verb: ClassVar[str] = "promote"
    name: str
    version: str
    alias: str
    expected: ExpectedVersion
    entry: Author
    previous: str = PREVIOUS
    lease_s: float = LEASE_S


@lazy_dataclass
class FindRollback(Request):
    """Find the version that a rollback of an alias, in a workflow run, returns to; `to` is its number, if given."""

    verb: ClassVar[str] = "find-rollback"
    name: str
    alias: str
    previous: str = PREVIOUS
    to: str | None = None
    run: str | None = None


@lazy_dataclass
class RollbackTarget:
    """
    The version that has the alias, and the one that it returns to: None, for the reason `why`, if that is ambiguous.

    `already` says that the alias is there already, or that an interrupted rollback only has to be completed.
    """

    before: str | None
    after: str | None
    already: bool
    why: str


@lazy_dataclass
class ExpectedRollback:
    """The two versions that find-rollback returned."""

    before: str | None
    after: str | None


@lazy_dataclass
class RollBackAlias(Request):
    """Move an alias back to the version that find-rollback returned."""

    verb: ClassVar[str] = "roll-back"
    name: str
    alias: str
    expected: ExpectedRollback
    entry: Author
    previous: str = PREVIOUS
    to: str | None = None
    lease_s: float = LEASE_S


@lazy_dataclass
class DeleteVersions(Request):
    """Delete versions, each only if it still has the given state and no alias names it."""

    verb: ClassVar[str] = "delete-versions"
    name: str
    versions: Mapping[str, str]
    entry: Author
    lease_s: float = LEASE_S


@lazy_dataclass
class DeletedVersions:
    """The numbers of the deleted versions, the kept ones with the reason of each, and notes for the user."""

    deleted: tuple[str, ...]
    kept: Mapping[str, str]
    notes: tuple[str, ...]


@lazy_dataclass
class TagRecord(Request):
    """
    Set tags on a version, the digest of its release record among them, if it has the digest of the record before.

    `replaces` is None for a version that has no record yet. A version that has the new digest already has it after the
    call, too: the request may be repeated.
    """

    verb: ClassVar[str] = "tag-record"
    name: str
    version: str
    tags: Mapping[str, str]
    replaces: str | None
    lease_s: float = LEASE_S


@lazy_dataclass
class TaggedRecord:
    """The digest of the record that the version has after the call: another one if nothing was changed."""

    digest: str | None


@lazy_dataclass
class SetTags(Request):
    """Set tags on each of the given objects; `version` is a registered model's name and a number."""

    verb: ClassVar[str] = "tag"
    tags: Mapping[str, str]
    run_id: str | None = None
    model_id: str | None = None
    version: tuple[str, str] | None = None
    name: str | None = None
