"""The configuration of the proxy says which container has the traffic."""

import pytest

from mlflow_uv.core.deploy.canary import ServedRequest
from mlflow_uv.core.deploy.proxy import (
    ProxyTimes,
    proxy_config,
    recorded_times,
    served_requests,
    shared_config,
    slot_in,
)

TIMES = ProxyTimes(request_s=60)


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_what_a_configuration_leads_to_is_read_from_it(slot: str) -> None:
    """
    It is the only place that says so.
    """
    assert slot == slot_in(proxy_config(slot, TIMES))


@pytest.mark.parametrize("text", [None, "", "global\n    maxconn 5\n", "backend x\nserver blue blue:80\n"])
def test_another_file_leads_nowhere(text: str | None) -> None:
    """
    One that is not there, and one that somebody else wrote.
    """
    assert slot_in(text) is None


def test_the_proxy_waits_longer_than_the_server() -> None:
    """
    The server answers 504 at its limit; an old worker is given more time than any request takes.
    """
    times = ProxyTimes(request_s=300.5)

    assert 300.5 < times.timeout_s < times.grace_s
    assert f"timeout server {times.timeout_s}s" in proxy_config("blue", times)
    assert f"hard-stop-after {times.grace_s}s" in proxy_config("blue", times)


def test_while_two_versions_share_the_requests_the_one_before_is_what_runs() -> None:
    """
    So a run that is killed then leaves a deployment that is repaired; only then requests are logged.
    """
    shared = shared_config("green", "blue", 5, TIMES, marker="m-1")

    assert "green" == slot_in(shared)
    assert ["95", "5"] == [line.rpartition(" ")[2] for line in _servers(shared)]
    assert (True, False) == tuple("log-format" in text for text in (shared, proxy_config("blue", TIMES)))


def _servers(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("    server ")]


def test_served_requests_are_those_of_one_container() -> None:
    """
    A request that the server did not answer has no time; lines of other programs are not requests.
    """
    lines = ("m-1 blue 200 12", "m-1 green 500 3", "m-1 blue 503 -1", "m-1 <NOSRV> 503 -1", "m-1", "m-1 blue x 1")

    assert (
        ServedRequest(status=200, milliseconds=12.0),
        ServedRequest(status=503, milliseconds=None),
    ) == served_requests(lines, "blue")


def test_the_time_limit_of_a_container_is_read_from_its_fact() -> None:
    """
    Another text, which somebody else wrote, is none.
    """
    times = ProxyTimes(request_s=2.5)

    assert (times, None, None) == (recorded_times(times.recorded), recorded_times(""), recorded_times("soon"))
