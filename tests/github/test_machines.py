"""Whether a second engine is another machine's, and leaves the first alone."""

import subprocess

import pytest

from tests.cases.images import BASE, address_of_this_machine, run_in
from tests.engines import engine_of_another_machine

pytestmark = pytest.mark.engine


def state_of_network() -> str:
    """The chains, networks and bridge of the first engine; the rules in them follow containers that come and go."""

    def output_lines(*argv: str) -> list[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()

    rules = [*output_lines("iptables", "-S"), *output_lines("iptables", "-t", "nat", "-S")]
    chains = [rule for rule in rules if rule.startswith(("-N", "-P"))]
    bridge = output_lines("ip", "-oneline", "-4", "address", "show", "docker0")
    return "\n".join([*chains, *output_lines("docker", "network", "ls"), *bridge])


def test_another_machines_engine_has_nothing_and_changes_nothing() -> None:
    """
    It answers, knows no image of ours, and when it is gone the first engine reaches and serves as before.
    """
    before = state_of_network()

    with engine_of_another_machine() as host:
        words = ("docker", "--host", host, "images", "--quiet")
        images = subprocess.run(words, capture_output=True, text=True, check=True)
        during = state_of_network()

    assert "" == images.stdout
    assert before == during == state_of_network()
    assert "still here" == run_in(BASE, "python3", "-c", "print('still here')").strip()
    assert address_of_this_machine()
