"""Computes each output of an original model for a list of requests, and measures its latency and memory."""

import json
import resource
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from ..messages.conversion import NETWORK_LOADERS, MeasureOriginal, ModelFigures
from ..models.serving_environment import load_untraced, serving_environment
from ..problems import Problem, ProblemKind, last_line, mask, shortened
from .native_models import Inconvertible, NativeModel, flavors_in, load_native, loader_in
from .networks import load_network
from .request_frames import body_of, first_rows, parsed, rows_in

_LONGEST_REASON = 300


def measure(request: MeasureOriginal) -> ModelFigures:
    """
    Answer each request, and write the list with `rows`, the request as the model got it, and `outputs`, or `refused`.

    Raises Problem if what MLflow's server returns is none of the outputs: then something else would be compared.
    """
    with serving_environment():
        model = load_untraced(mlflow.pyfunc.load_model, request.model)
        try:
            loads = load_network if loader_in(flavors_in(request.model)) in NETWORK_LOADERS else load_native
            native = loads(request.model)
        except Inconvertible as error:
            raise Problem(ProblemKind.CANNOT_LOAD, f"{error.operator}: {error.reason}") from error
        answered, row = [], None
        for item in json.loads(Path(request.requests).read_text(encoding="utf-8")):
            try:
                data = parsed(model.metadata, item["body"])
                outputs = native.outputs(data)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a model's code may raise anything
                refused = shortened(mask(last_line(error)), _LONGEST_REASON)
                answered.append({"name": item["name"], "origin": item["origin"], "refused": refused})
                continue
            _require_served(model, native, data, outputs)
            row = first_rows(data, 1) if row is None and rows_in(data) else row
            answered.append({
                "name": item["name"], "origin": item["origin"], "rows": body_of(data),
                "outputs": {name: [plain_output(value) for value in values] for name, values in outputs.items()},
            })  # fmt: skip
        seconds = _row_seconds(model, row, request.repeats)
    Path(request.destination).write_text(json.dumps(answered), encoding="utf-8")
    return ModelFigures(row_s=seconds, memory=peak_memory())


def peak_memory() -> int:
    """The largest resident memory of this process in bytes; what `getrusage` reports may be that of its parent."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def plain_output(value: Any) -> Any:
    """A value of an output, or the tensor of a row, as JSON; NaN stays NaN."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _require_served(model: Any, native: NativeModel, data: Any, outputs: "Mapping[str, Any]") -> None:
    served = np.asarray(_values(model.predict(data)))
    own = [v for name, v in outputs.items() if name == native.served or name.rpartition("_")[0] == native.served]
    matrix = own[0] if len(own) == 1 else np.column_stack(own)
    same = served.reshape(matrix.shape) if served.size == matrix.size else served
    equal = same.shape == matrix.shape and bool((_comparable(same) == _comparable(matrix)).all())
    if not equal:
        why = f"MLflow's server returns something else for the model than `{native.served}` of its own library"
        raise Problem(ProblemKind.CANNOT_PREDICT, why)


def _values(served: Any) -> Any:
    return served.to_numpy() if isinstance(served, (pd.DataFrame, pd.Series)) else served


def _comparable(array: Any) -> Any:
    return np.where(np.isnan(array), np.inf, array) if array.dtype.kind == "f" else array


def _row_seconds(model: Any, row: Any, repeats: int) -> float:
    if row is None:
        return 0.0
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        model.predict(row)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)
