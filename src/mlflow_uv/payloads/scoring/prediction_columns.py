"""Turns what a model returns for a batch into columns with one value for each row."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..problems import Problem, ProblemKind

PREDICTION = "prediction"


def columns_of(predictions: Any, rows: int) -> dict[str, Any]:
    """
    The predictions for `rows` rows as columns by name; those of anything but a table are `prediction`.

    A table is a DataFrame, or a dictionary of arrays, which models with several output tensors return. Raises Problem
    unless there is one prediction for each row.
    """
    if isinstance(predictions, pd.DataFrame):
        columns = {str(name): predictions[name] for name in predictions}
        if len(columns) != len(predictions.columns):
            raise Problem(ProblemKind.CANNOT_PREDICT, "the model returns a table with several columns of one name")
    elif isinstance(predictions, Mapping) and predictions and all(map(_is_array, predictions.values())):
        columns = {str(name): values for name, values in predictions.items()}
    elif _is_array(predictions):
        columns = {PREDICTION: predictions}
    else:
        columns = {PREDICTION: [predictions]}
    for values in columns.values():
        if len(values) != rows:
            reason = f"the model returns {len(values)} predictions for {rows} rows, and `score` needs one for each row"
            raise Problem(ProblemKind.CANNOT_PREDICT, reason)
    return {name: _plain(values) for name, values in columns.items()}


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.ndim)
    return isinstance(value, (list, tuple, pd.Series)) or hasattr(value, "__array__")


def _plain(values: Any) -> Any:
    """A NumPy array of numbers, a Series, or a list; objects, which have no type of a table, become JSON text."""
    if isinstance(values, pd.Series):
        if values.dtype != object:
            return values.reset_index(drop=True)
        values = values.tolist()
    elif isinstance(values, np.ndarray) or not isinstance(values, (list, tuple)):
        array = np.asarray(values)
        if array.ndim == 1 and array.dtype.kind in "biuf":
            return array
        if array.ndim == 1 and array.dtype.kind == "M":
            return pd.Series(array)  # whose list has dates; that of an array has nanoseconds
        values = array.tolist()
    return [_cell(value) for value in values]


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and any(_is_object(item) for item in value)):
        return json.dumps(value, ensure_ascii=False, default=_json_value)
    if hasattr(value, "model_dump_json"):  # a pydantic model, such as the response of a chat model
        return value.model_dump_json()
    return list(value) if isinstance(value, tuple) else value


def _is_object(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and (isinstance(value, Mapping) or any(map(_is_object, value)))


def _json_value(value: Any) -> Any:
    """What JSON has no type for: NumPy's values as Python's, anything else as text."""
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
