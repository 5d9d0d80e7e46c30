"""
How does a tensor travel? Between the V2 protocol's JSON or bytes and numpy.

Sources: the Open Inference Protocol (https://github.com/kserve/open-inference-protocol) and its binary tensor data
extension, and the content types by which MLServer says what the bytes of BYTES are: `str` (the default), `base64`.
"""

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

DTYPES = {
    "BOOL": "bool",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    "BYTES": "object",
}  # fmt: skip
DATATYPES = {np.dtype(dtype): datatype for datatype, dtype in DTYPES.items()}
JSON_TYPES: "dict[str, set[type]]" = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float, type(None)}}
TEXTS = {str, type(None)}
LENGTH = struct.Struct("<I")
INFINITE = "The model answered with infinity, which JSON cannot say. Ask for binary data, by binary_data_output."
BASE64, TEXT, NUMBERS, JSON = "base64", "str", "np", "pd_json"


class BadRequest(Exception):
    """What the client has to change: one sentence."""


class Inexpressible(Exception):
    """What the model answered has no form in the protocol: one sentence."""


@dataclass(frozen=True)
class Tensor:
    """An array with its name; `content` says what is in it where the datatype does not."""

    name: str
    array: Any
    content: str


def decode(said: Mapping[str, Any], raw: "bytes | None") -> Tensor:
    """A tensor of a request, from its JSON or from the bytes that follow it. Raises BadRequest."""
    name, datatype, shape = said.get("name"), said.get("datatype"), said.get("shape")
    if not isinstance(name, str) or not name:
        raise BadRequest("Every input needs a name.")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise BadRequest(f"Input {name!r}: the datatype {datatype!r} is not one of {', '.join(DTYPES)}.")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BadRequest(f"Input {name!r}: the shape is not a list of whole numbers.")
    content = str((said.get("parameters") or {}).get("content_type") or (TEXT if datatype == "BYTES" else NUMBERS))
    elements = from_json(name, datatype, said.get("data")) if raw is None else from_bytes(name, datatype, raw)
    if datatype == "BYTES":
        elements = contents(name, elements, content)
    if elements.size != math.prod(shape):
        raise BadRequest(f"Input {name!r}: the shape {shape} does not fit {elements.size} elements.")
    return Tensor(name, elements.reshape(shape), content)


def from_json(name: str, datatype: str, data: Any) -> Any:
    """The elements in row-major order, given flat or nested; nothing is rounded, cut or read as something else."""
    if not isinstance(data, list):
        raise BadRequest(f"Input {name!r}: there is no list of data.")
    flat: Sequence[Any] = data
    while flat and type(flat[0]) is list:
        if any(type(part) is not list for part in flat):
            raise BadRequest(f"Input {name!r}: the data is nested unevenly.")
        flat = list(chain.from_iterable(flat))
    dtype = np.dtype(DTYPES[datatype])
    allowed = JSON_TYPES.get(dtype.kind, TEXTS)
    if strange := {type(element).__name__ for element in flat if type(element) not in allowed}:
        raise BadRequest(f"Input {name!r}: {datatype} cannot hold {', '.join(sorted(strange))}.")
    if dtype.kind in "ui" and flat:
        limits = np.iinfo(dtype)
        if min(flat) < limits.min or max(flat) > limits.max:
            raise BadRequest(f"Input {name!r}: {datatype} holds numbers from {limits.min} to {limits.max}.")
    try:
        if dtype.kind == "f":
            return np.array(flat, dtype="float64").astype(dtype)
        return np.fromiter(flat, dtype=dtype, count=len(flat))
    except OverflowError as error:
        raise BadRequest(f"Input {name!r}: {error}.") from error


def from_bytes(name: str, datatype: str, raw: bytes) -> Any:
    """The elements as they lie in memory, little-endian; of BYTES, each after its length in four bytes."""
    dtype = np.dtype(DTYPES[datatype])
    if datatype != "BYTES":
        if len(raw) % dtype.itemsize:
            raise BadRequest(f"Input {name!r}: {len(raw)} bytes are no whole number of {datatype}.")
        return np.frombuffer(raw, dtype=dtype).copy()  # a model may write into what it is given
    found, at = [], 0
    while at < len(raw):
        end = at + LENGTH.size + (LENGTH.unpack_from(raw, at)[0] if at + LENGTH.size <= len(raw) else 0)
        if at + LENGTH.size > len(raw) or end > len(raw):
            raise BadRequest(f"Input {name!r}: an element is longer than the bytes that are there.")
        found.append(raw[at + LENGTH.size : end])
        at = end
    return objects(found)


def contents(name: str, elements: Any, content: str) -> Any:
    """What the elements of BYTES stand for: bytes where they are base64, text everywhere else."""
    try:
        if content == BASE64:
            return objects([one if one is None else base64.b64decode(one, validate=True) for one in elements])
        return objects([one.decode() if isinstance(one, bytes) else one for one in elements])
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise BadRequest(f"Input {name!r}: an element cannot be read as {content}: {error}.") from error


def objects(elements: Sequence[Any]) -> Any:
    """One dimension of whatever it is; numpy would look into elements that have a length."""
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def encode(tensor: Tensor, *, binary: bool) -> "tuple[dict[str, Any], bytes]":
    """A tensor of a response: what its JSON says, and the bytes that follow. Raises Inexpressible."""
    array = tensor.array
    datatype = DATATYPES[array.dtype.newbyteorder("<")]
    said = {"name": tensor.name, "datatype": datatype, "shape": list(array.shape)}
    parameters: dict[str, Any] = {"content_type": tensor.content}
    if not binary:
        return {**said, "parameters": parameters, "data": to_json(array)}, b""
    raw = to_bytes(array)
    return {**said, "parameters": {**parameters, "binary_data_size": len(raw)}}, raw


def to_json(array: Any) -> "list[Any]":
    """The elements, flat. What is not a number is null; JSON has no word for it, and none for infinity."""
    flat = array.ravel()
    if flat.dtype.kind != "f":
        return list(flat.tolist())
    if np.isinf(flat).any():
        raise Inexpressible(INFINITE)
    return [None if math.isnan(element) else element for element in flat.tolist()]


def to_bytes(array: Any) -> bytes:
    """The elements as they lie in memory."""
    if array.dtype.kind != "O":
        return bytes(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    texts = (b"" if one is None else one.encode() for one in array.ravel())
    return b"".join(LENGTH.pack(len(text)) + text for text in texts)
