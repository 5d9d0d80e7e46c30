"""How good is a model on data that it has not seen, and how fast?"""

import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import sklearn.metrics  # noqa: F401  # what MLflow's evaluator needs is told here, before anything is done
from mlflow import MlflowClient, pyfunc
from mlflow.models import evaluate as mlflow_evaluate
from mlflow.types import DataType
from mlflow.utils.proto_json_utils import cast_df_types_according_to_schema

from .problems import Problem, ProblemKind, last_line

_MOST_ROWS = 100  # that are asked one by one
_WARM_UP = 3
_LONGEST_S = 30.0
# What holds text alone: a column of integers that the model takes as floats is read as the server would read it.
_TEXT = (".csv", ".json", ".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_asked: "set[str]" = set()


def evaluate(request: dict[str, Any]) -> dict[str, Any]:
    """
    Evaluate a model's folder on a file, in the store of the environment, which must be one to be thrown away.

    {model: folder, data: file, target?: column, model_type?, artifacts: folder} -> {metrics, artifacts: folder, rows,
    data_sha256: of the file that was read}. Latencies are those of single rows, in milliseconds. A process answers for
    one model: of two with a module of the same name, MLflow lets the first one answer for both.
    """
    if _asked - {request["model"]}:
        raise Problem(ProblemKind.INVALID, "this process has evaluated another model before")
    _asked.add(request["model"])
    raw = Path(request["data"]).read_bytes()
    frame = _read(Path(request["data"]))
    target = request.get("target")
    if target is not None and target not in frame.columns:
        raise Problem(ProblemKind.INVALID, f"it has no column `{target}`; its columns are {', '.join(map(str, frame))}")
    model = _load(request["model"])
    frame = _fitting(model, frame, target, text=Path(request["data"]).suffix.lower() in _TEXT)
    features = frame if target is None else frame.drop(columns=[target])
    metrics = _latencies(model, features)
    folder = Path(request["artifacts"])
    if request.get("model_type"):
        metrics = {**_metrics(request, frame, folder), **metrics}
    digest = hashlib.sha256(raw).hexdigest()
    return {"metrics": metrics, "artifacts": str(folder), "rows": len(frame), "data_sha256": digest}


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
            raise Problem(ProblemKind.INVALID, f"`{kind}` is none of {', '.join((*_TEXT, *_PARQUET))}")
    except Problem:
        raise
    except Exception as error:  # pandas and its readers raise what they like
        raise Problem(ProblemKind.INVALID, f"it cannot be read: {last_line(error)}") from error
    if frame.empty:
        raise Problem(ProblemKind.INVALID, "it holds no rows")
    return frame


def _of_json(said: Any) -> pd.DataFrame:
    """Records, or pandas' `split` or `columns`, which is what its `to_json` writes unless it is told otherwise."""
    if isinstance(said, dict) and {"columns", "data"} <= said.keys():
        return pd.DataFrame(said["data"], columns=said["columns"])
    if isinstance(said, dict) and said and all(isinstance(one, dict) for one in said.values()):
        return pd.DataFrame(said)
    if isinstance(said, list) and all(isinstance(one, dict) for one in said):
        return pd.DataFrame(said)
    told = "it is neither a list of objects nor an object with `columns` and `data`, nor one with an object per column"
    raise Problem(ProblemKind.INVALID, f"{told}; DataFrame.to_json writes them as records, split and columns")


def _load(folder: str) -> Any:
    try:
        return pyfunc.load_model(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(ProblemKind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error


def _fitting(model: Any, frame: pd.DataFrame, target: "str | None", *, text: bool) -> pd.DataFrame:
    """What the model's signature names and the target, of the types that it names; the server drops the rest too."""
    schema = model.metadata.get_input_schema()
    if schema is None:
        return frame
    if text:
        try:
            frame = cast_df_types_according_to_schema(frame, schema)
        except Exception as error:  # a value that does not fit may raise anything
            raise Problem(ProblemKind.INVALID, f"it does not fit the model's signature: {_line(error)}") from error
    if not schema.has_input_names():
        return frame
    lacking = [name for name in schema.required_input_names() if name not in frame.columns]
    if lacking:
        has = ", ".join(map(str, frame))
        raise Problem(
            ProblemKind.INVALID, f"it lacks {_quoted(lacking)}, which the model asks for; its columns are {has}"
        )
    names = {*schema.input_names(), target}
    frame = frame[[name for name in frame.columns if name in names]]
    return frame.assign(
        **{
            one.name: _widened(frame[one.name], one.type.to_numpy())
            for one in schema.inputs
            if one.name in frame.columns and one.type in (DataType.float, DataType.double)
        }
    )


def _widened(column: Any, asked: Any) -> Any:
    """Whole numbers as floats, which MLflow refuses even where every one of them has its float."""
    if not pd.api.types.is_integer_dtype(column):
        return column
    wide = column.astype("float64" if column.hasnans else asked)
    if not column.hasnans and not (wide.astype(column.dtype) == column).all():
        told = f"column `{column.name}` holds {column.dtype} that no {asked} holds, which the signature says"
        raise Problem(ProblemKind.INVALID, f"{told}; `astype('{asked}')` rounds them")
    return wide


def _blamed(error: BaseException, frame: pd.DataFrame) -> "Problem | None":
    """What is wrong with the data, where that explains why nobody could be asked."""
    said = str(error)
    if "Failed to enforce schema" in said:
        return Problem(ProblemKind.INVALID, f"it does not fit the model's signature: {said.rpartition('Error: ')[2]}")
    gaps = [name for name in frame.columns if not _all_finite(frame[name])]
    if not gaps:
        return None
    return Problem(ProblemKind.INVALID, f"it has rows without a finite value in {_quoted(gaps)}: {_line(error)}")


def _all_finite(column: Any) -> bool:
    endless = pd.api.types.is_float_dtype(column) and column.isin([math.inf, -math.inf]).any()
    return not (endless or column.isna().any())


def _quoted(names: "list[Any]") -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(error: BaseException) -> str:
    """Of several lines the first: MLflow and scikit-learn go on with advice and whole tables."""
    return last_line(error).strip().partition("\n")[0]


def _latencies(model: Any, features: pd.DataFrame) -> dict[str, float]:
    rows = [features.iloc[[number]] for number in range(min(len(features), _MOST_ROWS))]
    begun = time.perf_counter()
    taken: list[float] = []
    try:
        for row in rows[:_WARM_UP]:
            model.predict(row)
        for row in rows:
            before = time.perf_counter()
            model.predict(row)
            taken.append((time.perf_counter() - before) * 1000)
            if before - begun > _LONGEST_S:
                break
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise _blamed(error, row) or Problem(
            ProblemKind.CANNOT_PREDICT, f"it cannot answer a row of the data: {_line(error)}"
        ) from error
    taken.sort()
    return {
        f"latency_p{percent}_ms": round(taken[math.ceil(len(taken) * percent / 100) - 1], 3) for percent in (50, 95)
    }


def _metrics(request: dict[str, Any], frame: pd.DataFrame, folder: Path) -> dict[str, float]:
    """What MLflow's default evaluator finds; its artifacts are left in the folder."""
    client = MlflowClient()
    location = folder.parent / f"{folder.name}-runs"
    experiment = client.create_experiment(str(location), artifact_location=location.as_uri())
    run_id = client.create_run(experiment).info.run_id
    try:
        with mlflow.start_run(run_id=run_id):
            found = mlflow_evaluate(
                model=request["model"],
                data=frame,
                targets=request.get("target"),
                model_type=request["model_type"],
                evaluators="default",
                evaluator_config={"log_model_explainability": False},
            )
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        target = request.get("target")
        answers = "" if target is None else f", whose answers in `{target}` are {frame[target].dtype}"
        told = f"mlflow.models.evaluate cannot use it as a {request['model_type']}{answers}: {_line(error)}"
        raise _blamed(error, frame) or Problem(ProblemKind.INVALID, told) from error
    artifacts = location / run_id / "artifacts"
    if artifacts.is_dir():
        artifacts.rename(folder)
    return {name: float(value) for name, value in found.metrics.items() if isinstance(value, (int, float))}
