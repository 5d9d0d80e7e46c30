"""Checks that the server in this container answers `/ping`: `python -I healthcheck.py`, exit status 0 or 1."""

import os
import socket
import sys

SECONDS = 4
WILDCARDS = {"", "0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


def answers(host: str, port: int) -> bool:
    """Whether `GET /ping` returns status 200; uses a socket, because importing an HTTP client takes longer."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with connection.makefile("rb") as response:
                return response.readline().split()[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    host = os.environ.get("HOST", "")
    port = os.environ.get("PORT") or os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    sys.exit(0 if answers("localhost" if host in WILDCARDS else host, int(port)) else 1)
