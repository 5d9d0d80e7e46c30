"""Faults that are planted in the fast path, each of which the corpus has to find."""

import importlib
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

fast_path: Any = importlib.import_module("mlflow_uv_serving.protocols.fast_path")
fast_reading: Any = importlib.import_module("mlflow_uv_serving.protocols.fast_reading")
fast_writing: Any = importlib.import_module("mlflow_uv_serving.protocols.fast_writing")
json_text: Any = importlib.import_module("mlflow_uv_serving.protocols.json_text")

# A module or class, the name of a part of it, and what makes a faulty one of the part.
Fault = tuple[Any, str, Any]


def float_text(own: Any) -> Any:
    """An encoder of answers that writes 15 digits of a float."""

    def writing(original: Any) -> Any:
        write = own(original)

        def shortened(raw: Any, output: Any, metadata: Any = None) -> None:
            write(raw.round(15) if isinstance(raw, (pd.DataFrame, np.ndarray)) else raw, output, metadata)

        return shortened

    return writing


def core_fault(**changed: Any) -> Fault:
    """A reader and writer of JSON whose functions are changed."""
    return (
        json_text,
        "core",
        lambda own: SimpleNamespace(
            **{
                name: changed.get(name, lambda function: function)(getattr(own, name))
                for name in ("from_json", "to_json")
            }
        ),
    )


def read_rounded(from_json: Any) -> Any:
    """A reader of JSON that loses the last digits of floats."""

    def read(data: Any) -> Any:
        from_json(data)
        return json.loads(data, parse_float=lambda text: float(f"{float(text):.15g}"))

    return read


def shown_frame(own: Any) -> Any:
    """A reading whose two frames are one."""

    def frames(*arguments: Any) -> Any:
        reading = own(*arguments)
        return reading and fast_reading.Reading(reading.enforced, reading.enforced)

    return frames


def other_values(own: Any) -> Any:
    """A reading whose second frame, which only the model gets, has other values."""

    def frames(*arguments: Any) -> Any:
        reading = own(*arguments)
        return reading and fast_reading.Reading(reading.data, reading.enforced[::-1] * 2)

    return frames


def without_params(own: Any) -> Any:
    """A parser that drops the request's parameters."""

    def parsing(*arguments: Any) -> Any:
        parse = own(*arguments)
        return lambda *request: parse(*request)._replace(params=None)

    return parsing


def with_types(**changed: Any) -> Fault:
    """The table of plain types with other entries."""
    return fast_reading, "PLAIN", lambda own: {**own, **changed}


def written(change: Any) -> Fault:
    """Texts of numbers that are changed; `change` gets the function that writes them."""
    return fast_writing, "texts", lambda own: lambda array: change(own, array)


def ravelled(array: Any) -> Any:
    """The numbers of an array in the order of its memory."""
    return array.ravel("K").reshape(array.shape)


def array_fault(change: Any) -> Fault:
    """Arrays that are changed after they were read."""
    return fast_reading, "array", lambda own: lambda *arguments: change(own(*arguments))


FAULTS: "dict[str, Fault]" = {
    "float32 columns stay float64": with_types(float=("f8", fast_reading.NUMBERS)),
    "int32 columns become int64": with_types(integer=("i8", frozenset({int}))),
    "null becomes zero": array_fault(lambda array: np.nan_to_num(array, nan=0.0, posinf=np.inf, neginf=-np.inf)),
    "null in text becomes a word": (
        fast_reading, "column_of", lambda own: lambda values, plain: [str(v) for v in values]
        if plain[0] == "U" else own(values, plain),
    ),
    "floats are accepted as integers": with_types(long=("i8", frozenset({int, float}))),
    "large integers are accepted": (fast_reading, "EXACT", lambda own: dict.fromkeys(own, float("inf"))),
    "rows lie in memory one after the other": array_fault(np.asfortranarray),
    "negative zero loses its sign": array_fault(lambda array: array + 0 if array.dtype.kind == "f" else array),
    "the order of the request is kept": (
        fast_reading.Columns, "_ordered", lambda own: lambda self, names, columns: columns or own(self, names, columns)
    ),
    "the model gets what messages show": (fast_reading.Columns, "_frames", shown_frame),
    "the model gets other values": (fast_reading.Columns, "_frames", other_values),
    "parameters are lost": (fast_path, "parsing", without_params),
    "floats are written with 15 digits": (fast_path, "writing", float_text),
    "floats are read with 15 digits": core_fault(from_json=read_rounded),
    "small floats are written without an exponent": (fast_writing, "SMALLEST", lambda _own: 1e-30),
    "numbers that need an exponent change places": (
        fast_writing, "texts", lambda own: lambda numbers: own(numbers)[::-1]
    ),
    "numbers are written without spaces": (
        fast_writing, "array_text", lambda own: lambda numbers: own(numbers).replace(" ", "")
    ),
    "the members of a record change places": (
        json_text, "joined", lambda own: lambda names, parts: own(names[::-1], parts[::-1])
    ),
    "the values of a record change places": (
        json_text, "joined", lambda own: lambda names, parts: own(names, parts[::-1])
    ),
    "null becomes zero in answers": written(lambda own, array: own(np.where(np.isnan(array), 0, array))),
    "null is written as null": written(lambda own, array: [text.replace("NaN", "null") for text in own(array)]),
    "integers are written as floats": written(lambda own, array: own(array.astype("f8"))),
    "float32 is written with its own digits": written(
        lambda own, array: [str(value) for value in array] if array.dtype == "f4" else own(array)
    ),
    "arrays lie row after row": (fast_writing, "array_text", lambda own: lambda array: own(ravelled(array))),
    "names keep letters that are not ASCII": (
        json_text, "joined", lambda own: lambda *parts: json.dumps(json.loads(own(*parts)), ensure_ascii=False)
    ),
}  # fmt: skip
