"""
Answers of models: kept ones, and generated arrays, series and frames of any layout, most of them of numbers.

All choices come from a `random.Random`. Interpreters with MLflow run it.
"""

from random import Random
from typing import Any

import numpy as np
import pandas as pd

NUMBERS = pd.DataFrame({'100% "a, b"': [0.1, -0.0], "n": [1, -(2**63)], "f": np.array([0.1, 1e-3], dtype="f4")})
# What Python writes without an exponent, up to both ends, and what it writes with one.
PLAIN = np.array([[0.1, -0.0, 1 / 3, 5.0], [1e-4, 9999999999999998.0, -12345678.9, 1e15]])
KEPT: "list[Any]" = [
    NUMBERS, PLAIN, PLAIN.astype("f4"), PLAIN[0].astype("f2"), PLAIN[0].astype("g"), PLAIN[:0], PLAIN.T,
    np.array([1, 1e16]), np.array([0.5] * 30 + [1e16, -1e-5, np.nan, 5e-324]), np.full((3, 0), 0.5),
    np.ones((2, 1, 2)), np.array([1, 1e-5]), np.array(0.5), np.array([2**63], dtype="u8"), NUMBERS[:0],
    NUMBERS.astype({"n": "Int64"}), NUMBERS.set_axis([1, "1", 2], axis=1), NUMBERS.set_axis(["a", "a", "b"], axis=1),
    pd.DataFrame({("a", "b"): [1.5]}), pd.Series([1.5, 2.5]), pd.Series([1.5], name="%s"), NUMBERS.assign(s="x"),
    pd.DataFrame({"x": [1e16, 1.5]}), pd.DataFrame({"x": [True, False]}), np.ma.masked_array([1.5, 2.5], [True, False]),
    pd.DataFrame({"größe": [1.5], "\U0001f600": [2], "\u2028": [3]}), np.array([0.25, 2.5])[::-1],
]  # fmt: skip
FLOATS = (0.0, -0.0, 0.1, 1 / 3, 1e-4, 9.999999999999999e-05, 1e16, 9999999999999998.0, 1e22, 5e-324, 16777217.0,
          1.7976931348623157e308, float("inf"), float("-inf"), float("nan"))  # fmt: skip
INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
TEXTS = ("", "a", "é", "\U0001f600", "\u2028", '"', "\\", "a\0b", "%s", "%", "{", "NaN", "1.5", "</script>")
NAMES: "tuple[Any, ...]" = (*TEXTS, "x", "predict", "a, b", "b: c", 0, 1, -1, 1.5, None, True, ("a", "b"), np.int64(7))


def floats(random: Random, count: int) -> Any:
    """Floats of one magnitude or of many, of which few or many are written with an exponent."""
    odd, span = random.choice((0, 0, 0.05, 0.3, 1)), random.choice((0, 3, 30, 300))
    return np.array([
        random.choice(FLOATS) if random.random() < odd else random.gauss(0, 1) * 10.0 ** random.uniform(-span, span)
        for _ in range(count)
    ])  # fmt: skip


def numbers(random: Random, count: int) -> Any:
    """An array of numbers of any of numpy's types, in native or foreign order."""
    kind = random.choice(("f8", "f8", "f8", "f8", "f4", "f4", "f2", "g", ">f8", "<f4", *INTEGERS, ">i4", "?", "c16"))
    if kind[-2:] in INTEGERS:
        limits = np.iinfo(kind)
        edges = (limits.min, limits.max, 0, random.randint(limits.min, limits.max))
        return np.array([random.choice(edges) for _ in range(count)], dtype=kind)
    if kind == "?":
        return np.array([random.random() < 0.5 for _ in range(count)])
    with np.errstate(over="ignore"):
        return floats(random, count).astype(kind)


def column(random: Random, count: int) -> Any:
    """A column of numbers, or now and then of something else."""
    match random.randrange(20):
        case 0:
            return [random.choice(TEXTS) for _ in range(count)]
        case 1:
            return [random.choice((None, 1, 1.5, "a", True, b"x", [1.5])) for _ in range(count)]
        case 2:
            return pd.array([random.choice((None, 1, 2**53 + 1)) for _ in range(count)], dtype="Int64")
        case 3:
            return pd.array([random.choice((None, 0.1, 1e16)) for _ in range(count)], dtype="Float64")
        case 4:
            return pd.Categorical([random.choice((1.5, 2.5)) for _ in range(count)])
        case 5:
            return [pd.Timestamp(2020, 1, random.randint(1, 28)) for _ in range(count)]
        case 6:
            return [random.choice((None, 1.5)) for _ in range(count)]
        case _:
            return numbers(random, count)


def frame(random: Random, count: int) -> Any:
    """A frame with any names and index."""
    width = random.choice((1, 1, 2, 3, 8, 0))
    columns = [pd.Series(column(random, count)) for _ in range(width)]
    table = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(count))
    strange = random.random() < 0.5
    names = [random.choice(NAMES) if strange else f"c{number}" for number in range(width)]
    # Through an Index of objects: pandas otherwise makes levels of tuples and floats of integers.
    table.columns = pd.Index(names, dtype=object) if random.random() < 0.7 else pd.Index(names)
    if random.random() < 0.3:
        table.index = pd.Index([random.choice((1, "a", None)) for _ in range(count)], name="index")
    if random.random() < 0.2:
        table.columns.name = "names"
    return table


def laid_out(random: Random, array: Any) -> Any:
    """The array, or one with other strides, flags or of another class."""
    match random.randrange(9):
        case 0:
            return np.asfortranarray(array)
        case 1:
            return array[::-1]
        case 2:
            return np.repeat(array, 2, axis=0)[::2]
        case 3:
            array.setflags(write=False)
            return array
        case 4 if array.ndim == 2:
            return array.view(np.matrix)
        case 5:
            return np.ma.masked_array(array, array == array)  # noqa: PLR0124 - all but NaN
        case _:
            return array


def answer(random: Random) -> Any:
    """What a model may return."""
    count = random.choice((1, 1, 2, 3, 5, 40, 0))
    match random.randrange(10):
        case 0 | 1:
            return laid_out(random, numbers(random, count))
        case 2 | 3:
            width = random.choice((1, 2, 3, 0))
            return laid_out(random, numbers(random, count * width).reshape(count, width))
        case 4:
            return numbers(random, count * 2).reshape(random.choice(((count, 1, 2), (1, count, 2), (2, count, 1))))
        case 5:
            return pd.Series(column(random, count), name=random.choice(("y", *NAMES)))
        case 6:
            return random.choice(({"a": numbers(random, count)}, [numbers(random, 1)], numbers(random, 1)[0]))
        case _:
            return frame(random, count)
