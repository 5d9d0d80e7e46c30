"""MLflow's own scoring app, with the fault where it is, the same answer to HEAD, and nothing guessed about a body."""

import traceback
from collections.abc import Sequence
from http import HTTPStatus
from importlib import util
from typing import Any

from mlflow.pyfunc import scoring_server

from .asgi import Asgi, Message, Receive, Send, complain, complaint, header

# Functions of MLflow's scoring server that read the request. What goes wrong below one of them is wrong with the input.
READING = frozenset(
    {
        "_decode_json_input",
        "_parse_json_data",
        "_split_data_and_params",
        "_split_data_and_params_for_llm_input",
        "infer_and_parse_data",
        "parse_csv_input",
        "parse_parquet_input",
    }
)
PARQUET = "application/vnd.apache.parquet"
# Of these, pandas needs one to read Parquet; it asks for neither when it is installed.
PARQUET_READERS = ("pyarrow", "fastparquet")
WITHOUT_TYPE = "The request has no Content-Type. Say what its body is: one of {}."
WITHOUT_READER = (
    "This server cannot read Parquet: {} is not among its packages, as `serving: slim` leaves it out. Send one of {},"
    " or add it to the project's dependencies."
)
COMPRESSED = "The body is compressed ({}), which this server does not read. Send it as it is, without Content-Encoding."
FAILED = "The server failed to answer; its log says why."


def scoring(app: Any) -> Asgi:
    """MLflow's app behind our door."""
    app.add_exception_handler(Exception, answering)
    types = media_types()

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/invocations" and scope["method"] == "POST":
            if wrong := unreadable(header(scope, b"content-type"), types):
                await complain(scope, send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, wrong)
                return
            # It answers by `answering` and raises all the same, for a log that would hold what clients send wrongly.
            try:
                await app(scope, receive, send)
            except Exception as error:  # noqa: BLE001 - a model's code may raise anything
                if not misread(error):
                    traceback.print_exc()
            return
        await app(scope, receive, send)

    return handle


def media_types() -> "tuple[str, ...]":
    """What the body of a request may be: what this MLflow knows and these packages can read."""
    known = ("application/json", "text/csv", *((PARQUET,) if hasattr(scoring_server, "parse_parquet_input") else ()))
    return tuple(one for one in known if one != PARQUET or any(util.find_spec(reader) for reader in PARQUET_READERS))


def unreadable(said: "str | None", types: "Sequence[str]") -> str:
    """What is wrong with a Content-Type that MLflow would take for something else, or fail with; mostly nothing."""
    if not said:
        return WITHOUT_TYPE.format(", ".join(types))
    asked = said.partition(";")[0].strip().lower()
    if asked == PARQUET and PARQUET not in types and hasattr(scoring_server, "parse_parquet_input"):
        return WITHOUT_READER.format(PARQUET_READERS[0], ", ".join(types))
    return ""


def answering(request: Any, error: Exception) -> Any:
    """Let what MLflow's app does not catch be answered in JSON and without a traceback."""
    from starlette.responses import Response  # noqa: PLC0415 - only an MLflow that needs it brings it along

    status = HTTPStatus.BAD_REQUEST if misread(error) else HTTPStatus.INTERNAL_SERVER_ERROR
    sentence = f"The input cannot be read: {type(error).__name__}: {error}" if misread(error) else FAILED
    body = complaint(request.scope, status, sentence)
    return Response(body, status_code=status, media_type="application/json")


def misread(error: BaseException) -> bool:
    """Whether an error came up while the request was being read."""
    return not READING.isdisjoint(frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))


def polite(app: Asgi) -> Asgi:
    """Answer HEAD as GET without a body, and refuse what is compressed, which nobody behind this reads."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await app({**scope, "method": "GET"}, receive, without_body(send))
        elif (header(scope, b"content-encoding") or "identity").lower() != "identity":
            said = COMPRESSED.format(header(scope, b"content-encoding"))
            await complain(scope, send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, said)
        else:
            await app(scope, receive, send)

    return handle


def without_body(send: Send) -> Send:
    """The head of a response alone."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return forward
