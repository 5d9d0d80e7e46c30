"""Wraps MLflow's scoring app: correct status codes for bad input, HEAD, explicit media types, and streams."""

import json
import traceback
from collections.abc import Generator, Sequence
from http import HTTPStatus
from importlib import util
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from ..transport.asgi import Asgi, Message, Receive, Send, error_body, header, respond, respond_error
from ..transport.events import respond_with_events
from ..transport.limits import replaying

# Functions of MLflow's scoring server that read the request. An error raised below one of them is a client error.
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
# pandas needs one of these to read Parquet, and depends on neither.
PARQUET_READERS = ("pyarrow", "fastparquet")
WITHOUT_TYPE = "The request has no Content-Type. Use one of {}."
WITHOUT_READER = (
    "This server cannot read Parquet: {} is not installed, because `serving: slim` leaves it out. Send one of {},"
    " or add it to the project's dependencies."
)
COMPRESSED = "Content-Encoding {} is not supported. Send the request body uncompressed."
# Every chat model and agent inherits predict_stream from this module, where it only raises NotImplementedError.
INHERITED = "mlflow.pyfunc.model"
FAILED = "Internal server error; the server's log has the traceback."


def scoring(app: Any) -> Asgi:
    """Wrap MLflow's app: check the media type of `/invocations` and translate uncaught errors to JSON."""
    app.add_exception_handler(Exception, error_response)
    types = media_types()

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/invocations" and scope["method"] == "POST":
            if problem := media_type_problem(header(scope, b"content-type"), types):
                await respond_error(scope, send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
                return
            # Starlette answers by `error_response` and raises all the same; client errors do not belong in the log.
            try:
                await app(scope, receive, send)
            except Exception as error:  # noqa: BLE001 - a model's code may raise anything
                if not is_client_error(error):
                    traceback.print_exc()
            return
        await app(scope, receive, send)

    return handle


def media_types() -> "tuple[str, ...]":
    """The accepted media types: those that this MLflow supports and the installed packages can read."""
    known = ("application/json", "text/csv", *((PARQUET,) if hasattr(scoring_server, "parse_parquet_input") else ()))
    return tuple(item for item in known if item != PARQUET or any(util.find_spec(reader) for reader in PARQUET_READERS))


def media_type_problem(content_type: "str | None", types: "Sequence[str]") -> str:
    """An error for a Content-Type that MLflow would misinterpret or fail with; empty for a valid one."""
    if not content_type:
        return WITHOUT_TYPE.format(", ".join(types))
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == PARQUET and PARQUET not in types and hasattr(scoring_server, "parse_parquet_input"):
        return WITHOUT_READER.format(PARQUET_READERS[0], ", ".join(types))
    return ""


def error_response(request: Any, error: Exception) -> Any:
    """A JSON response without a traceback for an error that MLflow's app does not handle."""
    from starlette.responses import Response  # noqa: PLC0415 - only an MLflow that needs it brings it along

    status = HTTPStatus.BAD_REQUEST if is_client_error(error) else HTTPStatus.INTERNAL_SERVER_ERROR
    sentence = f"The input cannot be read: {type(error).__name__}: {error}" if is_client_error(error) else FAILED
    body = error_body(request.scope, status, sentence)
    return Response(body, status_code=status, media_type="application/json")


def is_client_error(error: BaseException) -> bool:
    """Whether an error was raised while the request was read."""
    return not READING.isdisjoint(frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))


def streaming(app: Asgi, model: Any) -> Asgi:
    """Answer a request with `"stream": true` by the events of the model's own predict_stream, if it has one."""
    if not has_stream(model):
        return app

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/invocations" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body = (await receive())["body"]
        media_type = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        request = stream_request(body) if media_type == "application/json" else None
        if request is None:
            await app(scope, replaying(body, receive), send)
            return
        error = await respond_with_events(lambda: chunks(model, request), receive, send)
        if isinstance(error, MlflowException):
            await respond(send, error.get_http_status_code(), error.serialize_as_json().encode())
        elif error is not None:
            traceback.print_exception(error)
            sentence = f"The stream failed: {type(error).__name__}: {error}"
            await respond_error(scope, send, HTTPStatus.BAD_REQUEST, sentence)

    return handle


def has_stream(model: Any) -> bool:
    """Whether MLflow can stream the model, and its predict_stream is its own. log-model decides in the same way."""
    if getattr(model, "_predict_stream_fn", None) is None or not hasattr(scoring_server, "_parse_json_data"):
        return False
    implementation = model._model_impl  # noqa: SLF001 - MLflow marks every chat model and agent as streamable
    raw = getattr(implementation, "get_raw_model", lambda: getattr(implementation, "python_model", implementation))()
    return getattr(getattr(type(raw), "predict_stream", None), "__module__", "") != INHERITED


def stream_request(body: bytes) -> "dict[str, Any] | None":
    """The request without `stream`, if the body is an object whose member `stream` is true."""
    if b'"stream"' not in body:
        return None
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return request if type(request) is dict and request.pop("stream", None) is True else None


def chunks(model: Any, request: "dict[str, Any]") -> "Generator[str, None, None]":
    """The chunks as JSON texts. What the model returns is closed with this generator, which has the only reference."""
    parsed = scoring_server._parse_json_data(  # noqa: SLF001 - no public function reads a request
        json.dumps(request), model.metadata, model.metadata.get_input_schema()
    )
    for chunk in model.predict_stream(parsed.data, params=parsed.params):
        jsonable = scoring_server._get_jsonable_obj(chunk, pandas_orient="records")  # noqa: SLF001 - as above
        yield json.dumps(jsonable, cls=scoring_server.NumpyEncoder)


def normalized(app: Asgi) -> Asgi:
    """Answer HEAD as GET without a body, and reject compressed bodies, which neither application decodes."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await app({**scope, "method": "GET"}, receive, without_body(send))
        elif (header(scope, b"content-encoding") or "identity").lower() != "identity":
            sentence = COMPRESSED.format(header(scope, b"content-encoding"))
            await respond_error(scope, send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence)
        else:
            await app(scope, receive, send)

    return handle


def without_body(send: Send) -> Send:
    """A `send` that drops the body of a response."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return forward
