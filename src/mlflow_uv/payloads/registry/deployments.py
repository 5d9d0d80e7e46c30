"""Claims a deployment of a registered model for one run at a time, and writes what it runs to tags."""

import json
from dataclasses import asdict, replace

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ..messages.deployments import (
    CHANGING,
    DEPLOYED,
    REPLACED,
    ClaimDeployment,
    DeploymentClaim,
    DeploymentEntry,
    RecordDeployment,
    entry_in,
)
from ..messages.request import Done
from ..messages.tags import DEPLOYMENT_PREFIX
from ..problems import Problem, ProblemKind, kind_of
from .clients import open_registry
from .lease import CLOCK, LeaseClock, hold_lease


def claim(request: ClaimDeployment) -> DeploymentClaim:
    """Claim a deployment, or extend the claim of the same run."""
    return claim_with(open_registry(), request, CLOCK)


def claim_with(client: MlflowClient, request: ClaimDeployment, clock: LeaseClock) -> DeploymentClaim:
    """See claim."""
    entry = request.entry
    with hold_lease(client, request.name, lease_s=request.lease_s, about=_about(entry), clock=clock) as lease:
        before = entry_in(lease.read().tags, entry.deployment)
        if before is not None and _is_held(before, entry, request.abandoned, clock.date_s()):
            return DeploymentClaim(claimed=False, entry=before)
        client.set_registered_model_tag(request.name, _key(entry), _text(replace(entry, state=CHANGING)))
    return DeploymentClaim(claimed=True, entry=before)


def record(request: RecordDeployment) -> Done:
    """Write the entry of a claimed deployment, and end the claim."""
    return record_with(open_registry(), request, CLOCK)


def record_with(client: MlflowClient, request: RecordDeployment, clock: LeaseClock) -> Done:
    """See record; the versions are written first, so that a killed process leaves the claim."""
    name, entry = request.name, replace(request.entry, expires=0.0)
    with hold_lease(client, name, lease_s=request.lease_s, about=_about(entry), clock=clock) as lease:
        current = entry_in(lease.read().tags, entry.deployment)
        if current is None or current.token != entry.token:
            who = "nobody" if current is None else current.who
            raise Problem(ProblemKind.CONFLICT, f"the deployment `{entry.deployment}` is claimed by {who} meanwhile")
        if request.replaced is not None and request.replaced != entry.version:
            _mark_replaced(client, name, request.replaced, entry)
        _tag_version(client, name, entry)
        client.set_registered_model_tag(name, _key(entry), _text(entry))
    return Done()


def _is_held(before: DeploymentEntry, entry: DeploymentEntry, abandoned: "str | None", now_s: float) -> bool:
    """Whether another run that may be alive has it."""
    return before.state == CHANGING and before.token not in (entry.token, abandoned) and before.expires > now_s


def _tag_version(client: MlflowClient, name: str, entry: DeploymentEntry) -> None:
    """Write the entry on its version, which may be deleted already if the deployment does not run it any more."""
    try:
        client.set_model_version_tag(name, entry.version, _key(entry), _text(entry))
    except MlflowException as error:
        if entry.state == DEPLOYED or kind_of(error) is not ProblemKind.NOT_FOUND:
            raise


def _mark_replaced(client: MlflowClient, name: str, version: str, entry: DeploymentEntry) -> None:
    """Say on the version that the deployment ran that it no longer does; a deleted version needs no tag."""
    try:
        earlier = entry_in(client.get_model_version(name, version).tags, entry.deployment)
        if earlier is not None and earlier.state == DEPLOYED:
            client.set_model_version_tag(name, version, _key(entry), _text(replace(earlier, state=REPLACED)))
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise


def _about(entry: DeploymentEntry) -> "dict[str, str]":
    return {"action": "deploy", "deployment": entry.deployment, "who": entry.who, "when": entry.when}


def _key(entry: DeploymentEntry) -> str:
    return DEPLOYMENT_PREFIX + entry.deployment


def _text(entry: DeploymentEntry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False, separators=(",", ":"))
