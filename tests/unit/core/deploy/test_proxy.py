"""The configuration of the proxy says which container has the traffic."""

import pytest

from mlflow_uv.core.deploy.proxy import ProxyTimes, proxy_config, slot_in

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
