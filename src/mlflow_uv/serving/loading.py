"""Does the model load? If not, the process ends at once, with the reason in its last line."""

import gc
import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from . import traces
from .model_location import OURS
from .workers import TOLD

CANNOT_LOAD = 3
MLFLOWS_TIMEOUT = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"
A_DAY = "86400"


class CannotLoad(Exception):
    """Why a model is not served; the reason is the last line of the message."""


def import_mlflow() -> Any:
    """MLflow's scoring server, with all that it imports. Raises CannotLoad."""
    # An image has no home that can be written to, and nobody to report to. Ours is the time limit that answers.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ[MLFLOWS_TIMEOUT] = A_DAY
    if not os.access(os.environ.get("HOME", "/"), os.W_OK):
        os.environ["HOME"] = "/tmp"  # noqa: S108 - the one folder that a read-only container can write to
    gc.disable()  # nothing of what is imported is garbage: a tenth of the time
    try:
        from mlflow.pyfunc import scoring_server  # noqa: PLC0415 - a failure to import it is reported like the rest

        with suppress(ImportError):  # an MLflow that serves with Flask
            # Now, because the model's own code may have a module of one of these names.
            import uvicorn.lifespan.on  # noqa: PLC0415
            import uvicorn.protocols.http.h11_impl  # noqa: PLC0415, F401
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
        fail("MLflow cannot be imported", error)
    return scoring_server


def load(scoring_server: Any, folder: Path) -> Any:
    """The model. Raises CannotLoad."""
    if folder == OURS and (folder / "mlflow-uv" / "requirements.txt").is_file():
        # What that lists was compared when the image was built; in a slim one MLflow would miss itself.
        logging.getLogger("mlflow.utils.requirements_utils").setLevel(logging.ERROR)
    try:
        with traces.off_unless_named(os.environ):
            model = scoring_server.load_model_with_mlflow_config(str(folder))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model's code may raise anything
        fail(f"The model in {folder} cannot be served", error)
    gc.enable()
    gc.freeze()  # what is there now stays: the collector need not touch it, and forks go on sharing it
    return model


@contextmanager
def ended_when_told() -> "Iterator[None]":
    """
    End at once when a signal says so, also while this thread is in a call of some library, which may last for minutes.

    Python handles a signal when such a call is over; that there was one is written into a pipe at once. A library that
    never lets go of Python's lock keeps our thread waiting, too.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        while said := os.read(reading, 1):
            if said[0] in TOLD:
                os._exit(0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    signal.set_wakeup_fd(writing)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(writing)
        watcher.join()
        os.close(reading)


def in_a_thread(work: Callable[[], Any]) -> Any:
    """
    Do it in a thread that ends.

    GNU's OpenMP keeps the threads of a parallel loop for the thread that ran it, and a fork of that thread waits for
    them for ever; LightGBM and XGBoost run such loops while they load. A thread that ends takes its own along.
    """
    done: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return done[0]


def fail(what: str, error: BaseException) -> NoReturn:
    """
    Raise CannotLoad with the traceback of `error` and, in its last line, the reason.

    It is written at once: several workers fail at the same time, and the first that ends has the others stopped.
    """
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    raise CannotLoad(f"{shown}{what}: {type(error).__name__}: {' '.join(str(error).split())}") from error
