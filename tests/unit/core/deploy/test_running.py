"""What a deployment is recorded to run is compared with what it runs."""

from dataclasses import replace

import pytest

from mlflow_uv.core.deploy.running import deployment_checks, unverified
from mlflow_uv.core.release.chain import LinkState, merge_checks
from mlflow_uv.payloads.messages.deployments import DEPLOYED
from tests.messages import DEPLOYMENT

ENTRY = replace(DEPLOYMENT, state=DEPLOYED, image="sha256:1")
FACTS = {"version": "1", "image": "sha256:1", "state": "running"}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, "nothing runs"),
        ({**FACTS, "version": "2"}, "its version, says 2"),
        ({**FACTS, "image": "sha256:2"}, "its image, says sha256:2"),
        ({**FACTS, "state": "ended with 137"}, "its state, says ended with 137"),
        ({**FACTS, "proxy": "another configuration"}, "its proxy, says another configuration"),
        ({"version": "1", "state": "running"}, "its image, says nothing"),
    ],
)
def test_another_version_image_or_state_breaks_the_link(facts: dict[str, str], reason: str) -> None:
    """
    The link is named after the deployment.
    """
    (check,) = merge_checks(deployment_checks(ENTRY, facts))

    assert ("deployment prod", LinkState.BROKEN) == (check.link, check.state)
    assert reason in check.reason


def test_what_runs_as_recorded_holds() -> None:
    """
    Other facts, such as limits, are settings and not part of the record.
    """
    (check,) = merge_checks(deployment_checks(ENTRY, {**FACTS, "memory": "512 MiB"}))

    assert LinkState.HOLDS is check.state


def test_a_target_that_cannot_be_looked_at_is_unverified() -> None:
    """
    It never counts as one that holds.
    """
    assert LinkState.UNVERIFIED is unverified(ENTRY, why="no engine").state
