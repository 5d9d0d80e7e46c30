"""Requests to a model's server on loopback: its replies are read whatever they are, and no proxy is asked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest, send
from tests.ports import free_port
from tests.waiting import CEILING_S

PING = ModelRequest(method="GET", path="/ping", timeout_s=CEILING_S)


@contextmanager
def server(reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A port that answers one connection with these bytes, and the requests that it gets."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def respond() -> None:
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(65536))
                connection.sendall(reply)

        threading.Thread(target=respond, daemon=True).start()
        yield listening.getsockname()[1], requests


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ModelReply(status=200, body="ok")),
        (b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\n\xff", ModelReply(status=500, body="\ufffd")),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://attacker.test/\r\nContent-Length: 0\r\n\r\n",
            ModelReply(status=302, body=""),
        ),
        (b"", None),
        (b"SSH-2.0-OpenSSH\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", None),
    ],
    ids=["a body", "no text", "a redirect", "nothing", "no HTTP", "cut off"],
)
def test_a_reply_is_what_the_server_sent(reply: bytes, expected: ModelReply | None) -> None:
    """
    A redirect is not followed; what is no whole response is none.
    """
    with server(reply) as (port, _):
        assert expected == send(PING, port=port)


def test_a_proxy_of_the_caller_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It could not reach this machine's loopback.
    """
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, requests):
        reply = send(ModelRequest(method="POST", path="/invocations", body=b"{}", timeout_s=CEILING_S), port=port)

    assert (ModelReply(status=200, body=""), True) == (reply, requests[0].startswith(b"POST /invocations HTTP/1.1\r\n"))


def test_nobody_there_is_no_reply() -> None:
    """
    Without an exception.
    """
    assert send(PING, port=free_port()) is None
