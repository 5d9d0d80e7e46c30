"""Refuses a request whose head is too long, or whose end can be read in two ways: that hides one request in another."""

from http import HTTPStatus

from .asgi import Asgi, Message, Receive, Send
from .limits import refuse

LONGEST_HEAD = 65_536  # bytes
BOTH = "The request has a Content-Length and a Transfer-Encoding; it may have one of them."
OLD = "The request is HTTP/1.0, which has no Transfer-Encoding."
SEVERAL = "The request has several values of Content-Length."
LONG = f"The head of the request is longer than {LONGEST_HEAD} bytes."
UNKNOWN = "This server speaks HTTP/1.1."
LENGTH, ENCODING = b"content-length", b"transfer-encoding"


def fault(scope: Message) -> "tuple[HTTPStatus, str] | None":
    """What is wrong with the head of a request (RFC 9112, 2.3, 6.1 and 6.3), None where nothing is."""
    lengths, encodings = (
        {value for name, value in scope["headers"] if name == wanted} for wanted in (LENGTH, ENCODING)
    )
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


def unambiguous(app: Asgi) -> Asgi:
    """Answer such a request and close its connection: what follows on it may be anything."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        found = fault(scope) if scope["type"] == "http" else None
        if found is None:
            await app(scope, receive, send)
        else:
            await refuse(scope, receive, send, *found)

    return handle
