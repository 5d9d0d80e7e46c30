"""Reads requests of `/invocations` as the tables that a model gets from MLflow's server."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc import scoring_server


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
    return [frame for frame in found if len(frame)]


def body_of(data: Any) -> "dict[str, Any]":
    """A table or a matrix as the JSON of a request."""
    if isinstance(data, pd.DataFrame):
        rows = [[plain(value) for value in row] for row in data.itertuples(index=False, name=None)]
        return {"dataframe_split": {"columns": [str(name) for name in data.columns], "data": rows}}
    return {"inputs": [[plain(value) for value in row] for row in np.asarray(data).tolist()]}


def plain(value: Any) -> Any:
    """A value as JSON; NaN and what pandas calls missing are null."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
