"""
Answers a request for `/invocations` with `"stream": true` by the chunks of the model's predict_stream.

MLflow's scoring server has no streams. This is the protocol of MLflow's agent server (mlflow.genai.agent_server):
`stream` is taken out of the request, each chunk is a server-sent event `data: JSON`, an error after the first chunk is
a last chunk `{"error": MESSAGE}`, and `data: [DONE]` ends the response. An error before the first chunk is a response
with status 400, as for a whole prediction.
"""

import asyncio
import json
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from http import HTTPStatus
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from ..transport.asgi import Asgi, Message, Receive, Send, header, respond, respond_error
from ..transport.limits import replaying

STREAM = "stream"
JSON = "application/json"
EVENTS = b"text/event-stream"
DONE = b"data: [DONE]\n\n"
# Every chat model and agent inherits predict_stream from this module, where it only raises NotImplementedError.
INHERITED = "mlflow.pyfunc.model"
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", EVENTS), (b"cache-control", b"no-cache")],
}


class Stopped(Exception):
    """The client disconnected, or the request took longer than its limit."""


def has_stream(model: Any) -> bool:
    """Whether MLflow can stream the model, and its predict_stream is its own."""
    if getattr(model, "_predict_stream_fn", None) is None or not hasattr(scoring_server, "_parse_json_data"):
        return False
    implementation = model._model_impl  # noqa: SLF001 - MLflow marks every chat model and agent as streamable
    raw = getattr(implementation, "get_raw_model", lambda: getattr(implementation, "python_model", implementation))()
    return getattr(getattr(type(raw), "predict_stream", None), "__module__", "") != INHERITED


def streaming(app: Asgi, model: Any) -> Asgi:
    """Wrap the application of `/invocations`; requests without `stream`, and models without streams, are left to it."""
    if not has_stream(model):
        return app

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/invocations" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body = (await receive())["body"]
        request = stream_request(body) if media_type(scope) == JSON else None
        if request is None:
            await app(scope, replaying(body, receive), send)
        else:
            await stream(model, request, (scope, receive, send))

    return handle


def media_type(scope: Message) -> str:
    """The media type of the body without parameters, empty if the request has none."""
    return (header(scope, b"content-type") or "").partition(";")[0].strip().lower()


def stream_request(body: bytes) -> "dict[str, Any] | None":
    """The request without `stream`, if the body is an object whose member `stream` is true."""
    if b'"stream"' not in body:
        return None
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if type(request) is not dict or request.pop(STREAM, None) is not True:
        return None
    return request


async def stream(model: Any, request: "dict[str, Any]", connection: "tuple[Message, Receive, Send]") -> None:
    """Send the stream, or the error before its first chunk; ends as soon as the client disconnects."""
    scope, receive, send = connection
    loop = asyncio.get_running_loop()
    stopped = threading.Event()

    def forward(message: Message) -> None:
        """Send a message from the thread of the model, and wait until the connection has taken it."""
        if stopped.is_set():
            raise Stopped
        asyncio.run_coroutine_threadsafe(_send(send, message), loop).result()

    # One thread for the whole stream: what a generator sets for its thread, it resets in the same one.
    work = loop.run_in_executor(None, produce, model, request, forward)
    gone = asyncio.ensure_future(disconnected(receive))
    waited: set[asyncio.Future[Any]] = {work, gone}
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if work.done() and (error := work.result()) is not None:
            await respond_to(error, scope, send)
    finally:
        stopped.set()
        gone.cancel()


async def _send(send: Send, message: Message) -> None:
    await send(message)


async def disconnected(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


def produce(model: Any, request: "dict[str, Any]", forward: Callable[[Message], None]) -> "Exception | None":
    """Forward the messages of the response; returns an error before the first chunk, of which nothing was forwarded."""
    begun = False
    ending = [part(None)]
    try:
        with closing(chunks(model, request)) as texts:
            for chunk in texts:
                if not begun:
                    forward(START)
                    begun = True
                forward(part(chunk))
    except Stopped:
        return None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model's code may raise anything
        traceback.print_exc()
        if not begun:
            return error if isinstance(error, Exception) else RuntimeError(f"SystemExit: {error}")
        ending.insert(0, part(json.dumps({"error": str(error)})))
    if not begun:  # a stream without chunks
        ending.insert(0, START)
    with suppress(Stopped):
        for message in ending:
            forward(message)
    return None


def chunks(model: Any, request: "dict[str, Any]") -> "Generator[str, None, None]":
    """The chunks as JSON texts; closing this generator closes that of the model."""
    parsed = scoring_server._parse_json_data(  # noqa: SLF001 - no public function reads a request
        json.dumps(request), model.metadata, model.metadata.get_input_schema()
    )
    with closing(model.predict_stream(parsed.data, params=parsed.params)) as generated:
        for chunk in generated:
            jsonable = scoring_server._get_jsonable_obj(chunk, pandas_orient="records")  # noqa: SLF001 - as above
            yield json.dumps(jsonable, cls=scoring_server.NumpyEncoder)


def part(text: "str | None") -> Message:
    """The message with the event of a chunk; None ends the response."""
    body = DONE if text is None else f"data: {text}\n\n".encode()
    return {"type": "http.response.body", "body": body, "more_body": text is not None}


async def respond_to(error: Exception, scope: Message, send: Send) -> None:
    """Respond to an error before the first chunk: MLflow's own with its status, any other with 400."""
    if isinstance(error, MlflowException):
        await respond(send, error.get_http_status_code(), error.serialize_as_json().encode())
    else:
        sentence = f"The stream failed: {type(error).__name__}: {error}"
        await respond_error(scope, send, HTTPStatus.BAD_REQUEST, sentence)
