"""
Encodes and decodes tensors between the V2 protocol's JSON or binary data and numpy.

Sources: the Open Inference Protocol (https://github.com/kserve/open-inference-protocol) and its binary tensor data
extension, and MLServer's content types for BYTES: `str` (the default), `base64`.
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
INFINITE = "The model returned infinity, which JSON cannot represent. Request binary data with binary_data_output."
BASE64, TEXT, NUMBERS, JSON = "base64", "str", "np", "pd_json"


class BadRequest(Exception):
    """The request is invalid; the message is one sentence for the client."""


class Inexpressible(Exception):
    """The model's result cannot be represented in the protocol; the message is one sentence."""


@dataclass(frozen=True)
class Tensor:
    """A named numpy array; `content` is its content type, which distinguishes kinds of BYTES."""

    name: str
    array: Any
    content: str


def decode(description: Mapping[str, Any], raw: "bytes | None") -> Tensor:
    """A tensor of a request, from its JSON description and its binary data, None for JSON. Raises BadRequest."""
    name, datatype, shape = description.get("name"), description.get("datatype"), description.get("shape")
    if not isinstance(name, str) or not name:
        raise BadRequest("Every input needs a name.")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise BadRequest(f"Input {name!r}: the datatype {datatype!r} is not one of {', '.join(DTYPES)}.")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BadRequest(f"Input {name!r}: the shape is not a list of whole numbers.")
    content = str(
        (description.get("parameters") or {}).get("content_type") or (TEXT if datatype == "BYTES" else NUMBERS)
    )
    elements = from_json(name, datatype, description.get("data")) if raw is None else from_bytes(name, datatype, raw)
    if datatype == "BYTES":
        elements = contents(name, elements, content)
    if elements.size != math.prod(shape):
        raise BadRequest(f"Input {name!r}: the shape {shape} does not fit {elements.size} elements.")
    return Tensor(name, elements.reshape(shape), content)


def from_json(name: str, datatype: str, data: Any) -> Any:
    """The elements of flat or nested JSON data, in row-major order, without any lossy conversion. Raises BadRequest."""
    if not isinstance(data, list):
        raise BadRequest(f"Input {name!r}: its data is not a list.")
    flat: Sequence[Any] = data
    while flat and type(flat[0]) is list:
        if any(type(part) is not list for part in flat):
            raise BadRequest(f"Input {name!r}: the data is nested unevenly.")
        flat = list(chain.from_iterable(flat))
    dtype = np.dtype(DTYPES[datatype])
    allowed = JSON_TYPES.get(dtype.kind, TEXTS)
    if unexpected := {type(element).__name__ for element in flat if type(element) not in allowed}:
        raise BadRequest(f"Input {name!r}: {datatype} cannot hold {', '.join(sorted(unexpected))}.")
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
    """The elements of little-endian binary data; each element of BYTES is preceded by its length in four bytes."""
    dtype = np.dtype(DTYPES[datatype])
    if datatype != "BYTES":
        if len(raw) % dtype.itemsize:
            raise BadRequest(f"Input {name!r}: {len(raw)} bytes are not a multiple of the size of {datatype}.")
        return np.frombuffer(raw, dtype=dtype).copy()  # writable, because a model may modify its input
    values, offset = [], 0
    while offset < len(raw):
        end = offset + LENGTH.size + (LENGTH.unpack_from(raw, offset)[0] if offset + LENGTH.size <= len(raw) else 0)
        if offset + LENGTH.size > len(raw) or end > len(raw):
            raise BadRequest(f"Input {name!r}: an element is longer than the bytes that are there.")
        values.append(raw[offset + LENGTH.size : end])
        offset = end
    return objects(values)


def contents(name: str, elements: Any, content: str) -> Any:
    """The elements of BYTES: decoded bytes if the content type is base64, else text. Raises BadRequest."""
    try:
        if content == BASE64:
            return objects([item if item is None else base64.b64decode(item, validate=True) for item in elements])
        return objects([item.decode() if isinstance(item, bytes) else item for item in elements])
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise BadRequest(f"Input {name!r}: an element cannot be read as {content}: {error}.") from error


def objects(elements: Sequence[Any]) -> Any:
    """A one-dimensional object array; numpy would convert elements with a length into further dimensions."""
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def encode(tensor: Tensor, *, binary: bool) -> "tuple[dict[str, Any], bytes]":
    """A tensor of a response: its JSON description and its binary data, empty for JSON. Raises Inexpressible."""
    array = tensor.array
    datatype = DATATYPES[array.dtype.newbyteorder("<")]
    description = {"name": tensor.name, "datatype": datatype, "shape": list(array.shape)}
    parameters: dict[str, Any] = {"content_type": tensor.content}
    if not binary:
        return {**description, "parameters": parameters, "data": to_json(array)}, b""
    raw = to_bytes(array)
    return {**description, "parameters": {**parameters, "binary_data_size": len(raw)}}, raw


def to_json(array: Any) -> "list[Any]":
    """The elements, flat, with null for NaN. Raises Inexpressible for infinity."""
    flat = array.ravel()
    if flat.dtype.kind != "f":
        return list(flat.tolist())
    if np.isinf(flat).any():
        raise Inexpressible(INFINITE)
    return [None if math.isnan(element) else element for element in flat.tolist()]


def to_bytes(array: Any) -> bytes:
    """The elements as binary data, see `from_bytes`."""
    if array.dtype.kind != "O":
        return bytes(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    texts = (b"" if text is None else text.encode() for text in array.ravel())
    return b"".join(LENGTH.pack(len(encoded)) + encoded for encoded in texts)
