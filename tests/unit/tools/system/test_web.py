"""How one request is sent to any server, and what a hostile one cannot do."""

import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.security.origins import is_loopback
from mlflow_uv.tools.system.disk_errors import AGAIN
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest, WebUnreachable
from tests.endpoints import EndpointReply, certified, fake_endpoint
from tests.waiting import CEILING_S

SECRET = {"Authorization": "Bearer ca-na-ry"}


def posted(url: str, *, timeout_s: float = 60.0, limit: int = 1000, **variables: str) -> WebReply:
    """The response to a small body."""
    request = WebRequest(url=url, form=b"{}", secret=SECRET, limit=limit)
    return Web(variables).post(request, timeout_s=timeout_s)


def test_a_redirect_is_returned_and_its_target_gets_nothing() -> None:
    """
    Neither on another host nor on the same one.
    """
    with fake_endpoint(lambda _: EndpointReply()) as other:
        target = f"http://localhost:{other.port}/invocations"
        with fake_endpoint(lambda _: EndpointReply(status=307, headers={"Location": target})) as endpoint:
            reply = posted(endpoint.url)

    assert (307, target, []) == (reply.status, reply.headers["location"], other.requests)


def test_a_body_without_an_end_is_not_read_on() -> None:
    """
    Nothing beyond the limit is kept, and no later attempt reads it again.
    """
    with (
        fake_endpoint(lambda _: EndpointReply(stream=itertools.repeat(b"x" * 500))) as endpoint,
        pytest.raises(WebUnreachable, match="larger than") as caught,
    ):
        posted(endpoint.url)

    assert caught.value.permanent


def test_a_server_that_sends_a_byte_at_a_time_is_given_up() -> None:
    """
    The time limit is for the whole response, not for each piece.
    """

    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b"x"

    with (
        fake_endpoint(lambda _: EndpointReply(stream=drip())) as endpoint,
        pytest.raises(WebUnreachable) as raised,
    ):
        posted(endpoint.url, timeout_s=0.3, limit=1 << 20)

    assert raised.value.slow


def test_https_needs_a_certificate_that_the_caller_trusts(tmp_path: Path) -> None:
    """
    One of a company's own CA is trusted where SSL_CERT_FILE names it.
    """
    context, authority = certified(tmp_path / "keys")
    with fake_endpoint(lambda _: EndpointReply(), context=context) as endpoint:
        with pytest.raises(WebUnreachable, match="CERTIFICATE_VERIFY_FAILED") as raised:
            posted(endpoint.url)
        reply = posted(endpoint.url, SSL_CERT_FILE=str(authority))

    assert (True, 200) == (raised.value.permanent, reply.status)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("127.0.0.1.example", False)],
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    """
    A name that begins like its address is another machine.
    """
    assert expected == is_loopback(host)


def test_an_error_whose_body_breaks_off_is_no_response() -> None:
    """
    Neither is one that announces chunks and sends others; a length that is no number is not used.
    """
    broken = EndpointReply(status=500, headers={"Transfer-Encoding": "chunked"}, stream=iter([b"zz\r\n"]))
    with fake_endpoint(lambda _: broken) as endpoint, pytest.raises(WebUnreachable):
        posted(endpoint.url)
    endless = EndpointReply(headers={"Content-Length": "9" * 5000}, stream=iter([b"{}"]))
    with fake_endpoint(lambda _: endless) as endpoint:
        reply = posted(endpoint.url)

    assert b"{}" == reply.body


def get(url: str, method: str = "GET", *, whole_s: float = 60.0) -> WebReply:
    """The response to a request without a body."""
    return Web({}, whole_s=whole_s).send(WebRequest(url=url, method=method, secret=SECRET))


@pytest.mark.parametrize(
    "url", ["http://[bad/x", "https://x.test:99999/", "http://127.0.0.1:9x/", "https://x\u2100.test/"]
)
def test_an_address_that_is_none_is_refused_without_its_text(url: str) -> None:
    """
    It comes from a lock or a variable; the text may hold a password.
    """
    with pytest.raises(WebUnreachable, match=r"^its address is not a valid URL$") as sent:
        get(url)
    with pytest.raises(WebUnreachable, match=r"^its address is not a valid URL$"):
        posted(url)

    assert sent.value.permanent


