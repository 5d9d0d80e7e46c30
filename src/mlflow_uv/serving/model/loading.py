"""Imports MLflow and loads the model; on failure the process ends with the reason in its last log line."""

import gc
import importlib
import logging
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from ..observability import traces
from ..process.workers import STOP_SIGNALS
from .model_location import IMAGE_MODEL

CANNOT_LOAD = 3
MLFLOW_TIMEOUT = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"
ONE_DAY_S = "86400"
SKOPS = re.compile(r"^ +serialization_format: skops$", re.MULTILINE)
OWN_CODE = re.compile(r"^ +code: (?!null$)", re.MULTILINE)
SEARCHING = ("scipy.special", "skops.io")  # in this order
REQUIREMENT_CHECK = "warn_dependency_requirement_mismatches"  # of mlflow.pyfunc


class CannotLoad(Exception):
    """The model cannot be served; the message is one sentence, and `trace` the traceback of its reason."""

    def __init__(self, sentence: str, trace: str) -> None:
        super().__init__(sentence)
        self.trace = trace


def import_mlflow(model: Path) -> Any:
    """Import MLflow's scoring server and what it and the model in a folder need. Raises CannotLoad."""
    # MLflow's own timeout is set to a day, because REQUEST_TIMEOUT is enforced by this server.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # of onnxruntime
    os.environ[MLFLOW_TIMEOUT] = ONE_DAY_S
    if not os.access(os.environ.get("HOME", "/"), os.W_OK):
        os.environ["HOME"] = "/tmp"  # noqa: S108 - the only writable folder of a read-only container
    gc.disable()  # imports create no garbage; saves a tenth of the time
    for library in imported_first(model):
        with suppress(Exception):  # MLflow says what is wrong with it
            importlib.import_module(library)
    try:
        from mlflow.pyfunc import scoring_server  # noqa: PLC0415 - an import failure is reported like a load failure

        with suppress(ImportError):  # an MLflow that serves with Flask
            # Imported before the model, whose own code may have a module with one of these names.
            import uvicorn.lifespan.on  # noqa: PLC0415
            import uvicorn.protocols.http.h11_impl  # noqa: PLC0415, F401
    except Exception as error:  # noqa: BLE001 - any error of the import is reported
        fail("MLflow cannot be imported", error)
    return scoring_server


def imported_first(model: Path) -> "tuple[str, ...]":
    """
    The libraries of a model that are imported before MLflow.

    skops searches hundreds of functions, most of them SciPy's, in all loaded modules up to the first that has them;
    without those of MLflow that takes 0.3 s less, and 0.2 s less still where those of scikit-learn come later. A model
    with code of its own may have a module of one of these names, which MLflow imports instead.
    """
    try:
        description = (model / "MLmodel").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ()
    return SEARCHING if SKOPS.search(description) and not OWN_CODE.search(description) else ()


def skip_requirement_check() -> None:
    """Leave out MLflow's comparison of requirements with the installed packages, which takes 0.2 s for 90 of them."""
    pyfunc: Any = importlib.import_module("mlflow.pyfunc")
    if hasattr(pyfunc, REQUIREMENT_CHECK):
        setattr(pyfunc, REQUIREMENT_CHECK, lambda _requirements: None)


def load(scoring_server: Any, folder: Path) -> Any:
    """Load the model in `folder`. Raises CannotLoad."""
    if folder == IMAGE_MODEL and (folder / "mlflow-uv" / "requirements.txt").is_file():
        # The requirements were checked when the image was built; in a slim image MLflow would warn that it is missing.
        logging.getLogger("mlflow.utils.requirements_utils").setLevel(logging.ERROR)
        skip_requirement_check()
    try:
        with traces.disabled_without_destination(os.environ):
            model = scoring_server.load_model_with_mlflow_config(str(folder))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model's code may raise anything
        fail(f"The model in {folder} cannot be served", error)
    gc.enable()
    gc.freeze()  # loaded objects stay alive: excluding them from collection keeps their pages shared between forks
    return model


@contextmanager
def exit_on_stop_signal() -> "Iterator[None]":
    """
    End the process at once on a stop signal, also while a library call runs, which may take minutes.

    Python runs signal handlers only after such a call, but writes the signal's number to the wakeup pipe at once, which
    a thread reads here. A library that never releases the GIL delays that thread, too.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        while received := os.read(reading, 1):
            if received[0] in STOP_SIGNALS:
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


def run_in_thread(work: Callable[[], Any]) -> Any:
    """
    Run `work` in a thread that ends afterwards; its result, or its exception.

    GNU OpenMP keeps the worker threads of a parallel loop for the thread that ran it, and a fork of that thread waits
    for them for ever; LightGBM and XGBoost run such loops while they load. When the thread ends, its workers end, too.
    """
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def fail(what: str, error: BaseException) -> NoReturn:
    """
    Raise CannotLoad with the traceback of `error` and the reason.

    Both are written at once: several workers may fail at the same time, and the first that ends stops the others.
    """
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    raise CannotLoad(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}", trace) from error
