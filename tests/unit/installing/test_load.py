"""The program that measures a server: a slow and a leaking one differ from others on any machine."""

import json
import os
import subprocess
import sys
import threading

from mlflow_uv.core.model.load_figures import MIB, MOST_REQUESTS, LoadFigures, load_figures
from mlflow_uv.tools.mlflow.model_requests import LOAD, LoadPlan
from tests.endpoints import EndpointReply, EndpointRequest, Rule, fake_endpoint
from tests.waiting import CEILING_S

BODY = '{"inputs": [1]}'


def measured(
    rule: Rule, *, seconds: float = CEILING_S, requests: int = MOST_REQUESTS, concurrency: int = 2
) -> LoadFigures:
    """The figures of a server in this process, after a time or a number of requests."""
    plan = LoadPlan(bodies=(BODY,), concurrency=concurrency, seconds=seconds, timeout_s=CEILING_S)
    with fake_endpoint(rule) as endpoint:
        done = subprocess.run(
            (sys.executable, "-I", "-S", LOAD),
            input=json.dumps(json.loads(plan.message(port=endpoint.port, root=os.getpid())) | {"requests": requests}),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert {BODY.encode()} == {request.body for request in endpoint.requests}
    assert {"milliseconds", "failed", "seconds", "memory"} == json.loads(done.stdout).keys()
    return load_figures(done.stdout, ready_s=0)


def test_latency_rate_and_memory_are_measured() -> None:
    """
    Each is a positive number, and no request fails.
    """
    figures = measured(lambda _: EndpointReply(), seconds=0.5)

    assert (0, True) == (figures.failed, len(figures.milliseconds) > 0)
    assert min(figures.percentile(50), figures.requests_per_second, figures.memory_peak) > 0


def test_a_slow_server_is_slow() -> None:
    """
    It takes at least as long as it sleeps, at any load of this machine.
    """

    def slow(_request: EndpointRequest) -> EndpointReply:
        threading.Event().wait(0.1)
        return EndpointReply()

    figures = measured(slow, requests=4, concurrency=1)

    assert (True, True) == (figures.percentile(50) >= 100, figures.requests_per_second <= 10)


def test_a_leaking_server_grows() -> None:
    """
    By what it keeps of each request.
    """
    kept: list[bytes] = []

    def leaking(_request: EndpointRequest) -> EndpointReply:
        kept.append(os.urandom(2 * MIB))
        threading.Event().wait(0.02)
        return EndpointReply()

    figures = measured(leaking, requests=20)

    # One request came before the measurement, and part of the last may have come after it.
    assert figures.memory_growth > (len(kept) - 3) * MIB


def test_a_request_without_a_prediction_is_counted() -> None:
    """
    It has no latency.
    """
    figures = measured(lambda _: EndpointReply(status=500), requests=10)

    assert (0, 10) == (len(figures.milliseconds), figures.failed)
