"""Writes arrays, series and frames of numbers as the JSON that MLflow's server answers with, column by column."""

import json
from typing import Any

import numpy as np
import pandas as pd

from . import json_text

# Between these magnitudes Python writes a float without an exponent.
SMALLEST, LARGEST = 1e-4, 1e16
# The share of numbers with an exponent from which on the standard library writes all of them.
MANY = 0.1
NUMERIC_KINDS, LONGEST_NUMBER = "fiu", 8


def numbers_text(answer: Any) -> "str | None":
    """The JSON of an array of numbers, or of a frame or series as records; None if it holds anything else."""
    if json_text.core is None:
        return None
    if type(answer) is np.ndarray:
        return array_text(answer) if 0 < answer.ndim <= 2 and is_numeric(answer.dtype) else None  # noqa: PLR2004
    if type(answer) is pd.Series:
        answer = pd.DataFrame(answer)
    return records_text(answer) if type(answer) is pd.DataFrame else None


def is_numeric(dtype: Any) -> bool:
    """Whether values of this type become Python's int or float."""
    return isinstance(dtype, np.dtype) and dtype.kind in NUMERIC_KINDS and dtype.itemsize <= LONGEST_NUMBER


def texts(numbers: Any) -> "list[str]":
    """The texts of the numbers of a one-dimensional array; the standard library writes those with an exponent."""
    values = numbers.tolist()
    odd = [] if numbers.dtype.kind != "f" else np.flatnonzero(~has_plain_text(numbers)).tolist()
    if len(odd) > len(values) * MANY:
        return json.dumps(values)[1:-1].split(", ")
    parts = json_text.number_texts(values)
    for position in odd:
        parts[position] = json.dumps(values[position])
    return parts


def has_plain_text(numbers: Any) -> Any:
    """For each number, whether Python writes it without an exponent."""
    magnitudes = np.abs(numbers.astype("f8", copy=False))
    return ((magnitudes >= SMALLEST) & (magnitudes < LARGEST)) | (magnitudes == 0)


def array_text(numbers: Any) -> str:
    """The text of an array of one or two dimensions."""
    parts = texts(numbers.ravel())
    if numbers.ndim == 1:
        return f"[{', '.join(parts)}]"
    width = numbers.shape[1]
    rows = [", ".join(parts[start * width : (start + 1) * width]) for start in range(len(numbers))]
    return f"[{', '.join([f'[{row}]' for row in rows])}]"


def records_text(frame: Any) -> "str | None":
    """The text of a frame's rows as objects, made from the texts of its columns."""
    names = frame.columns.tolist()
    if not {type(name) for name in names} <= {str, int} or not 0 < len(names) == len(set(names)):
        return None
    if not all(map(is_numeric, frame.dtypes)):
        return None
    return json_text.joined(names, [texts(frame.iloc[:, number].to_numpy()) for number in range(len(names))])
