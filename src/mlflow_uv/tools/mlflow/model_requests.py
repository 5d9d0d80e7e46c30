"""Sends HTTP requests to a model server on loopback, without proxy or redirects, one connection a request."""

from dataclasses import dataclass

LIMIT = 256 << 20  # bytes of an answer that are read: who answers may mean harm


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRequest:
    """What is sent; the body, JSON as it stands. `timeout_s` is how long each part of the answer may take."""

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
    """The answer of a port of loopback; None where nobody answers in time."""
    import http.client  # noqa: PLC0415  # 30 ms that a hook must not pay

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=request.timeout_s)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(request.method, request.path, body=request.body, headers=headers)
        response = connection.getresponse()
        return ModelReply(status=response.status, body=response.read(LIMIT).decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
