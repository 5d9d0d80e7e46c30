"""What is sent by the client inside a container, and what of the answer arrives."""

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mlflow_uv.tools.engines.containers import CLIENT
from tests.ports import free_port

EVERY_BYTE = bytes(range(256))


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Status 418, and the body as it came."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.path} {self.headers['Content-Type']} ".encode()
        self.send_response(418)
        self.send_header("Content-Length", str(len(answer + body)))
        self.end_headers()
        self.wfile.write(answer + body)

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def echo() -> Iterator[int]:
    """The port of a server on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ask(port: int, **words: Any) -> Any:
    """What the client writes about one request."""
    (reply,) = ask_all(port, words)
    return reply


def ask_all(port: int, *requests: dict[str, Any]) -> list[Any]:
    """What the client writes, a line for each response, started as it is in a container."""
    body = base64.b64encode(EVERY_BYTE).decode()
    request = {"port": port, "method": "POST", "path": "/invocations", "body": body, "timeout_s": 30, "limit": 1 << 20}
    argv = (sys.executable, "-I", "-S", "-c", CLIENT.read_text())
    text = json.dumps([{**request, **words} for words in requests])
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True, env={})
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_byte_arrives_and_comes_back() -> None:
    """
    Neither the request nor the answer is changed on its way, and the status is the server's.
    """
    with echo() as port:
        reply = ask(port)

    assert 418 == reply["status"]
    assert b"/invocations application/json " + EVERY_BYTE == base64.b64decode(reply["body"])


def test_a_body_has_the_media_type_that_it_is_sent_with() -> None:
    """
    CSV is another than JSON.
    """
    with echo() as port:
        reply = ask(port, content_type="text/csv")

    assert base64.b64decode(reply["body"]).startswith(b"/invocations text/csv ")


def test_an_answer_without_end_is_cut() -> None:
    """
    No more of an answer is read than the caller has room for.
    """
    with echo() as port:
        reply = ask(port, limit=12)

    assert b"/invocations" == base64.b64decode(reply["body"])


@pytest.mark.parametrize("listening", [False, True], ids=["nobody listens", "nobody answers"])
def test_no_answer_is_null(*, listening: bool) -> None:
    """
    Where nobody answers in time the client says so and ends well.
    """
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listening:
            silent.listen()
        reply = ask(silent.getsockname()[1], timeout_s=0.2)

    assert reply is None


def test_requests_are_sent_in_turn_until_one_gets_no_response() -> None:
    """
    Whoever hangs once holds up nobody for the others.
    """
    with echo() as port, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        nobody = {"port": silent.getsockname()[1], "timeout_s": 0.2}
        replies = ask_all(port, {"path": "/a"}, {"path": "/b"}, nobody, {"path": "/c"})

    assert [b"/a", b"/b"] == [base64.b64decode(reply["body"])[:2] for reply in replies[:2]]
    assert [None] == replies[2:]


def test_a_response_that_is_cut_off_is_none() -> None:
    """
    A server that dies while it responds has not answered.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def respond() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")

        threading.Thread(target=respond, daemon=True).start()
        reply = ask(listening.getsockname()[1], body=None)

    assert reply is None


class StartingServer(ThreadingHTTPServer):
    """Counts its requests."""

    asked = 0


class Starting(BaseHTTPRequestHandler):
    """Answers 503 to the first two requests, and 200 to the later ones."""

    server: StartingServer

    def do_GET(self) -> None:
        """The status, without a body."""
        self.server.asked += 1
        self.send_response(200 if self.server.asked > 2 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.mark.parametrize(("repeat_s", "asked", "status"), [(60.0, 3, 200), (0.0, 1, 503)])
def test_a_request_is_repeated_until_the_server_is_ready(repeat_s: float, asked: int, status: int) -> None:
    """
    By one client, which ends with the first 200; without that it is sent once.
    """
    with StartingServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        reply = ask(server.server_address[1], method="GET", body=None, repeat_s=repeat_s)
        server.shutdown()

    assert (asked, status) == (server.asked, reply["status"])


def test_a_port_that_nobody_listens_on_is_given_up() -> None:
    """
    After the seconds in which the request is repeated.
    """
    assert ask(free_port(), method="GET", body=None, repeat_s=0.1) is None
