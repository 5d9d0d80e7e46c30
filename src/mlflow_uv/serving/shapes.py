"""
What does this model want to be given, and what did it give back? Between tensors and what `predict` takes and returns.

The signature decides: columns become a DataFrame, named tensors a dict, one without a name an array. Names and content
types follow MLServer's MLflow runtime, so that its clients find what they know: `input-0`, `output-0`, `pd`, `np`.
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
NAMELESS = "output-0"
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
EXACT = 2**53  # up to here every whole number is a float, too
# Without it pandas 2 takes the first date for the pattern of all; pandas 1 did not, and does not know the word.
ISO = {} if pd.__version__.startswith("1.") else {"format": "ISO8601"}


def described(schema: Any, prefix: str) -> "list[dict[str, Any]]":
    """The tensors of a schema as the protocol describes them; arrays, objects and maps travel as JSON."""
    found = []
    for number, spec in enumerate(schema.inputs if schema else ()):
        if schema.is_tensor_spec():
            shape, (datatype, content) = list(spec.shape), (DATATYPES.get(spec.type, "BYTES"), NUMBERS)
        else:
            shape, (datatype, content) = [-1], COLUMNS.get(type_name(spec), ("BYTES", JSON))
        name = spec.name or f"{prefix}-{number}"
        found.append({"name": name, "datatype": datatype, "shape": shape, "parameters": {"content_type": content}})
    return found


def type_name(spec: Any) -> str:
    """`double`, `string`; nothing for a type that is made of others."""
    return str(getattr(spec.type, "name", "")).lower()


class Shapes:
    """What one model takes and returns."""

    def __init__(self, metadata: Any) -> None:
        self._inputs = metadata.get_input_schema()
        self._outputs = metadata.get_output_schema()
        self._hinted = bool(getattr(metadata, "_is_signature_from_type_hint", lambda: False)())
        self.inputs = described(self._inputs, "input")
        self.outputs = described(self._outputs, "output")

    def assemble(self, tensors: Sequence[Tensor], content: str) -> Any:
        """What `predict` is given. Raises BadRequest where the tensors cannot be put together."""
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
            tensors = [Tensor(number, one.array, one.content) for number, one in enumerate(tensors)]  # type: ignore[arg-type]
        return frame(tensors, specs)

    def _arrays(self, tensors: Sequence[Tensor]) -> Any:
        specs = {spec.name: spec for spec in self._inputs.inputs}
        if not self._inputs.has_input_names():
            return as_spec(only(tensors).array, self._inputs.inputs[0])
        return {one.name: as_spec(one.array, specs.get(one.name)) for one in tensors}

    def express(self, answer: Any) -> "list[Tensor]":
        """What `predict` returned. Raises Inexpressible."""
        if isinstance(answer, pd.DataFrame):
            return [tensor(str(name), answer[name].to_numpy()) for name in answer]
        if isinstance(answer, dict):
            return [tensor(str(name), value) for name, value in answer.items()]
        names = [one["name"] for one in self.outputs]
        return [tensor(names[0] if len(names) == 1 else NAMELESS, answer)]


def only(tensors: Sequence[Tensor]) -> Tensor:
    """The one tensor that a model without names takes."""
    if len(tensors) != 1:
        raise BadRequest(f"The model takes one input, not {len(tensors)}.")
    return tensors[0]


def as_spec(array: Any, spec: Any) -> Any:
    """Text as the kind of text that the signature asks for; everything else as it was sent, for MLflow to judge."""
    wanted = None if spec is None else spec.type
    return array.astype(wanted.kind) if wanted is not None and wanted.kind in "US" else array


def frame(tensors: Sequence[Tensor], specs: Any) -> pd.DataFrame:
    """A column from each tensor, of shape [n] or [n, 1]."""
    if len({one.array.shape[:1] for one in tensors}) > 1:
        raise BadRequest("The inputs are not equally long.")
    return pd.DataFrame({one.name: column(one, specs.get(one.name)) for one in tensors})


def column(one: Tensor, spec: Any) -> Any:
    """The values of a column as MLflow's types want them."""
    if one.array.ndim == 0:
        raise BadRequest(f"Input {one.name!r} has no dimension.")
    array = one.array.reshape(-1) if one.array.shape[1:] == (1,) else one.array
    name = None if spec is None else type_name(spec)
    if array.ndim > 1:
        if name:
            raise BadRequest(f"Input {one.name!r} is one column, so its shape is [n] or [n, 1].")
        return pd.Series(array.tolist(), dtype=object)
    if array.dtype.kind != "O":
        return array
    try:
        if name == "" or one.content == JSON:
            return pd.Series([json.loads(text) for text in array], dtype=object)
        if DATETIME in {name, one.content}:
            return pd.to_datetime(pd.Series(array), **ISO)
        if name == "binary" and one.content != BASE64:
            return pd.Series([base64.b64decode(text, validate=True) for text in array], dtype=object)
    except (ValueError, TypeError) as error:
        raise BadRequest(f"Input {one.name!r} cannot be read as {name or 'JSON'}: {error}.") from error
    return pd.Series(array.tolist())  # as pandas reads text


