"""
Answer `/invocations` for one model, around MLflow's own scoring app.

`python -I server.py`, steered by environment variables: MLFLOW_UV_MODEL (the model's folder), HOST, PORT, WORKERS.
What is added to MLflow's app: the process ends at once if the model cannot be loaded, nothing listens before it is,
HEAD is answered where GET is, a request without Content-Type is JSON, a malformed one is the client's mistake, and
SIGTERM lets requests in flight finish.
"""

import multiprocessing
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

# Before mlflow is imported: an image has no home that can be written to, and nobody to report to.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
if not os.access(os.environ.get("HOME", "/"), os.W_OK):
    os.environ["HOME"] = "/tmp"  # noqa: S108 - the one folder that a read-only container can write to

MODEL = os.environ.get("MLFLOW_UV_MODEL", "/opt/model")
HOST = os.environ.get("HOST", "0.0.0.0")  # noqa: S104 - a container is reached from outside
PORT = int(os.environ.get("PORT", "8080"))
WORKERS = int(os.environ.get("WORKERS", "1"))

CANNOT_LOAD = 3
BODYLESS = ("/ping", "/health", "/version")
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

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def main() -> int:
    """Serve until told to stop; 0 after that, another number if it could not."""
    # As a container's first process we would not be ended by a signal that nobody handles.
    signal.signal(signal.SIGTERM, stop)
    listener = bind(HOST, PORT)
    if WORKERS == 1:
        serve(listener)
        return 0
    return supervise(listener, WORKERS)


def stop(_number: int, _frame: FrameType | None) -> None:
    """End in order, from wherever we are."""
    raise SystemExit(0)


def bind(host: str, port: int) -> socket.socket:
    """Take the address without listening on it yet: connections are refused until a model is there to answer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener


def serve(listener: socket.socket) -> None:
    """Load the model, then answer on the socket with the app that the model's MLflow makes."""
    app = load_app(MODEL)
    if hasattr(app, "wsgi_app"):
        serve_wsgi(defaulting_to_json_wsgi(app), listener)
    else:
        serve_asgi(polite(with_json_errors(app)), listener)


def load_app(folder: str) -> Any:
    """MLflow's scoring app, or the end of the process with the reason in the last line."""
    try:
        from mlflow.pyfunc import scoring_server  # noqa: PLC0415 - a failure to import it is reported like the rest

        app = scoring_server.init(scoring_server.load_model_with_mlflow_config(folder))
    except Exception as error:  # a model's code may raise anything
        traceback.print_exc()
        sys.stderr.write(f"The model in {folder} cannot be served: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
        raise SystemExit(CANNOT_LOAD) from error
    return app


def serve_asgi(app: Asgi, listener: socket.socket) -> None:
    """MLflow 3: FastAPI under uvicorn, which lets requests in flight finish when it is told to stop."""
    import uvicorn  # noqa: PLC0415 - only an MLflow that needs it brings it along

    uvicorn.Server(uvicorn.Config(app, lifespan="on")).run(sockets=[listener])


def serve_wsgi(app: Wsgi, listener: socket.socket) -> None:
    """MLflow 2: Flask under gunicorn, in one worker that was forked after the model had been loaded."""
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415 - only an MLflow that needs it brings it along

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            self.cfg.set("bind", [f"fd://{listener.fileno()}"])
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", 8)
            self.cfg.set("timeout", int(os.environ.get("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "60")))
            self.cfg.set("graceful_timeout", 3600)
            self.cfg.set("worker_tmp_dir", "/dev/shm" if os.access("/dev/shm", os.W_OK) else None)  # noqa: S108

        def load(self) -> Wsgi:
            return app

    Application().run()


def with_json_errors(app: Any) -> Any:
    """Let what MLflow's app does not catch be answered in JSON and without a traceback, with the fault where it is."""
    from starlette.responses import JSONResponse  # noqa: PLC0415 - only an MLflow that needs it brings it along

    def answer(_request: Any, error: Exception) -> JSONResponse:
        frames = (frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))
        if READING.isdisjoint(frames):
            said = {"error_code": "INTERNAL_ERROR", "message": "The server failed to answer; its log says why."}
            return JSONResponse(said, status_code=HTTPStatus.INTERNAL_SERVER_ERROR)
        said = {"error_code": "BAD_REQUEST", "message": f"The input cannot be read: {type(error).__name__}: {error}"}
        return JSONResponse(said, status_code=HTTPStatus.BAD_REQUEST)

    app.add_exception_handler(Exception, answer)
    return app


def polite(app: Asgi) -> Asgi:
    """Answer HEAD where GET is answered, and take a request that does not say what it is for JSON."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["method"] == "HEAD" and scope["path"] in BODYLESS:
            await app({**scope, "method": "GET"}, receive, without_body(send))
        elif scope["method"] == "POST" and not any(name == b"content-type" for name, _ in scope["headers"]):
            await app({**scope, "headers": [*scope["headers"], (b"content-type", b"application/json")]}, receive, send)
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


def defaulting_to_json_wsgi(app: Wsgi) -> Wsgi:
    """The same for Flask, which answers HEAD by itself."""

    def handle(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST" and not environ.get("CONTENT_TYPE"):
            environ["CONTENT_TYPE"] = "application/json"
        return app(environ, start_response)

    return handle


def supervise(listener: socket.socket, workers: int) -> int:
    """Run several workers on one socket. When one ends, all end: whoever runs the container sees it and restarts."""
    spawning = multiprocessing.get_context("spawn")
    running = [spawning.Process(target=serve, args=(listener,)) for _ in range(workers)]
    try:
        for process in running:
            process.start()
        wait([process.sentinel for process in running])
        return next((process.exitcode for process in running if process.exitcode), 1)
    finally:
        for process in running:
            if process.is_alive():
                process.terminate()
        for process in running:
            process.join()


if __name__ == "__main__":
    sys.exit(main())
