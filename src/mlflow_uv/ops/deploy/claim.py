"""Gives a deployment to one run at a time, by a lock on this machine and a claim in the registry."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ...command.errors import BadInput, DeploymentBusy
from ...command.wording import Wording, option
from ...core.release.digests import sha256
from ...payloads.messages.deployments import (
    CHANGING,
    DEPLOYED,
    REMOVED,
    RETURNED,
    ClaimDeployment,
    DeploymentEntry,
    RecordDeployment,
    entry_in,
)
from ...payloads.messages.registry import Author, RegisteredName
from ..lineage.registry_client import RegistryClient, author
from .target import REGISTERED, DeployedVersion, DeploymentOptions

_TOKENS = 16  # of runs that were killed, with claims in as many registries
_TOKEN_LENGTH = 24
SLACK_S = 180.0  # beside the deadline of the server: to ask it, to move the traffic and to return


class DeploymentClaimHolder:
    """
    The claim of this run; `interrupted` is the entry of a run that was killed while it changed the deployment.

    `proven` is the entry of the version that the deployment ran last after its endpoint answered as in training. It is
    on that version, where no claim replaces it.
    """

    def __init__(self, registry: RegistryClient, model: str, entry: DeploymentEntry, valid_s: float) -> None:
        self._registry = registry
        self._model = model
        self._valid_s = valid_s
        self._abandoned: tuple[str, ...] = ()
        self.entry = entry
        self.interrupted: DeploymentEntry | None = None
        self.earlier: DeploymentEntry | None = None
        self.proven: DeploymentEntry | None = None

    def take(self, abandoned: tuple[str, ...]) -> None:
        """Claim the deployment; the runs that were killed on this machine, whose tokens are given, have lost it."""
        self._abandoned = abandoned
        self.earlier = self._claimed()
        if self.earlier is not None and self.earlier.state == CHANGING:
            self.interrupted = self.earlier
        versions = self._registry.client.find_versions(self._model)
        entries = (entry_in(version.tags, self.entry.deployment) for version in versions)
        proven = (entry for entry in entries if entry is not None and entry.state == DEPLOYED)
        self.proven = max(proven, key=lambda entry: entry.when, default=None)

    def renew(self) -> None:
        """Extend the claim. Raises DeploymentBusy if another run has it meanwhile."""
        self._claimed()

    def record(self, entry: DeploymentEntry, *, replaced: str | None = None) -> None:
        """Write what the deployment runs, and end the claim."""
        self.entry = entry
        self._registry.client.record_deployment(RecordDeployment(name=self._model, entry=entry, replaced=replaced))

    def record_return(self, before: str | None) -> None:
        """Write that the version does not run; an entry of it stays where it is the one that ran before."""
        earlier = self.earlier
        if self._is_proven():
            self._record_proven()
        elif earlier is not None and earlier.state != CHANGING and earlier.version == self.entry.version:
            self.record(replace(earlier, token=self.entry.token))
        else:
            self.record(replace(self.entry, state=RETURNED, before=before))

    def record_unsettled(self) -> None:
        """Write what a killed run leaves, but for the time that others wait: the next run goes on from there."""
        if self._is_proven():
            self._record_proven()
        else:
            self.record(self.entry)

    def kept(self, entry: DeploymentEntry) -> DeploymentEntry:
        """The entry that is there already, if it says the same of a deployment that was not changed."""
        earlier = self.earlier
        if earlier is None:
            return entry
        same = (earlier.state, earlier.version, earlier.image) == (entry.state, entry.version, entry.image)
        return replace(earlier, token=entry.token) if same else entry

    def _is_proven(self) -> bool:
        return self.proven is not None and self.proven.version == self.entry.version

    def _record_proven(self) -> None:
        assert self.proven is not None  # noqa: S101  # the caller has looked
        self.record(replace(self.proven, token=self.entry.token))

    def _claimed(self) -> DeploymentEntry | None:
        entry = replace(self.entry, state=CHANGING, expires=self._registry.tools.clock.date_s() + self._valid_s)
        abandoned = self._abandoned[-1] if self._abandoned else None
        request = ClaimDeployment(name=self._model, entry=entry, abandoned=abandoned)
        response = self._registry.client.claim_deployment(request)
        if not response.claimed and response.entry is not None and response.entry.token in self._abandoned:
            response = self._registry.client.claim_deployment(replace(request, abandoned=response.entry.token))
        if response.claimed:
            return response.entry
        other = response.entry
        assert other is not None  # noqa: S101  # it has the claim
        until = datetime.fromtimestamp(other.expires, UTC).strftime("%H:%M:%S UTC")
        raise DeploymentBusy(
            what=f"another run changes the deployment `{entry.deployment}`",
            why=f"{other.who} began at {other.when}{f' in {other.run}' if other.run else ''}; if that run was killed,"
            f" its claim ends at {until}",
            fix="run it again when the other one has ended",
        )


@contextmanager
def claimed(
    registry: RegistryClient, model: str, entry: DeploymentEntry, valid_s: float
) -> Iterator[DeploymentClaimHolder]:
    """
    Hold the lock and the claim while the block runs.

    The file of the lock has the token of the run, so that the next run on this machine knows the claim of a dead one.
    A target is shared by the registries that have a model of this name, so the lock is too; the token of a dead run
    stays until a run finds its claim, which may be in another registry. Raises DeploymentBusy.
    """
    path = registry.tools.host.state / "deployments" / sha256(f"{model}\0{entry.deployment}".encode())[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = DeploymentClaimHolder(registry, model, entry, valid_s)
    with path.open("a+", encoding="utf-8") as lock:
        _lock(lock, path, entry)
        lock.seek(0)
        abandoned = tuple(lock.read(_TOKENS * (_TOKEN_LENGTH + 1)).split())
        _write_tokens(lock, (*abandoned, entry.token))
        try:
            holder.take(abandoned)
        except DeploymentBusy:
            _write_tokens(lock, abandoned)
            raise
        ended = holder.earlier.token if holder.earlier is not None else ""
        yield holder
        _write_tokens(lock, tuple(token for token in abandoned if token != ended))


def registered_at(described: RegisteredName) -> str:
    """When a registered model was created, as a fact of what a target runs; empty if that is not known."""
    if not described.created:
        return ""
    return datetime.fromtimestamp(described.created / 1000, UTC).isoformat(timespec="milliseconds")


def require_recorded_deployment(described: RegisteredName, options: DeploymentOptions) -> None:
    """
    Raise BadInput if this registry does not say that a deployment is one of the model.

    A target may have one of the same name that a project with another tracking server made, or somebody by hand.
    """
    entry = entry_in(described.tags, options.name)
    if not options.take_over and (entry is None or entry.state == REMOVED):
        raise BadInput(
            what=f"this registry has no record of the deployment `{options.name}` of `{options.model}` on the target",
            why="no run recorded it here" if entry is None else f"{entry.who} removed the recorded one at {entry.when}",
            fix=Wording(
                "remove it where it was deployed, or give this deployment another name in pyproject.toml, or ",
                option("take-over"),
            ),
        )


def require_replaceable(described: RegisteredName, options: DeploymentOptions, now: DeployedVersion) -> None:
    """The same for one that would be replaced, unless it says itself when its model was registered."""
    if now.version is not None and REGISTERED not in now.facts:
        require_recorded_deployment(described, options)


def _lock(lock: IO[str], path: Path, entry: DeploymentEntry) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DeploymentBusy(
            what=f"another process on this machine changes the deployment `{entry.deployment}`",
            why=f"it has the lock of {path}",
            fix="run it again when the other one has ended",
        ) from error


def _write_tokens(lock: IO[str], tokens: tuple[str, ...]) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(" ".join(tokens[-_TOKENS:]))
    lock.flush()


def new_entry(registry: RegistryClient, *, deployment: str, target: str, version: str) -> DeploymentEntry:
    """The entry of a run that begins."""
    begun: Author = author(registry.tools)
    return DeploymentEntry(
        deployment=deployment,
        target=target,
        version=version,
        state=CHANGING,
        who=begun.who,
        when=begun.when,
        run=begun.run or None,
        token=secrets.token_hex(_TOKEN_LENGTH // 2),
    )
