"""What stops a version that shares the traffic: failures beyond those of the version before, and latency."""

import pytest

from mlflow_uv.core.deploy.canary import ServedRequest, SharedTraffic, canary_findings
from mlflow_uv.core.deploy.settings import HostSettings

SETTINGS = HostSettings(target="compose", canary="5, 50", canary_errors=1.0, canary_slowdown=2.0)


def requests(number: int, *, failed: int = 0, milliseconds: float = 10.0) -> tuple[ServedRequest, ...]:
    """Requests of which some failed."""
    good = ServedRequest(status=200, milliseconds=milliseconds)
    return (good,) * (number - failed) + (ServedRequest(status=500, milliseconds=milliseconds),) * failed


@pytest.mark.parametrize(
    ("before", "new", "rules"),
    [
        (requests(1000), requests(1000), []),
        (requests(1000), (), []),
        ((), requests(3), []),
        (requests(100, failed=10), requests(100, failed=10), []),
        (requests(100), requests(100, failed=1), []),
        (requests(100), requests(100, failed=2), ["canary-errors"]),
        (requests(1000), requests(1, failed=1), ["canary-errors"]),
        ((), requests(10, failed=1), ["canary-errors"]),
        (requests(100, milliseconds=50), requests(100, milliseconds=99), []),
        (requests(100, milliseconds=60), requests(100, milliseconds=121), ["canary-slow"]),
        (requests(100, milliseconds=1), requests(100, milliseconds=50), []),  # a busy machine does that
        (requests(100), requests(19, milliseconds=900), []),  # too few to tell
        (requests(100), requests(20, failed=20, milliseconds=900), ["canary-errors", "canary-slow"]),
    ],
)
def test_a_version_is_stopped_by_what_the_version_before_does_not_do(
    before: tuple[ServedRequest, ...], new: tuple[ServedRequest, ...], rules: list[str]
) -> None:
    """
    A failure that clients had anyway, and the noise of a machine, stop nothing.
    """
    found = canary_findings(SETTINGS, SharedTraffic(before=before, new=new), 5)

    assert rules == [finding.rule for finding in found]


def test_a_request_that_got_no_response_failed_and_a_wrong_request_did_not() -> None:
    """
    A 4xx status is about what a client sent.
    """
    found = [ServedRequest(status=status, milliseconds=time) for status, time in ((504, 1.0), (200, None), (400, 1.0))]

    assert [True, True, False] == [request.failed for request in found]


@pytest.mark.parametrize(("text", "steps"), [(None, ()), ("5", (5,)), ("5, 25 ,50", (5, 25, 50)), ("1,99", (1, 99))])
def test_shares_are_given_in_percent(text: str | None, steps: tuple[int, ...]) -> None:
    """
    Separated by commas.
    """
    assert steps == HostSettings(target="compose", canary=text).canary_steps
