"""The responses that the server writes itself have the form of the protocol of their path."""

import asyncio
import json
from http import HTTPStatus

import pytest

from mlflow_uv.serving.transport.asgi import Message, error_body, header, respond, respond_error


def sent_by(answer) -> list[Message]:
    """The messages of an answer, which gets a `send`."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(answer(send))
    return sent


@pytest.mark.parametrize(("name", "value"), [(b"a", "1"), (b"b", "ü 2"), (b"c", None)])
def test_a_header_is_its_first_value(name: bytes, value: str | None) -> None:
    """
    Without the space around it, in Latin-1.
    """
    scope: Message = {"headers": [(b"a", b" 1 "), (b"a", b"9"), (b"b", b"\xfc 2")]}

    assert value == header(scope, name)


def test_a_response_has_its_type_its_length_and_more_headers() -> None:
    """
    The length is that of its bytes.
    """
    body = "ü".encode()

    sent = sent_by(lambda send: respond(send, 201, body, media_type="text/plain", headers=((b"allow", b"GET"),)))

    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2"), (b"allow", b"GET")]
    assert [
        {"type": "http.response.start", "status": 201, "headers": headers},
        {"type": "http.response.body", "body": body},
    ] == sent


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/invocations", HTTPStatus.BAD_REQUEST, {"error_code": "BAD_REQUEST", "message": "Why."}),
        ("/nowhere", HTTPStatus.NOT_FOUND, {"error_code": "ENDPOINT_NOT_FOUND", "message": "Why."}),
        ("/invocations", HTTPStatus.GATEWAY_TIMEOUT, {"error_code": "DEADLINE_EXCEEDED", "message": "Why."}),
        ("/invocations", HTTPStatus.INTERNAL_SERVER_ERROR, {"error_code": "INTERNAL_ERROR", "message": "Why."}),
        ("/v2/models/wine/infer", HTTPStatus.NOT_FOUND, {"error": "Why."}),
    ],
)
def test_an_error_has_the_form_of_its_protocol(path: str, status: HTTPStatus, body: dict[str, str]) -> None:
    """
    That of MLflow, or of V2.
    """
    start, content = sent_by(lambda send: respond_error({"path": path}, send, status, "Why."))

    assert (status.value, body) == (start["status"], json.loads(content["body"]))
    assert content["body"] == error_body({"path": path}, status, "Why.")
