"""
Reads and writes JSON with pydantic-core, which FastAPI brings along, where it has the results of the standard library.

It reads floats several times faster than `json.loads` and writes them ten times faster than `json.dumps`. What it
refuses, the standard library reads or refuses with its own message. Of what it writes, only the text of numbers is
used: the shortest digits are the same, and so is their form where Python writes no exponent.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

# The minor versions of pydantic-core that were compared over millions of floats.
OLDEST, NEWEST = (2, 14), (2, 50)
# Between these magnitudes Python writes a float without an exponent.
SMALLEST, LARGEST = 1e-4, 1e16
# The share of numbers with an exponent from which on the standard library writes all of them.
MANY = 0.1
NUMERIC_KINDS, LONGEST_NUMBER = "fiu", 8


def compared_core(version: str) -> bool:
    """Whether this version of pydantic-core was compared with the standard library."""
    return OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST


try:
    import pydantic_core
except ImportError:  # FastAPI with pydantic 1
    core: Any = None
else:
    core = pydantic_core if compared_core(pydantic_core.__version__) else None


def loads(data: Any) -> Any:
    """`json.loads`."""
    if core is not None:
        try:
            return core.from_json(data)
        except Exception:  # noqa: BLE001, S110 - the standard library says what is wrong, if anything is
            pass
    return json.loads(data)


def numbers_text(answer: Any) -> "str | None":
    """The JSON of an array of numbers, or of a frame or series as records; None if it holds anything else."""
    if core is None:
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
    if not values:
        return []
    odd = [] if numbers.dtype.kind != "f" else np.flatnonzero(~has_plain_text(numbers)).tolist()
    if len(odd) > len(values) * MANY:
        return json.dumps(values)[1:-1].split(", ")
    parts: list[str] = core.to_json(values)[1:-1].decode().split(",")
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
    return joined(names, [texts(frame.iloc[:, number].to_numpy()) for number in range(len(names))])


def joined(names: Sequence[Any], parts: Sequence[Sequence[str]]) -> str:
    """Objects with these members in one list."""
    members = ", ".join(f"{json.dumps(str(name))}: ".replace("%", "%%") + "%s" for name in names)
    row: Callable[[Any], str] = ("{" + members + "}").__mod__
    return "[" + ", ".join(map(row, zip(*parts, strict=True))) + "]"
