"""One run at a time changes a deployment, on one machine and on several."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, DeploymentBusy
from mlflow_uv.command.host import Host
from mlflow_uv.core.deploy.platform_settings import RaySettings
from mlflow_uv.ops.deploy.claim import (
    claimed,
    new_entry,
    registered_at,
    require_recorded_deployment,
    require_replaceable,
)
from mlflow_uv.ops.deploy.target import MODEL, NOT_DEPLOYED, REGISTERED, VERSION, DeployedVersion
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.payloads.messages.deployments import (
    CHANGING,
    DEPLOYED,
    REMOVED,
    REPLACED,
    RETURNED,
    ClaimDeployment,
    DeploymentClaim,
    DeploymentEntry,
    RecordDeployment,
)
from mlflow_uv.payloads.messages.registry import RegisteredName

from .platforms import options_of
from .worlds import QuickClock


class Registry:
    """Keeps the entry of one deployment, as the payloads do."""

    def __init__(self) -> None:
        self.entry: DeploymentEntry | None = None
        self.tags: dict[str, dict[str, str]] = {}
        self.now = QuickClock()

    def claim_deployment(self, request: ClaimDeployment) -> DeploymentClaim:
        """See StoreClient."""
        before = self.entry
        ours = (request.entry.token, request.abandoned)
        if before and before.state == CHANGING and before.token not in ours and before.expires > self.now.date_s():
            return DeploymentClaim(claimed=False, entry=before)
        self.entry = request.entry
        return DeploymentClaim(claimed=True, entry=before)

    def find_versions(self, name: str) -> tuple[Any, ...]:
        """See StoreClient."""
        assert name == "wine"
        return tuple(SimpleNamespace(tags=tags) for tags in self.tags.values())

    def describe_name(self, name: str) -> RegisteredName:
        """See StoreClient."""
        tags = {} if self.entry is None else {"mlflow-uv.deployment.prod": json.dumps(asdict(self.entry))}
        return RegisteredName(exists=name == "wine", tags=tags)

    def record_deployment(self, request: RecordDeployment) -> None:
        """See StoreClient."""
        self.entry = request.entry


def machine(registry: Registry, folder: Path) -> RegistryClient:
    """A machine with a state of its own."""
    host = Host.of({"MLFLOW_UV_HOME": str(folder)}, folder=folder, python=Path(sys.executable))
    tools = SimpleNamespace(host=host, clock=registry.now)
    return cast("RegistryClient", SimpleNamespace(client=registry, tools=tools))


def entry_of(client: RegistryClient) -> DeploymentEntry:
    """The entry of a run."""
    return new_entry(client, deployment="prod", target="compose", version="1")


def test_a_second_run_is_refused_on_this_machine_and_on_another(tmp_path: Path) -> None:
    """
    The message says who has it; the next run after the first has ended gets it.
    """
    registry = Registry()
    here, there = machine(registry, tmp_path / "here"), machine(registry, tmp_path / "there")

    with claimed(here, "wine", entry_of(here), 60) as claim:
        for other in (here, there):
            with (
                pytest.raises(DeploymentBusy, match="changes the deployment `prod`"),
                claimed(other, "wine", entry_of(other), 60),
            ):
                pass
        claim.record(replace(claim.entry, state=DEPLOYED))
    with claimed(there, "wine", entry_of(there), 60) as claim:
        assert (None, DEPLOYED) == (claim.interrupted, claim.earlier and claim.earlier.state)


def test_a_killed_run_is_known_here_at_once_and_elsewhere_when_its_claim_expires(tmp_path: Path) -> None:
    """
    Its lock is free and has its token; another machine only sees that the time is over.
    """
    for elsewhere in (False, True):
        registry = Registry()
        here = machine(registry, tmp_path / f"here-{elsewhere}")
        killed = entry_of(here)
        with pytest.raises(RuntimeError), claimed(here, "wine", killed, 60):
            raise RuntimeError
        next_machine = machine(registry, tmp_path / "there") if elsewhere else here
        if elsewhere:
            with pytest.raises(DeploymentBusy), claimed(next_machine, "wine", entry_of(next_machine), 60):
                pass
            registry.now.wait(61)

        with claimed(next_machine, "wine", entry_of(next_machine), 60) as claim:
            assert killed.token == (claim.interrupted and claim.interrupted.token)
            claim.record(replace(claim.entry, state=DEPLOYED))


def test_a_killed_run_is_known_here_after_runs_with_another_registry(tmp_path: Path) -> None:
    """
    They have the same lock, since both change the same target, also while one of them is refused.
    """
    first, second, theirs = Registry(), Registry(), Registry()
    killed = []
    for registry in (first, second):
        client = machine(registry, tmp_path / "here")
        killed.append(entry_of(client))
        with pytest.raises(RuntimeError), claimed(client, "wine", killed[-1], 60):
            raise RuntimeError
    with claimed(machine(theirs, tmp_path / "there"), "wine", entry_of(machine(theirs, tmp_path)), 60):
        for _ in range(20):
            refused = machine(theirs, tmp_path / "here")
            with pytest.raises(DeploymentBusy), claimed(refused, "wine", entry_of(refused), 60):
                pass

    for registry, before in zip((first, second), killed, strict=True):
        client = machine(registry, tmp_path / "here")
        with claimed(client, "wine", entry_of(client), 60) as claim:
            assert before == (claim.interrupted and replace(claim.interrupted, state=CHANGING, expires=before.expires))
            claim.record(replace(claim.entry, state=DEPLOYED))

    (lock,) = (tmp_path / "here").rglob("deployments/*")
    assert "" == lock.read_text()


def test_a_claim_that_expired_and_was_taken_cannot_be_renewed(tmp_path: Path) -> None:
    """
    The run that took it is not disturbed.
    """
    registry = Registry()
    here, there = machine(registry, tmp_path / "here"), machine(registry, tmp_path / "there")

    with claimed(here, "wine", entry_of(here), 60) as slow:
        slow.renew()
        registry.now.wait(61)
        with claimed(there, "wine", entry_of(there), 60), pytest.raises(DeploymentBusy):
            slow.renew()


def test_the_proven_version_is_that_of_the_newest_entry_on_a_version(tmp_path: Path) -> None:
    """
    A killed run has replaced the entry of the registered model; versions that were replaced or returned do not count.
    """
    registry = Registry()
    here = machine(registry, tmp_path)
    entry = entry_of(here)
    registry.entry = replace(entry, version="9")
    states = [("1", REPLACED, "5"), ("2", DEPLOYED, "3"), ("3", DEPLOYED, "2"), ("4", RETURNED, "6")]
    for version, state, second in states:
        tag = replace(entry, version=version, state=state, when=f"2026-01-01T00:00:0{second}Z")
        registry.tags[version] = {"mlflow-uv.deployment.prod": json.dumps(asdict(tag))}
    registry.tags["5"] = {"mlflow-uv.deployment.other": registry.tags["2"]["mlflow-uv.deployment.prod"]}

    with claimed(here, "wine", entry_of(here), 60) as claim:
        pass

    assert ("9", "2") == (claim.interrupted and claim.interrupted.version, claim.proven and claim.proven.version)


def test_a_run_that_could_not_return_is_known_to_the_next_one_at_once(tmp_path: Path) -> None:
    """
    As one that was killed, also on another machine; a version that was proven before stays proven.
    """
    registry = Registry()
    here, there = machine(registry, tmp_path / "here"), machine(registry, tmp_path / "there")

    with claimed(here, "wine", entry_of(here), 60) as claim:
        claim.record_unsettled()
    with claimed(there, "wine", entry_of(there), 60) as later:
        later.proven = replace(later.entry, state=DEPLOYED, image="i")
        later.record_unsettled()

    assert "1" == (later.interrupted and later.interrupted.version)
    assert (DEPLOYED, "i") == (later.entry.state, later.entry.image)


@pytest.mark.parametrize(
    ("earlier", "kept"),
    [
        ({}, True),
        ({"version": "3"}, False),
        ({"image": "another"}, False),
        ({"state": RETURNED}, False),
    ],
)
def test_an_entry_is_kept_if_it_says_what_runs(tmp_path: Path, earlier: dict[str, Any], *, kept: bool) -> None:
    """
    Another version may have been led to by hand since it was written, which is then what is recorded.
    """
    registry = Registry()
    here = machine(registry, tmp_path)
    registry.entry = replace(entry_of(here), **{"state": DEPLOYED, "image": "i", "when": "then", **earlier})

    with claimed(here, "wine", entry_of(here), 60) as claim:
        entry = claim.kept(replace(claim.entry, state=DEPLOYED, image="i"))

    assert (kept, "1", claim.entry.token) == (entry.when == "then", entry.version, entry.token)


def test_only_a_deployment_of_this_registry_is_removed(tmp_path: Path) -> None:
    """
    Without an entry, or with one that was removed, the one on the target is somebody else's.
    """
    registry = Registry()
    here, options = machine(registry, tmp_path), options_of(RaySettings(target="ray"))

    with pytest.raises(BadInput, match="no run recorded it here"):
        require_recorded_deployment(here.client.describe_name("wine"), options)
    with claimed(here, "wine", entry_of(here), 60) as claim:
        require_recorded_deployment(here.client.describe_name("wine"), options)
        claim.record(replace(claim.entry, state=REMOVED))
    with pytest.raises(BadInput, match="removed the recorded one"):
        require_recorded_deployment(here.client.describe_name("wine"), options)
    require_recorded_deployment(here.client.describe_name("wine"), replace(options, take_over=True))


def test_what_does_not_say_when_its_model_was_registered_is_replaced_only_with_a_record() -> None:
    """
    What says it is compared by the target itself; where nothing runs there is nothing to replace.
    """
    described, options = Registry().describe_name("wine"), options_of(RaySettings(target="ray"))
    unmarked = DeployedVersion(facts={MODEL: "wine", VERSION: "1"})
    marked = DeployedVersion(facts={MODEL: "wine", VERSION: "1", REGISTERED: "then"})

    with pytest.raises(BadInput, match="no run recorded it here"):
        require_replaceable(described, options, unmarked)
    require_replaceable(described, options, marked)
    require_replaceable(described, options, NOT_DEPLOYED)
    require_replaceable(described, replace(options, take_over=True), unmarked)


def test_the_time_of_a_registration_is_told_to_the_millisecond() -> None:
    """
    A store that does not know it tells nothing.
    """
    created = RegisteredName(exists=True, created=1_700_000_000_123)

    assert ("2023-11-14T22:13:20.123+00:00", "") == (registered_at(created), registered_at(RegisteredName(exists=True)))
