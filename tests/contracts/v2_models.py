"""
Many models behind the V2 protocol in one process: `python -I v2_models.py SERVING PORT EXPECTED`.

Each model answers with what it saw. EXPECTED is written before the server listens: what `predict` says of the same data
where nobody sends it, by the name of the model.
"""

import datetime as dt
import decimal
import importlib
import json
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import uvicorn
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Object, Property

KINDS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


def seen(given: Any) -> Any:
    """Types, shapes and values, so that two inputs that differ in any of them are told apart."""
    if isinstance(given, pd.DataFrame):
        return {str(name): [str(given[name].dtype), [repr(one) for one in given[name].tolist()]] for name in given}
    if isinstance(given, np.ndarray):
        return [given.dtype.kind, list(given.shape), repr(given.tolist())]
    if isinstance(given, dict):
        return {name: seen(value) for name, value in given.items()}
    return repr(given)


class Witness(PythonModel):
    """Says what it was given."""

    def predict(self, context, model_input, params=None):
        """One text, however many rows."""
        if (params or {}).get("fail"):
            raise RuntimeError("told to")
        return [json.dumps([seen(model_input), params])]


class Hinted(PythonModel):
    """A model whose type hint is its signature."""

    def predict(self, model_input: list[str], params=None) -> list[str]:
        """Loud."""
        return [one.upper() for one in model_input]


class Answering(PythonModel):
    """Returns things of many kinds, by name."""

    def predict(self, context, model_input, params=None):
        """What the first row asks for."""
        return {
            "floats": lambda: np.array([1.5, np.nan], dtype="float32"),
            "infinite": lambda: np.array([1.5, np.inf]),
            "matrix": lambda: np.arange(6, dtype="int16").reshape(2, 3),
            "bools": lambda: [True, False],
            "scalar": lambda: 7,
            "text": lambda: "alone",
            "series": lambda: pd.Series([1, None], dtype="Int64"),
            "bytes": lambda: [b"\x00\xff", b"a"],
            "nested": lambda: [{"a": [1, None]}, {"b": "c"}],
            "tensors": lambda: {"mean": np.array([0.5]), "label": np.array(["x"])},
            "nothing": lambda: np.zeros((0, 3)),
            "complex": lambda: np.array([1j]),
            "zoned": lambda: pd.DataFrame(
                {"when": pd.Series(pd.to_datetime(["2026-01-02T03:04:05", None])).dt.tz_localize("Europe/Berlin")}
            ),
            "ragged": lambda: [[1], [1, 2]],
            "dates": lambda: [dt.date(2026, 1, 2), None],
            "gap": lambda: [1.0, None],
            "whole gap": lambda: [1, None],
            "huge": lambda: [2**70],
            "money": lambda: [decimal.Decimal("1.10")],
            "wide": lambda: np.array([0.5], dtype="longdouble"),
            "nan inside": lambda: [{"a": float("nan")}],
            "infinity inside": lambda: [{"a": float("inf")}],
            "frame": lambda: pd.DataFrame(
                {
                    "n": [1, 2],
                    "label": pd.Categorical(["a", "b"]),
                    "when": pd.to_datetime(["2026-01-02T03:04:05", None]),
                    "note": ["x", None],
                }
            ),
        }[model_input["which"].iloc[0]]()


COLUMNS = Schema([ColSpec(kind, kind) for kind in KINDS])
FRAME = pd.DataFrame(
    {
        "boolean": [True, False],
        "integer": np.array([1, -2], dtype="int32"),
        "long": np.array([2**40, -1], dtype="int64"),
        "float": np.array([0.5, np.nan], dtype="float32"),
        "double": np.array([0.1, 1e300]),
        "string": ["\u00e9", "b"],
        "binary": [b"\x00\xff", b"a"],
        "datetime": pd.to_datetime(["2026-01-02T03:04:05", "1999-12-31T00:00:00.5"], format="ISO8601"),
    }
)
PAIR = np.array([[1, 2], [3, 4]], dtype="float32")
NESTED = Schema([ColSpec(Array(DataType.double), "numbers"), ColSpec(Object([Property("a", DataType.long)]), "thing")])
MODELS: "dict[str, tuple[PythonModel, ModelSignature | None, Any]]" = {
    "columns": (Witness(), ModelSignature(COLUMNS), FRAME),
    "table": (
        Witness(),
        ModelSignature(Schema([ColSpec("float", "a"), ColSpec("float", "b")])),
        pd.DataFrame(PAIR, columns=["a", "b"]),
    ),
    "unnamed": (Witness(), ModelSignature(Schema([ColSpec("double")])), pd.DataFrame([1.0, 2.0])),
    "tensor": (Witness(), ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2))])), PAIR),
    "tensors": (
        Witness(),
        ModelSignature(
            Schema([TensorSpec(np.dtype("float32"), (-1, 2), "a"), TensorSpec(np.dtype("str"), (-1,), "b")])
        ),
        {"a": PAIR, "b": np.array(["x", "y"])},
    ),
    "nested": (
        Witness(),
        ModelSignature(NESTED),
        pd.DataFrame({"numbers": [[1.0], [2.0, 3.0]], "thing": [{"a": 1}, {"a": 2}]}),
    ),
    "params": (
        Witness(),
        ModelSignature(
            Schema([ColSpec("double", "x")]),
            params=ParamSchema([ParamSpec("factor", "double", 2.0), ParamSpec("fail", "boolean", default=False)]),
        ),
        pd.DataFrame({"x": [1.0]}),
    ),
    "bare": (Witness(), None, PAIR),
    "hinted": (Hinted(), None, ["a", "b"]),
    "answering": (Answering(), ModelSignature(Schema([ColSpec("string", "which")])), None),
}


def stand(name: str, folder: Path, python_model: PythonModel, signature: "ModelSignature | None") -> Any:
    """The model as a server would load it."""
    path = folder / name
    mlflow.pyfunc.save_model(path, python_model=python_model, signature=signature, pip_requirements=[])
    return mlflow.pyfunc.load_model(str(path))


def main(serving: str, port: str, expected: str) -> None:
    """Make, ask, serve."""
    with tempfile.TemporaryDirectory() as folder:
        models = {name: stand(name, Path(folder), made, signature) for name, (made, signature, _) in MODELS.items()}
    predictions = {name: models[name].predict(given) for name, (_, _, given) in MODELS.items() if given is not None}
    Path(expected).write_text(json.dumps(predictions))
    runpy.run_path(str(Path(serving) / "__main__.py"))["load_package"](Path(serving).resolve())
    protocol = importlib.import_module("mlflow_uv_serving.protocols.v2").Protocol
    limited = importlib.import_module("mlflow_uv_serving.transport.limits").limited
    doors = {
        name: limited(protocol(model, name=name, version=""), body_limit=10**6, timeout=60)
        for name, model in models.items()
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        parts = [*scope["path"].split("/"), "", "", ""]
        await doors.get(parts[3], doors["bare"])(scope, receive, send)

    uvicorn.run(app, port=int(port), lifespan="off", log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
