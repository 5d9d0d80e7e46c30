"""
Converts tensors of the V2 protocol into the input of a model's `predict`, and its result into tensors.

The signature decides: columns become a DataFrame, named tensors a dict, an unnamed tensor an array. Names and content
types are those of MLServer's MLflow runtime, for its clients: `input-0`, `output-0`, `pd`, `np`.
"""

import base64
import datetime as dt
import decimal
import json
import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .tensors import BASE64, DATATYPES, INFINITE, JSON, NUMBERS, TEXT, BadRequest, Inexpressible, Tensor

FRAME = "pd"
UNNAMED_OUTPUT = "output-0"
DATETIME = "datetime"
COLUMNS = {
    "boolean": ("BOOL", NUMBERS),
    "integer": ("INT32", NUMBERS),
    "long": ("INT64", NUMBERS),
    "float": ("FP32", NUMBERS),
    "double": ("FP64", NUMBERS),
    "string": ("BYTES", TEXT),
    "binary": ("BYTES", BASE64),
    "datetime": ("BYTES", DATETIME),
}
TABLE = 2  # dimensions
EXACT = 2**53  # every integer up to this magnitude has an exact float
# Without a format pandas 2 infers one from the first date; pandas 1 did not, and does not support this value.
ISO = {} if pd.__version__.startswith("1.") else {"format": "ISO8601"}


def described(schema: Any, prefix: str) -> "list[dict[str, Any]]":
    """The tensors of a schema as the protocol's metadata describe them; arrays, objects and maps are sent as JSON."""
    descriptions = []
    for number, spec in enumerate(schema.inputs if schema else ()):
        if schema.is_tensor_spec():
            shape, (datatype, content) = list(spec.shape), (DATATYPES.get(spec.type, "BYTES"), NUMBERS)
        else:
            shape, (datatype, content) = [-1], COLUMNS.get(type_name(spec), ("BYTES", JSON))
        name = spec.name or f"{prefix}-{number}"
        parameters = {"content_type": content}
        descriptions.append({"name": name, "datatype": datatype, "shape": shape, "parameters": parameters})
    return descriptions


def type_name(spec: Any) -> str:
    """The name of a scalar type, such as `double`; empty for a compound type."""
    return str(getattr(spec.type, "name", "")).lower()


class Shapes:
    """The input and output schemas of one model."""

    def __init__(self, metadata: Any) -> None:
        self._inputs = metadata.get_input_schema()
        self._outputs = metadata.get_output_schema()
        self._hinted = bool(getattr(metadata, "_is_signature_from_type_hint", lambda: False)())
        self.inputs = described(self._inputs, "input")
        self.outputs = described(self._outputs, "output")

    def to_model_input(self, tensors: Sequence[Tensor], content: str) -> Any:
        """The input for `predict`; `content` is the request's content type. Raises BadRequest for unfit tensors."""
        schema = self._inputs
        if schema is None:
            alone = len(tensors) == 1
            return frame(tensors, {}) if content == FRAME or not (alone or content == NUMBERS) else tensors[0].array
        if schema.is_tensor_spec():
            return self._arrays(tensors)
        if self._hinted:
            return elements(only(tensors), schema.inputs[0])
        specs = {spec.name or number: spec for number, spec in enumerate(schema.inputs)}
        first = tensors[0]
        if len(tensors) == 1 and first.array.ndim == TABLE and first.name not in specs and len(specs) > 1:
            if first.array.shape[1] != len(specs):
                raise BadRequest(f"Input {first.name!r} has {first.array.shape[1]} columns, the model {len(specs)}.")
            return pd.DataFrame(first.array, columns=list(specs))
        if not schema.has_input_names():
            tensors = [Tensor(number, item.array, item.content) for number, item in enumerate(tensors)]  # type: ignore[arg-type]
        return frame(tensors, specs)

    def _arrays(self, tensors: Sequence[Tensor]) -> Any:
        specs = {spec.name: spec for spec in self._inputs.inputs}
        if not self._inputs.has_input_names():
            return as_spec(only(tensors).array, self._inputs.inputs[0])
        return {item.name: as_spec(item.array, specs.get(item.name)) for item in tensors}

    def to_tensors(self, prediction: Any) -> "list[Tensor]":
        """The result of `predict` as tensors. Raises Inexpressible."""
        if isinstance(prediction, pd.DataFrame):
            return [tensor(str(name), prediction[name].to_numpy()) for name in prediction]
        if isinstance(prediction, dict):
            return [tensor(str(name), value) for name, value in prediction.items()]
        names = [output["name"] for output in self.outputs]
        return [tensor(names[0] if len(names) == 1 else UNNAMED_OUTPUT, prediction)]


def only(tensors: Sequence[Tensor]) -> Tensor:
    """The only tensor, for a model with one unnamed input. Raises BadRequest for several."""
    if len(tensors) != 1:
        raise BadRequest(f"The model takes one input, not {len(tensors)}.")
    return tensors[0]


def as_spec(array: Any, spec: Any) -> Any:
    """Text with the string dtype of the signature; anything else unchanged, for MLflow to validate."""
    dtype = None if spec is None else spec.type
    return array.astype(dtype.kind) if dtype is not None and dtype.kind in "US" else array


