"""Reads requests of `/invocations` as the tables that a model gets from MLflow's server."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, Schema, TensorSpec


def parsed(metadata: Any, body: str) -> Any:
    """
    The table or the matrix of a request, with the types of the signature.

    Raises what MLflow raises for a request that does not fit, and ValueError for one with parameters.
    """
    schema = metadata.get_input_schema()
    request = scoring_server._parse_json_data(body, metadata, schema)  # noqa: SLF001  # no public function reads one
    if request.params:
        raise ValueError("it has parameters")
    return _enforce_schema(request.data, schema)


def frames_of(folder: str, bodies: "Sequence[str]") -> "list[Any]":
    """The tables of the requests that can be read."""
    metadata = Model.load(folder)
    found = []
    for body in bodies:
        try:
            found.append(parsed(metadata, body))
        except Exception:  # noqa: BLE001, S112  # MLflow raises anything for a request that does not fit
            continue
    return [frame for frame in found if rows_in(frame)]


def rows_in(data: Any) -> int:
    """The number of rows in a table, in a tensor, or in tensors by name."""
    return len(next(iter(data.values()), ())) if isinstance(data, dict) else len(data)


def required_inputs(schema: Any) -> Any:
    """The inputs of a signature, each of them required: a converted model has no others."""
    if any(isinstance(spec, TensorSpec) for spec in schema.inputs):
        return schema
    return Schema([ColSpec(type=spec.type, name=spec.name, required=True) for spec in schema.inputs])


def first_rows(data: Any, rows: int) -> Any:
    """The first rows of a table, of a tensor, or of tensors by name."""
    return {name: part[:rows] for name, part in data.items()} if isinstance(data, dict) else data[:rows]


def body_of(data: Any) -> "dict[str, Any]":
    """A table, a tensor, or tensors by name as the JSON of a request."""
    if isinstance(data, pd.DataFrame):
        rows = [[plain(value) for value in row] for row in data.itertuples(index=False, name=None)]
        return {"dataframe_split": {"columns": [str(name) for name in data.columns], "data": rows}}
    if isinstance(data, dict):
        return {"inputs": {name: plain(np.asarray(part)) for name, part in data.items()}}
    return {"inputs": plain(np.asarray(data))}


def plain(value: Any) -> Any:
    """A value as JSON; NaN and what pandas calls missing are null."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
