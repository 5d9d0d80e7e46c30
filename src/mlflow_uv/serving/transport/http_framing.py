"""Rejects requests with an overlong head or ambiguous message framing, which allows request smuggling (RFC 9112)."""

from http import HTTPStatus

from .asgi import Asgi, Message, Receive, Send
from .limits import refuse

LONGEST_HEAD = 65_536  # bytes
BOTH = "The request has both Content-Length and Transfer-Encoding; only one of them is allowed."
OLD = "The request has a Transfer-Encoding, which HTTP/1.0 does not support."
SEVERAL = "The request has more than one value of Content-Length."
LONG = f"The request head is longer than {LONGEST_HEAD} bytes."
UNKNOWN = "The HTTP version is not supported; use HTTP/1.1."
LENGTH, ENCODING = b"content-length", b"transfer-encoding"


def fault(scope: Message) -> "tuple[HTTPStatus, str] | None":
    """Status and message for a request head that RFC 9112 (2.3, 6.1, 6.3) forbids; None for a valid one."""
    lengths, encodings = ({value for name, value in scope["headers"] if name == field} for field in (LENGTH, ENCODING))
    if scope["http_version"] not in {"1.0", "1.1"}:
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, UNKNOWN
    if lengths and encodings:
        return HTTPStatus.BAD_REQUEST, BOTH
    if len(lengths) > 1:
        return HTTPStatus.BAD_REQUEST, SEVERAL
    if encodings and scope["http_version"] == "1.0":
        return HTTPStatus.BAD_REQUEST, OLD
    line = len(scope["raw_path"]) + len(scope["query_string"])
    if line + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > LONGEST_HEAD:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, LONG
    return None


def reject_ambiguous(app: Asgi) -> Asgi:
    """Answer such a request with an error and close its connection: what follows on it cannot be parsed reliably."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        violation = fault(scope) if scope["type"] == "http" else None
        if violation is None:
            await app(scope, receive, send)
        else:
            await refuse(scope, receive, send, *violation)

    return handle
