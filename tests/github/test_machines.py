"""Whether a second engine is another machine's, and leaves the first alone."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cases.images import BASE, address_of_this_machine, run_in
from tests.engines import engine_of_another_machine

pytestmark = pytest.mark.engine


def state_of_network() -> str:
    """
    The chains, own networks and bridge of the first engine.

    The rules in the chains, the networks of deployments and Podman's chains come and go with what is tested meanwhile.
    """

    def output_lines(*argv: str) -> list[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()

    rules = [*output_lines("iptables", "-S"), *output_lines("iptables", "-t", "nat", "-S")]
    chains = [rule for rule in rules if rule.startswith(("-N DOCKER", "-P"))]
    networks = output_lines("docker", "network", "ls", "--filter", "type=builtin")
    bridge = output_lines("ip", "-oneline", "-4", "address", "show", "docker0")
    return "\n".join([*chains, *networks, *bridge])


@contextmanager
def other_tests() -> Iterator[None]:
    """What they have while the block runs: a network of a deployment, and a chain of a container of Podman."""
    name = f"mlflow-uv-{secrets.token_hex(4)}"
    chain = ("iptables", "--wait", "--table", "nat")
    commands = (
        (("docker", "network", "create", name), ("docker", "network", "rm", name)),
        ((*chain, "--new-chain", name), (*chain, "--delete-chain", name)),
    )
    with ExitStack() as stack:
        for make, remove in commands:
            subprocess.run(make, check=True, capture_output=True)
            stack.callback(subprocess.run, remove, check=True, capture_output=True)
        yield


def test_another_machines_engine_has_nothing_and_changes_nothing() -> None:
    """
    It answers, knows no image of ours, and when it is gone the first engine reaches and serves as before.
    """
    before = state_of_network()

    with engine_of_another_machine() as host, other_tests():
        words = ("docker", "--host", host, "images", "--quiet")
        images = subprocess.run(words, capture_output=True, text=True, check=True)
        during = state_of_network()

    assert "" == images.stdout
    assert before == during == state_of_network()
    assert "still here" == run_in(BASE, "python3", "-c", "print('still here')").strip()
    assert address_of_this_machine()
