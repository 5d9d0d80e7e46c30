"""The health check of the image: exit status 0 for a server that answers 200, and 1 for everything else."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlflow_uv.serving import healthcheck
from tests.ports import free_port


@contextmanager
def server(response: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A port on loopback that gives one response, and the requests that it gets."""
    requests: list[bytes] = []
    with socket.create_server(("localhost", 0)) as listening:

        def respond() -> None:
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(4096))
                connection.sendall(response)

        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        yield listening.getsockname()[1], requests


@pytest.mark.parametrize(
    ("response", "healthy"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True), (b"HTTP/1.1 200\r\n\r\n", True), (b"HTTP/1.1 503 No\r\n\r\n", False),
        (b"HTTP/1.1 2000 OK\r\n\r\n", False), (b"", False), (b"\r\n", False), (b"200", False),
    ],
)  # fmt: skip
def test_only_status_200_is_healthy(response: bytes, healthy: bool) -> None:
    """
    A server that says nothing, or nothing that is HTTP, is not.
    """
    with server(response) as (port, requests):
        found = healthcheck.answers("localhost", port)

    assert (healthy, b"GET /ping HTTP/1.1\r\n") == (found, requests[0][:20])


def test_nobody_there_is_unhealthy() -> None:
    """
    Without an exception.
    """
    assert not healthcheck.answers("localhost", free_port())


EVERY = "0.0.0.0"  # noqa: S104  # compared with, not bound to


@pytest.mark.parametrize("variables", [{}, {"HOST": EVERY}, {"HOST": "::"}, {"HOST": "localhost"}])
@pytest.mark.parametrize("name", ["PORT", "SAGEMAKER_BIND_TO_PORT"])
def test_the_program_asks_where_the_server_listens(variables: dict[str, str], name: str) -> None:
    """
    An address of all interfaces is asked on loopback.
    """
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        done = subprocess.run(
            [sys.executable, "-I", Path(healthcheck.__file__)], env={**variables, name: str(port)}, check=False
        )

    assert 0 == done.returncode
