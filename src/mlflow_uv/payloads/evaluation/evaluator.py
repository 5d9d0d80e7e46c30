"""Evaluates a model on held-out data: metrics of MLflow's evaluator and prediction latencies."""

import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import sklearn.metrics  # noqa: F401  # MLflow's evaluator needs it: fails on import, not later
from mlflow import MlflowClient, pyfunc
from mlflow.models import evaluate as mlflow_evaluate

from ..messages.evaluation import EvaluateModel, EvaluationResult
from ..models.signature_columns import conform
from ..problems import Problem, ProblemKind, first_line, last_line, quoted

_MOST_ROWS = 100  # predicted one by one
_WARM_UP = 3
_LONGEST_S = 30.0
# Formats without types: integers of a column that the signature declares as float are converted as the server does.
_TEXT = (".csv", ".json", ".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_evaluated: "set[str]" = set()


def evaluate(request: EvaluateModel) -> EvaluationResult:
    """
    Evaluate a model's folder on a file, in the store of the environment, which must be a temporary one.

    Latencies are those of single rows, in milliseconds. A process evaluates one model: of two models with a module of
    the same name, MLflow would run the first one's code for both.
    """
    if _evaluated - {request.model}:
        raise Problem(ProblemKind.INVALID, "this process has evaluated another model before")
    _evaluated.add(request.model)
    raw = Path(request.data).read_bytes()
    frame = _read(Path(request.data))
    target = request.target
    if target is not None and target not in frame.columns:
        raise Problem(ProblemKind.INVALID, f"it has no column `{target}`; its columns are {', '.join(map(str, frame))}")
    model = _load(request.model)
    frame = conform(model, frame, target, text=Path(request.data).suffix.lower() in _TEXT)
    features = frame if target is None else frame.drop(columns=[target])
    metrics = _latencies(model, features)
    folder = Path(request.artifacts)
    if request.model_type:
        metrics = {**_metrics(request, frame, folder), **metrics}
    digest = hashlib.sha256(raw).hexdigest()
    return EvaluationResult(metrics=metrics, artifacts=str(folder), rows=len(frame), data_sha256=digest)


def _read(file: Path) -> pd.DataFrame:
    kind = file.suffix.lower()
    try:
        if kind in _PARQUET:
            frame = pd.read_parquet(file)
        elif kind == ".csv":
            frame = pd.read_csv(file)
        elif kind == ".json":
            frame = _of_json(json.loads(file.read_text(encoding="utf-8")))
        elif kind in _TEXT:
            lines = file.read_text(encoding="utf-8").splitlines()
            frame = _of_json([json.loads(line) for line in lines if line.strip()])
        else:
            raise Problem(ProblemKind.INVALID, f"`{kind}` is not one of {', '.join((*_TEXT, *_PARQUET))}")
    except Problem:
        raise
    except Exception as error:  # pandas and its readers may raise anything
        raise Problem(ProblemKind.INVALID, f"it cannot be read: {last_line(error)}") from error
    if frame.empty:
        raise Problem(ProblemKind.INVALID, "it holds no rows")
    return frame


def _of_json(content: Any) -> pd.DataFrame:
    """A DataFrame from records, `split` or `columns`, which is the default of pandas' `to_json`."""
    if isinstance(content, dict) and {"columns", "data"} <= content.keys():
        return pd.DataFrame(content["data"], columns=content["columns"])
    if isinstance(content, dict) and content and all(isinstance(column, dict) for column in content.values()):
        return pd.DataFrame(content)
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return pd.DataFrame(content)
    reason = (
        "it is neither a list of objects nor an object with `columns` and `data`, nor one with an object per column"
    )
    raise Problem(ProblemKind.INVALID, f"{reason}; DataFrame.to_json writes them as records, split and columns")


def _load(folder: str) -> Any:
    try:
        return pyfunc.load_model(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(ProblemKind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error


def _data_problem(error: BaseException, frame: pd.DataFrame) -> "Problem | None":
    """The problem of the data, if it explains why the model cannot predict."""
    text = str(error)
    if "Failed to enforce schema" in text:
        return Problem(ProblemKind.INVALID, f"it does not fit the model's signature: {text.rpartition('Error: ')[2]}")
    gaps = [name for name in frame.columns if not _all_finite(frame[name])]
    if not gaps:
        return None
    return Problem(ProblemKind.INVALID, f"it has rows without a finite value in {quoted(gaps)}: {first_line(error)}")


def _all_finite(column: Any) -> bool:
    infinite = pd.api.types.is_float_dtype(column) and column.isin([math.inf, -math.inf]).any()
    return not (infinite or column.isna().any())


def _latencies(model: Any, features: pd.DataFrame) -> dict[str, float]:
    rows = [features.iloc[[number]] for number in range(min(len(features), _MOST_ROWS))]
    started = time.perf_counter()
    durations_ms: list[float] = []
    try:
        for row in rows[:_WARM_UP]:
            model.predict(row)
        for row in rows:
            before = time.perf_counter()
            model.predict(row)
            durations_ms.append((time.perf_counter() - before) * 1000)
            if before - started > _LONGEST_S:
                break
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise _data_problem(error, row) or Problem(
            ProblemKind.CANNOT_PREDICT, f"the model cannot predict for a row of the data: {first_line(error)}"
        ) from error
    durations_ms.sort()
    return {
        f"latency_p{percent}_ms": round(durations_ms[math.ceil(len(durations_ms) * percent / 100) - 1], 3)
        for percent in (50, 95)
    }


def _metrics(request: EvaluateModel, frame: pd.DataFrame, folder: Path) -> dict[str, float]:
    """The metrics of MLflow's default evaluator; its artifacts are moved to `folder`."""
    client = MlflowClient()
    location = folder.parent / f"{folder.name}-runs"
    experiment = client.create_experiment(str(location), artifact_location=location.as_uri())
    run_id = client.create_run(experiment).info.run_id
    try:
        with mlflow.start_run(run_id=run_id):
            evaluation = mlflow_evaluate(
                model=request.model,
                data=frame,
                targets=request.target,
                model_type=request.model_type,
                evaluators="default",
                evaluator_config={"log_model_explainability": False},
            )
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        target = request.target
        of_type = "" if target is None else f" whose target `{target}` is of type {frame[target].dtype}"
        reason = f"mlflow.models.evaluate cannot use it as a {request.model_type}{of_type}: {first_line(error)}"
        raise _data_problem(error, frame) or Problem(ProblemKind.INVALID, reason) from error
    artifacts = location / run_id / "artifacts"
    if artifacts.is_dir():
        artifacts.rename(folder)
    return {name: float(value) for name, value in evaluation.metrics.items() if isinstance(value, (int, float))}
