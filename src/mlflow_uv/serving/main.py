"""Start a server for one model: `python -I FOLDER [serve]`. Its exit status: 0, 1 cut off, 2 refused, 3 cannot load."""

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from typing import Any

from . import loading, metrics, model_location, routing, settings, workers
from .listener import TURN, Listener
from .settings import Refused, Settings

REFUSED = 2


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop. `serve` is what SageMaker says."""
    # `-I` does not hear the variables that an image has for these.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.dont_write_bytecode |= bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    try:
        if list(arguments) not in ([], ["serve"]):
            raise Refused(f"This image serves a model, with no argument or with `serve`; it cannot {arguments[0]!r}.")
        said = settings.read(os.environ)
        if said.metrics:
            metrics.prepare(said)
        return run(said, bind(said.host, said.port))
    except Refused as error:
        return end(str(error), REFUSED)
    except (loading.CannotLoad, model_location.UnreadableModel) as error:
        return end(str(error), loading.CANNOT_LOAD)
    finally:
        if folder := os.environ.pop(metrics.FOLDER, None):
            shutil.rmtree(folder, ignore_errors=True)


def end(sentence: str, code: int) -> int:
    """The last line, and the status."""
    workers.say(sentence)
    return code


def bind(host: str, port: int) -> Listener:
    """Take the address without listening on it yet: connections are refused until a model is there to answer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # If the protocol is not named, asyncio leaves Nagle's algorithm on, and an answer in two parts waits for 40 ms.
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise Refused(f"HOST={host!r} with PORT={port} cannot be listened on: {error.strerror or error}.") from error
    return listener


def run(said: Settings, listener: Listener) -> int:
    """One worker serves in this process, several in forks of it. Raises CannotLoad."""
    variables = dict(os.environ)  # as they were told: a model's code may set some
    scoring_server = loading.import_mlflow()
    if said.workers == 1:
        with loading.ended_when_told():
            model = loading.load(scoring_server, said.model)
        return serve(scoring_server, model, said, listener)
    if not hasattr(os, "sched_getaffinity"):
        raise Refused(f"WORKERS={said.workers}: several workers need Linux, whose forks are safe.")
    listener.turn = TURN

    def load_and_serve() -> int:
        try:
            return serve(scoring_server, loading.load(scoring_server, said.model), said, listener)
        except loading.CannotLoad as error:
            return end(str(error), loading.CANNOT_LOAD)

    if said.apart:
        return workers.supervise(load_and_serve, said.workers, said.drain_timeout, listener)
    before = workers.held()
    model = loading.in_a_thread(lambda: loading.load(scoring_server, said.model))
    if more := workers.held_since(before):
        workers.say(f"Each worker loads the model by itself: a fork would not get along with what it holds, {more}.")
        os.execve(sys.executable, sys.orig_argv, {**variables, "MLFLOW_UV_APART": "1"})  # noqa: S606

    def serve_loaded() -> int:
        try:
            return serve(scoring_server, model, said, listener)
        except loading.CannotLoad as error:
            return end(str(error), loading.CANNOT_LOAD)

    return workers.supervise(serve_loaded, said.workers, said.drain_timeout, listener)


def serve(scoring_server: Any, model: Any, said: Settings, listener: Listener) -> int:
    """Answer on the socket with the app that the model's MLflow makes."""
    routing.restore_route()
    try:
        app = scoring_server.init(model)
    except Exception as error:  # noqa: BLE001 - packages of a lock that do not fit each other may raise anything
        loading.fail("MLflow cannot make its scoring app", error)
    if hasattr(app, "wsgi_app"):
        from . import wsgi  # noqa: PLC0415 - only for an MLflow that needs it

        return wsgi.serve(app, listener, said)
    # What these import is there because MLflow is.
    from . import application, draining  # noqa: PLC0415

    meter = metrics.meter(said, str(model.loader_module), str(scoring_server.VERSION)) if said.metrics else None
    return draining.serve(application.application(model, app, said, meter), listener, said)