def test_a_redirect_to_no_address_is_refused() -> None:
    """
    A server names it.
    """
    rule = EndpointReply(status=302, headers={"Location": "http://[bad/x"})
    with (
        fake_endpoint(lambda _: rule) as endpoint,
        pytest.raises(WebUnreachable, match="its address is not a valid URL"),
    ):
        get(endpoint.url)


def test_a_deletion_is_not_redirected_to_another_server() -> None:
    """
    What another server answers says nothing about what was to be deleted; a request that only reads is sent there.
    """
    with fake_endpoint(lambda _: EndpointReply()) as other:
        away = EndpointReply(status=307, headers={"Location": other.url})
        with fake_endpoint(lambda _: away) as endpoint:
            statuses = [get(endpoint.url, method).status for method in ("DELETE", "GET")]

    assert ([307, 200], ["GET"]) == (statuses, [request.method for request in other.requests])


@pytest.mark.parametrize("in_headers", [True, False])
def test_a_request_ends_in_time_however_slowly_bytes_arrive(*, in_headers: bool) -> None:
    """
    Each byte of the headers and of the body is in time alone, and all of them are not.
    """

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"" if in_headers else b"Content-Length: 60000\r\n\r\n"))
            while True:
                time.sleep(0.02)
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: drip(server.accept()[0]), daemon=True).start()
        started = time.monotonic()
        with pytest.raises(WebUnreachable) as raised:
            get(f"http://127.0.0.1:{server.getsockname()[1]}/", whole_s=0.3)

    assert (True, True) == (raised.value.slow, time.monotonic() - started < CEILING_S)


STALLED = """
import signal, sys
from pathlib import Path
from mlflow_uv.surfaces.cli import cancellable
from mlflow_uv.tools.system.threads import side_by_side
from mlflow_uv.tools.system.web import Web, WebRequest
web, file = Web({}, whole_s=1e6, timeout_s=1e6), Path(sys.argv[2])
requests = {
    "get": WebRequest(url=sys.argv[1]),
    "download": WebRequest(url=sys.argv[1], target=file),
    "upload": WebRequest(url=sys.argv[1], method="PUT", upload=Path(sys.executable)),
}
tasks = [lambda: web.send(requests[sys.argv[3]])] * int(sys.argv[4])
sys.exit(cancellable(lambda: side_by_side(tasks, at_once=4, cancel=lambda: None)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("tasks", [1, 2], ids=["here", "in threads"])
@pytest.mark.parametrize("kind", ["get", "download", "upload"])
def test_a_server_that_never_answers_does_not_delay_a_cancel(
    tmp_path: Path, kind: str, tasks: int, number: signal.Signals
) -> None:
    """
    It takes the connections, and the limits of time are longer than this test waits.
    """
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        argv = (sys.executable, "-c", STALLED, url, str(tmp_path / "file"), kind, str(tasks))
        process = stack.enter_context(subprocess.Popen(argv, stderr=subprocess.PIPE))
        stack.callback(process.kill)
        for _ in range(tasks):
            connection = stack.enter_context(server.accept()[0])
            assert connection.recv(1)  # a request is on its way
        process.send_signal(number)
        _, errors = process.communicate(timeout=CEILING_S)

    assert ({signal.SIGINT: 130, signal.SIGTERM: 143}[number], b"cancelled\n") == (process.returncode, errors)


def test_a_file_that_somebody_removed_is_no_fault_of_the_server(tmp_path: Path) -> None:
    """
    An archive in a cache; it is sent once it is there again.
    """
    with fake_endpoint(lambda _: EndpointReply(status=201)) as endpoint:
        request = WebRequest(url=endpoint.url, method="POST", upload=tmp_path / "archive")
        with pytest.raises(ToolFailed) as raised:
            Web({}).send(request)
        (tmp_path / "archive").write_bytes(b"content")
        reply = Web({}).send(request)

    assert (f"`{tmp_path / 'archive'}` cannot be sent", AGAIN) == (raised.value.what, raised.value.fix)
    assert (201, [b"content"]) == (reply.status, [each.body for each in endpoint.requests])
