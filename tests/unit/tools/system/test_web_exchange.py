"""One exchange with a server, where the body comes from a file or goes to one."""

import time
from pathlib import Path

import pytest

from mlflow_uv.tools.system.web import WebRequest, WebUnreachable
from mlflow_uv.tools.system.web_exchange import WebExchange
from tests.endpoints import EndpointReply, fake_endpoint


def test_a_body_is_written_to_the_file_that_is_named(tmp_path: Path) -> None:
    """
    The reply has the status and the headers, with lower-case names, and no body.
    """
    target = tmp_path / "body"
    with fake_endpoint(lambda _: EndpointReply(headers={"X-Name": "a"}, stream=iter([b"12", b"3"]))) as endpoint:
        request = WebRequest(url=endpoint.url, target=target)

        reply = WebExchange({}).once(endpoint.url, request, {}, until=0.0, timeout_s=10.0)

    assert (200, b"", b"123", "a") == (reply.status, reply.body, target.read_bytes(), reply.headers["x-name"])


def test_a_body_must_be_complete_in_time() -> None:
    """
    The time is that of the caller, who may have used some of it for an earlier redirect.
    """
    now = time.monotonic()
    with fake_endpoint(lambda _: EndpointReply(stream=iter([b"1", b"2"]))) as endpoint:
        exchange, request = WebExchange({}), WebRequest(url=endpoint.url)

        reply = exchange.once(endpoint.url, request, {}, until=now + 60, timeout_s=10.0)
        with pytest.raises(WebUnreachable) as caught:
            exchange.once(endpoint.url, request, {}, until=now - 1, timeout_s=10.0)

    assert (b"12", True) == (reply.body, caught.value.slow)
