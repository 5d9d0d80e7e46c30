"""Who gets the next connection, where several listen on one socket."""

import socket
from collections.abc import Iterator

import pytest

from mlflow_uv.serving.process.listener import Listener

LONG = 3600.0


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A socket on which two clients have connected whom nobody has taken yet."""
    with Listener(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        made.settimeout(0)
        with socket.create_connection(made.getsockname()), socket.create_connection(made.getsockname()):
            yield made


def take_all(listener: Listener) -> int:
    """How many connections an event loop gets that asks until there are no more."""
    taken = 0
    while taken < 10:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            break
        taken += 1
    return taken


@pytest.mark.parametrize(("pause_s", "taken", "left"), [(0.0, 2, False), (LONG, 1, True)])
def test_whoever_took_one_leaves_the_next_to_others(listener: Listener, pause_s: float, taken: int, left: bool) -> None:
    """
    For as long as it pauses; without a pause, which one worker has none of, all are taken.
    """
    listener.pause_s = pause_s

    found = take_all(listener)

    assert (taken, left) == (found, listener.has_pending())


def test_at_the_end_whoever_waits_is_taken(listener: Listener) -> None:
    """
    Turns are over when nobody new is to come.
    """
    listener.pause_s = LONG
    first = take_all(listener)

    listener.pause_s = 0.0

    assert (1, 1, False) == (first, take_all(listener), listener.has_pending())
