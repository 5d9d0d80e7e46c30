"""How kubectl is called, and what its failures mean."""

import json
from dataclasses import dataclass

import pytest

from mlflow_uv.command.errors import PlanOutdated, ToolFailed, ToolMissing
from mlflow_uv.tools.kubernetes.kubectl import Kubectl
from mlflow_uv.tools.system.process import Command, Running
from tests.unit.tools.conftest import FakeRunner, completed

CALLER = {"PATH": "/usr/bin", "KUBECONFIG": "/k", "AWS_PROFILE": "a", "MLFLOW_TRACKING_TOKEN": "t", "GITHUB_TOKEN": "g"}
SERVICE = {"kind": "Service", "metadata": {"name": "prod"}}


def kubectl(runner: FakeRunner) -> Kubectl:
    """Kubectl over a runner."""
    return Kubectl(runner, variables=CALLER, namespace="models", manager="mlflow-uv")


def test_objects_are_applied_on_the_server_by_their_owner() -> None:
    """
    Unknown fields are errors; the manifests are sent on standard input; kubectl gets the logins of a cloud, no others.
    """
    runner = FakeRunner()

    kubectl(runner).apply((SERVICE,))

    (asked,) = runner.asked
    assert (
        *("kubectl", "--namespace", "models", "apply", "--server-side", "--field-manager=mlflow-uv"),
        *("--validate=strict", "--filename=-"),
    ) == asked.argv
    assert [SERVICE] == json.loads(str(asked.stdin))["items"]
    assert {"KUBECONFIG", "AWS_PROFILE"} <= asked.variables.keys()
    assert not {"MLFLOW_TRACKING_TOKEN", "GITHUB_TOKEN"} & asked.variables.keys()


@pytest.mark.parametrize(
    ("stderr", "kind", "why"),
    [
        (
            'error: Apply failed with 1 conflict: conflict with "kubectl-scale" using apps/v1: .spec.replicas\nPlease',
            PlanOutdated,
            'conflict with "kubectl-scale" using apps/v1: .spec.replicas',
        ),
        (
            'error: Apply failed: conflicts with "somebody" using seldon/v1:\n- .spec.predictors\n- .spec.protocol\nx',
            PlanOutdated,
            'conflicts with "somebody" using seldon/v1: - .spec.predictors - .spec.protocol',
        ),
        ("Error from server (Forbidden): deployments is forbidden", ToolFailed, "Forbidden"),
        ('error: strict decoding error: unknown field "spec.replica"', ToolFailed, "unknown field"),
    ],
)
def test_a_refused_manifest_says_why(stderr: str, kind: type[Exception], why: str) -> None:
    """
    A field of another owner is not overwritten.
    """
    with pytest.raises(kind) as caught:
        kubectl(FakeRunner({" apply ": completed(stderr=stderr, code=1)})).apply((SERVICE,))

    assert why in str(caught.value)
    assert " Fix: " in str(caught.value)


def test_what_cannot_be_read_is_no_empty_list() -> None:
    """
    A cluster that does not answer must not look like one without a deployment.
    """
    with pytest.raises(ToolFailed, match="cannot be read"):
        kubectl(FakeRunner({" get ": completed(stderr="Unable to connect to the server", code=1)})).find("pods", "a=b")


def test_a_deletion_is_requested_and_not_waited_for() -> None:
    """
    Whoever deletes looks until nothing is found, and says what an object waits for.
    """
    runner = FakeRunner()
    kubectl(runner).delete("deployments,services", "a=b")

    assert ("delete", "deployments,services", "--selector", "a=b", "--ignore-not-found", "--wait=false") == runner.argv[
        3:
    ]


def test_kubectl_is_missed_before_a_cluster_is_asked() -> None:
    """
    A deployment finds that out when it opens its target.
    """
    runner = FakeRunner()
    kubectl(runner).require_installed()

    assert ("version", "--client", "--output=json") == runner.argv[3:]
    with pytest.raises(ToolMissing, match="not installed"):
        kubectl(FakeRunner({" version ": None})).require_installed()


def test_objects_are_found_by_their_label() -> None:
    """
    A namespace without any has no items.
    """
    answers: tuple[dict[str, object], ...] = ({"items": [SERVICE]}, {"items": []}, {"items": None})

    found = [
        kubectl(FakeRunner({" get ": completed(json.dumps(answer))})).find("services", "a=b") for answer in answers
    ]

    assert [(SERVICE,), (), ()] == found


@dataclass
class Forwarder:
    """A kubectl that forwards a port, or ends."""

    text: str
    ended: int | None = None
    stopped: bool = False
    pid: int = 1

    def code(self) -> int | None:
        """See Running."""
        return self.ended

    def log(self) -> str:
        """See Running."""
        return self.text

    def stop(self) -> None:
        """See Running."""
        self.stopped = True


class Forwarding(FakeRunner):
    """Starts the forwarder."""

    forwarder = Forwarder("")

    def start(self, command: Command) -> Running:
        """See Runner."""
        self.asked.append(command)
        return self.forwarder


def test_a_port_is_forwarded_while_the_block_runs() -> None:
    """
    On loopback, with a number that kubectl chooses.
    """
    runner = Forwarding()
    runner.forwarder = Forwarder("Forwarding from 127.0.0.1:40123 -> 8080\n")

    with kubectl(runner).forwarded("service/prod", 80) as port:
        assert (40123, False) == (port, runner.forwarder.stopped)

    assert ("port-forward", "--address=127.0.0.1", "service/prod", ":80") == runner.argv[3:]
    assert runner.forwarder.stopped


def test_a_port_that_cannot_be_forwarded_is_an_error_with_the_last_line() -> None:
    """
    The process is ended, too.
    """
    runner = Forwarding()
    runner.forwarder = Forwarder("error: no pods\n", ended=1)

    with (
        pytest.raises(ToolFailed, match=r"no pods.*describe service/prod"),
        kubectl(runner).forwarded("service/prod", 80),
    ):
        pass

    assert runner.forwarder.stopped
