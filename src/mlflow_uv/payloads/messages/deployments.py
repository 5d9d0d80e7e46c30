"""Defines the verbs about deployments: the claim of a run that changes one, and the entry that says what it runs."""

import json
from collections.abc import Mapping
from typing import ClassVar

from .lazy_dataclass import lazy_dataclass
from .reader import read
from .registry import LEASE_S
from .request import Request
from .tags import DEPLOYMENT_PREFIX

# The states of an entry: a run changes the deployment; it runs the version; it runs another one; it returned to what
# ran before; it was removed; somebody has to accept that it runs the version.
CHANGING = "changing"
DEPLOYED = "deployed"
REPLACED = "replaced"
RETURNED = "returned"
REMOVED = "removed"
PROPOSED = "proposed"


@lazy_dataclass
class DeploymentEntry:
    """
    What is known of a deployment, by its name in the settings; a tag of the registered model and of the version.

    `target` is the kind of the target, `image` the id or the digest of what serves the version, `answers` the digest of
    the responses of the live endpoint, `before` the version that ran before. `token` names the run that wrote it. While
    the state is `changing`, no other run may change the deployment until `expires`, in seconds since 1970.
    """

    deployment: str
    target: str
    version: str
    state: str
    who: str
    when: str
    token: str
    run: str | None = None
    endpoint: str = ""
    image: str = ""
    answers: str = ""
    before: str | None = None
    expires: float = 0.0


@lazy_dataclass
class ClaimDeployment(Request):
    """
    Claim a deployment of a registered model for a run, or extend the claim of the same run.

    A claim that has not expired is respected, unless its token is `abandoned`: that of a run that is known to be dead.
    """

    verb: ClassVar[str] = "claim-deployment"
    name: str
    entry: DeploymentEntry
    abandoned: str | None = None
    lease_s: float = LEASE_S


@lazy_dataclass
class DeploymentClaim:
    """Whether the run has the deployment now, and the entry that was there: if not, that of the run that has it."""

    claimed: bool
    entry: DeploymentEntry | None


@lazy_dataclass
class RecordDeployment(Request):
    """
    Write the entry of a claimed deployment to the registered model and its version, and end the claim.

    `replaced` is a version that the deployment no longer runs. The claim must be that of the entry's token.
    """

    verb: ClassVar[str] = "record-deployment"
    name: str
    entry: DeploymentEntry
    replaced: str | None = None
    lease_s: float = LEASE_S


def entry_in(tags: "Mapping[str, str]", deployment: str) -> "DeploymentEntry | None":
    """The entry of a deployment in the tags of a registered model or a version; None if there is no valid one."""
    try:
        return read(DeploymentEntry, json.loads(tags[DEPLOYMENT_PREFIX + deployment]), what="a deployment")
    except (KeyError, ValueError, RecursionError):
        return None


def entries_in(tags: "Mapping[str, str]") -> "tuple[DeploymentEntry, ...]":
    """The valid entries in the tags of a version, sorted by the names of the deployments."""
    names = sorted(key.removeprefix(DEPLOYMENT_PREFIX) for key in tags if key.startswith(DEPLOYMENT_PREFIX))
    return tuple(entry for name in names if (entry := entry_in(tags, name)) is not None)
