"""Sends HTTP requests to a model server on loopback, without proxy or redirects, one connection a request."""

import http.client
from dataclasses import dataclass

LIMIT = 256 << 20  # bytes of a response that are read: the server may be malicious


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRequest:
    """A request with a JSON body; `timeout_s` is the timeout of each read of the response."""

    method: str
    path: str
    body: bytes | None = None
    timeout_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelReply:
    """An HTTP status and body."""

    status: int
    body: str


def send(request: ModelRequest, *, port: int) -> ModelReply | None:
    """The response from a port on loopback; None if there is none within the timeout."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=request.timeout_s)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(request.method, request.path, body=request.body, headers=headers)
        response = connection.getresponse()
        content = response.read(LIMIT)
        if response.length and len(content) < LIMIT:  # `read` returns what came before the server closed the connection
            return None
        return ModelReply(status=response.status, body=content.decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
