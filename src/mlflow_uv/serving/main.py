"""Starts the server: exit status 0, 1 (requests aborted), 2 (invalid settings) or 3 (model cannot be loaded)."""

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import settings
from .model import loading, model_location, signed_files
from .observability import metrics
from .older_mlflow import fastapi_compat
from .process import workers
from .process.listener import PAUSE_S, Listener
from .process.log import log
from .settings import InvalidSetting, Settings

INVALID = 2


def main(arguments: Sequence[str]) -> int:
    """Serve until a stop signal; the exit status. SageMaker passes the argument `serve`."""
    # `-I` ignores PYTHONUNBUFFERED and PYTHONDONTWRITEBYTECODE, which images set.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.dont_write_bytecode |= bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    try:
        if list(arguments) not in ([], ["serve"]):
            raise InvalidSetting(f"Unknown argument {arguments[0]!r}: the server takes none, or `serve`.")
        configuration = settings.read(os.environ)
        if configuration.metrics:
            metrics.prepare(configuration)
        return run(configuration, bind(configuration.host, configuration.port))
    except InvalidSetting as error:
        return end(str(error), INVALID)
    except loading.CannotLoad as error:
        return end_unloaded(error)
    except (model_location.UnreadableModel, signed_files.NotSigned) as error:
        return end(str(error), loading.CANNOT_LOAD)
    finally:
        if folder := os.environ.pop(metrics.FOLDER, None):
            shutil.rmtree(folder, ignore_errors=True)


def end(sentence: str, code: int) -> int:
    """Log the last line and return the exit status."""
    log(sentence)
    return code


def end_unloaded(error: loading.CannotLoad) -> int:
    """Log why the model cannot be served, with the traceback before it, and return the exit status."""
    log(str(error), error.trace.removesuffix("\n"))
    return loading.CANNOT_LOAD


def bind(host: str, port: int) -> Listener:
    """Bind the address without listening: connections are refused until the model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without an explicit protocol asyncio leaves Nagle's algorithm on, which delays a response in two parts by 40 ms.
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise InvalidSetting(
            f"HOST={host!r}, PORT={port}: the server cannot listen on this address: {error.strerror or error}."
        ) from error
    return listener


def run(configuration: Settings, listener: Listener) -> int:
    """Serve with one worker in this process, or several in forks. Raises CannotLoad, InvalidSetting, NotSigned."""
    variables = dict(os.environ)  # before the model's code, which may change them
    if configuration.trust is not None:
        # Bytecode would be a file that nobody signed, and end the next start. Programs of the model inherit this.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        signed = signed_files.require_signed(configuration.model, configuration.trust)
        log(str(signed))
        configuration = replace(configuration, name=signed.name, version=signed.version)
    scoring_server = loading.import_mlflow(configuration.model)
    if configuration.workers == 1:
        with loading.exit_on_stop_signal():
            model = loading.load(scoring_server, configuration.model)
        return serve(scoring_server, model, configuration, listener)
    if not hasattr(os, "sched_getaffinity"):
        raise InvalidSetting(
            f"WORKERS={configuration.workers}: more than one worker needs Linux, where forks are safe."
        )
    listener.pause_s = PAUSE_S

    def load_and_serve() -> int:
        try:
            return serve(scoring_server, loading.load(scoring_server, configuration.model), configuration, listener)
        except loading.CannotLoad as error:
            return end_unloaded(error)

    if configuration.separate:
        return workers.supervise(load_and_serve, configuration.workers, configuration.drain_timeout, listener)
    before = workers.unshareable()
    model = loading.run_in_thread(lambda: loading.load(scoring_server, configuration.model))
    if opened := workers.unshareable_since(before):
        log(f"Each worker loads the model by itself: loading opened what a fork cannot share: {opened}.")
        os.execve(sys.executable, sys.orig_argv, {**variables, "MLFLOW_UV_APART": "1"})  # noqa: S606

    def serve_loaded() -> int:
        try:
            return serve(scoring_server, model, configuration, listener)
        except loading.CannotLoad as error:
            return end_unloaded(error)

    return workers.supervise(serve_loaded, configuration.workers, configuration.drain_timeout, listener)


def serve(scoring_server: Any, model: Any, configuration: Settings, listener: Listener) -> int:
    """Serve on the socket with the scoring app of the model's MLflow; the exit status. Raises CannotLoad."""
    fastapi_compat.restore_route()
    try:
        app = scoring_server.init(model)
    except Exception as error:  # noqa: BLE001 - incompatible package versions may raise anything
        loading.fail("MLflow cannot make its scoring app", error)
    if hasattr(app, "wsgi_app"):
        from .older_mlflow import wsgi  # noqa: PLC0415 - only an MLflow with Flask needs it

        return wsgi.serve(app, listener, configuration)
    # Their dependencies are known to be installed only when MLflow is.
    from . import application  # noqa: PLC0415
    from .process import draining  # noqa: PLC0415

    meter = (
        metrics.meter(configuration, str(model.loader_module), str(scoring_server.VERSION))
        if configuration.metrics
        else None
    )
    return draining.serve(application.application(model, app, configuration, meter), listener, configuration)