def elements(one: Tensor, spec: Any) -> "list[Any]":
    """The examples of a model whose input is described by a type hint."""
    return list(column(one, spec).tolist())


def tensor(name: str, value: Any) -> Tensor:
    """An array that the protocol has a datatype for; text, bytes and dates as text, anything else as JSON."""
    array = plain(value)
    if array.dtype in DATATYPES and array.dtype.kind != "O":
        return Tensor(name, array, NUMBERS)
    if array.dtype.kind == "M":
        return Tensor(name, np.where(np.isnat(array), None, np.datetime_as_string(array).astype(object)), DATETIME)
    found = [None if is_missing(one) else one for one in array.ravel().tolist()]
    kinds = {type(one) for one in found}
    if kinds <= {str, type(None)}:
        texts, content = found, TEXT
    elif kinds <= {bytes, type(None)}:
        texts, content = [one and base64.b64encode(one).decode() for one in found], BASE64
    elif all(one is None or isinstance(one, dt.date) for one in found):
        texts, content = [one and one.isoformat() for one in found], DATETIME
    else:
        texts, content = [json_text(one) for one in found], JSON
    whole = np.empty(len(texts), dtype=object)
    whole[:] = texts
    return Tensor(name, whole.reshape(array.shape), content)


def json_text(value: Any) -> str:
    """JSON as every reader takes it, without Python's word for what is no number. Raises Inexpressible for infinity."""
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


def is_missing(one: Any) -> bool:
    """Whether it stands for nothing, in one of pandas' ways."""
    return one is None or one is pd.NA or one is pd.NaT or (isinstance(one, float) and math.isnan(one))


def plain(value: Any) -> Any:
    """A numpy array of whatever a model returned."""
    if isinstance(value, pd.Series) and pd.api.types.is_numeric_dtype(value.dtype) and value.hasnans:
        return value.to_numpy(dtype="float64", na_value=np.nan)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        value = [value]
    if isinstance(value, (list, tuple)) and any(isinstance(one, (dict, bytes)) for one in value):
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
    """An array of whatever they are; numpy would look into those that have a length."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def numbers(array: Any) -> Any:
    """Columns of objects are often columns of one kind of number; where some are missing, they are floats."""
    found: list[Any] = [None if is_missing(one) else one for one in array.ravel().tolist()]
    kinds = {type(one) for one in found} - {type(None)}
    missing = None in found
    if kinds == {bool} and not missing:
        return array.astype("bool")
    if kinds == {int} and not missing and all(-(2**63) <= one < 2**63 for one in found):
        return array.astype("int64")
    if kinds and kinds <= {int, float} and (kinds != {int} or missing) and all(map(fits_a_float, found)):
        floats = [math.nan if one is None else float(one) for one in found]
        return np.array(floats, dtype="float64").reshape(array.shape)
    return array


def fits_a_float(one: Any) -> bool:
    """Whether a number keeps its value as a float; nothing becomes NaN."""
    return one is None or isinstance(one, float) or abs(one) <= EXACT


def jsonable(value: Any) -> Any:
    """What `json` does not know: numpy's arrays and numbers, dates, and what has one text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID, dt.timedelta)):
        return str(value)
    raise Inexpressible(f"The model answered with {type(value).__name__}, which no tensor can hold.")