def frame(tensors: Sequence[Tensor], specs: Any) -> pd.DataFrame:
    """A DataFrame with a column for each tensor of shape [n] or [n, 1]. Raises BadRequest."""
    if len({item.array.shape[:1] for item in tensors}) > 1:
        raise BadRequest("The inputs have different lengths.")
    return pd.DataFrame({item.name: column(item, specs.get(item.name)) for item in tensors})


def column(source: Tensor, spec: Any) -> Any:
    """The values of a column in the Python types that MLflow's schema requires. Raises BadRequest."""
    if source.array.ndim == 0:
        raise BadRequest(f"Input {source.name!r} is a scalar; its shape must be [n] or [n, 1].")
    array = source.array.reshape(-1) if source.array.shape[1:] == (1,) else source.array
    name = None if spec is None else type_name(spec)
    if array.ndim > 1:
        if name:
            raise BadRequest(f"Input {source.name!r} is one column, so its shape is [n] or [n, 1].")
        return pd.Series(array.tolist(), dtype=object)
    if array.dtype.kind != "O":
        return array
    try:
        if name == "" or source.content == JSON:
            return pd.Series([json.loads(text) for text in array], dtype=object)
        if DATETIME in {name, source.content}:
            return pd.to_datetime(pd.Series(array), **ISO)
        if name == "binary" and source.content != BASE64:
            return pd.Series([base64.b64decode(text, validate=True) for text in array], dtype=object)
    except (ValueError, TypeError) as error:
        raise BadRequest(f"Input {source.name!r} cannot be read as {name or 'JSON'}: {error}.") from error
    return pd.Series(array.tolist())  # with the string dtype that pandas infers


def elements(source: Tensor, spec: Any) -> "list[Any]":
    """The list of examples for a model whose signature comes from a type hint."""
    return list(column(source, spec).tolist())


def tensor(name: str, value: Any) -> Tensor:
    """A value as a tensor with a datatype of the protocol; text, bytes and dates as text, others as JSON."""
    array = plain(value)
    if array.dtype in DATATYPES and array.dtype.kind != "O":
        return Tensor(name, array, NUMBERS)
    if array.dtype.kind == "M":
        return Tensor(name, np.where(np.isnat(array), None, np.datetime_as_string(array).astype(object)), DATETIME)
    values = [None if is_missing(item) else item for item in array.ravel().tolist()]
    kinds = {type(item) for item in values}
    if kinds <= {str, type(None)}:
        texts, content = values, TEXT
    elif kinds <= {bytes, type(None)}:
        texts, content = [item and base64.b64encode(item).decode() for item in values], BASE64
    elif all(item is None or isinstance(item, dt.date) for item in values):
        texts, content = [item and item.isoformat() for item in values], DATETIME
    else:
        texts, content = [json_text(item) for item in values], JSON
    flat = np.empty(len(texts), dtype=object)
    flat[:] = texts
    return Tensor(name, flat.reshape(array.shape), content)


def json_text(value: Any) -> str:
    """Standard JSON, with null for NaN. Raises Inexpressible for infinity."""
    text = json.dumps(value, default=jsonable)
    try:
        return json.dumps(json.loads(text), allow_nan=False)
    except ValueError:
        return json.dumps(without_nan(json.loads(text)))


def without_nan(value: Any) -> Any:
    """The same JSON with null for every NaN."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    if isinstance(value, float) and math.isinf(value):
        raise Inexpressible(INFINITE)
    return None if is_missing(value) else value


def is_missing(value: Any) -> bool:
    """Whether a value is one of pandas' missing values."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def plain(value: Any) -> Any:
    """The result of a model as a numpy array."""
    if isinstance(value, pd.Series) and pd.api.types.is_numeric_dtype(value.dtype) and value.hasnans:
        return value.to_numpy(dtype="float64", na_value=np.nan)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        value = [value]
    if isinstance(value, (list, tuple)) and any(isinstance(item, (dict, bytes)) for item in value):
        return one_dimension(value)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return one_dimension(value)
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind == "f" and array.dtype not in DATATYPES:
        return array.astype("float64")
    return numbers(array) if array.dtype.kind == "O" and array.size else array


def one_dimension(values: Sequence[Any]) -> Any:
    """A one-dimensional object array; numpy would convert elements with a length into further dimensions."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def numbers(array: Any) -> Any:
    """An object array of one kind of number with that dtype; with missing values as floats. Others unchanged."""
    values: list[Any] = [None if is_missing(item) else item for item in array.ravel().tolist()]
    kinds = {type(item) for item in values} - {type(None)}
    missing = None in values
    if kinds == {bool} and not missing:
        return array.astype("bool")
    if kinds == {int} and not missing and all(-(2**63) <= item < 2**63 for item in values):
        return array.astype("int64")
    if kinds and kinds <= {int, float} and (kinds != {int} or missing) and all(map(fits_a_float, values)):
        floats = [math.nan if item is None else float(item) for item in values]
        return np.array(floats, dtype="float64").reshape(array.shape)
    return array


def fits_a_float(value: Any) -> bool:
    """Whether a number has an exact float; None becomes NaN."""
    return value is None or isinstance(value, float) or abs(value) <= EXACT


def jsonable(value: Any) -> Any:
    """Convert numpy arrays and scalars, dates, and types with one text form for `json`. Raises Inexpressible."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID, dt.timedelta)):
        return str(value)
    raise Inexpressible(f"The model returned {type(value).__name__}, which cannot be converted to a tensor.")
