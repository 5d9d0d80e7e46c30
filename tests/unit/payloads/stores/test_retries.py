"""What is created on a server is created once, however often the call is repeated."""

import os

import pytest

from mlflow_uv.payloads.stores import retries
from mlflow_uv.payloads.stores.retries import RETRIES, TIMEOUT, create_once, limited_retries, retry_incomplete


class Server:
    """Creates something in each call, and loses the responses of the first ones."""

    def __init__(self, *, lost: int, received: bool, error: type[Exception] = ConnectionError) -> None:
        self.lost, self.received, self.error = lost, received, error
        self.created: list[str] = []
        self.limits: list[str | None] = []

    def create(self) -> str:
        self.limits.append(os.environ.get(RETRIES))
        fails = len(self.limits) <= self.lost
        if not fails or self.received:
            self.created.append(f"run-{len(self.created)}")
        if fails:
            raise self.error("no response")
        return self.created[-1]

    def find(self) -> str | None:
        return next(iter(self.created), None)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RETRIES, "3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")


@pytest.mark.parametrize("received", [True, False])
def test_a_lost_response_creates_nothing_twice(received: bool) -> None:
    """
    Whether the server got the request or not, there is one, and it is the one that is returned.
    """
    server = Server(lost=1, received=received)

    found = create_once(server.create, server.find)

    assert (["run-0"], "run-0") == (server.created, found)


def test_mlflow_does_not_repeat_the_call_itself() -> None:
    """
    Its own retries are off during the call, and as before afterwards.
    """
    server = Server(lost=3, received=False)

    create_once(server.create, server.find)

    assert (["0"] * 4, "3") == (server.limits, os.environ[RETRIES])


def test_the_pauses_are_those_of_mlflows_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    None before the first retry; from then on each is twice as long, times MLflow's factor.
    """
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1.5")

    assert [0.0, 3.0, 6.0, 12.0] == [retries._pause_s(attempt) for attempt in range(4)]


def test_after_the_last_retry_the_error_is_raised() -> None:
    """
    It is the server's, not ours.
    """
    server = Server(lost=9, received=False)

    with pytest.raises(ConnectionError, match="no response"):
        create_once(server.create, server.find)

    assert 4 == len(server.limits)


def test_another_error_is_raised_at_once() -> None:
    """
    A server that refuses is not asked again.
    """
    server = Server(lost=9, received=False, error=PermissionError)

    with pytest.raises(PermissionError):
        create_once(server.create, server.find)

    assert 1 == len(server.limits)


def test_the_number_of_retries_is_set_for_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    None leaves it as it is, and a variable that was not set is not set afterwards, also after an error.
    """
    monkeypatch.delenv(RETRIES)
    with limited_retries(None):
        unchanged = RETRIES in os.environ
    with limited_retries(7, timeout_s=20):
        inside = (os.environ[RETRIES], os.environ[TIMEOUT])
    with pytest.raises(KeyError), limited_retries(7):
        raise KeyError

    assert (False, ("7", "20"), set()) == (unchanged, inside, {RETRIES, TIMEOUT} & os.environ.keys())


def test_only_an_incomplete_response_is_repeated() -> None:
    """
    MLflow repeats the others.
    """
    calls = []

    def refused() -> None:
        calls.append(1)
        raise PermissionError

    with pytest.raises(PermissionError):
        retry_incomplete(refused)

    assert ([1], "x") == (calls, retry_incomplete(lambda: "x"))
