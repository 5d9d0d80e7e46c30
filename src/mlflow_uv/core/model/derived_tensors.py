"""Derives requests for a model whose signature has tensors: other batches, shapes, types and extreme numbers."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .derived_values import UNICODE, LabelledValue

LARGE_TENSOR = 64  # items of the first dimension
_LARGE_SIZE = 200_000  # characters
_SAMPLED_TENSORS = 4
_INTEGER = lazy_pattern(r"(u?)int(\d+)")
_FLOATS = {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": 1.7976931348623157e308}
_UNNAMED = "the tensor"


@lazy_dataclass
class _Tensor:
    """A tensor of the signature: its name in messages, data type, shape (-1: any) and a value that is accepted."""

    shown: str
    dtype: str
    shape: tuple[int, ...]
    value: Any


def tensor_requests(specs: Sequence[Mapping[str, Any]], example: object) -> Iterator[tuple[str, Any]]:
    """Yield what is special about each request, and the request; `example` is a request that the model answers."""
    named = specs[0].get("name") is not None
    values = _values(specs, example)
    rest = {key: value for key, value in example.items() if key == "params"} if isinstance(example, dict) else {}
    tensors = {}
    for position, spec in enumerate(specs):
        about = spec.get("tensor-spec", {})
        shape = tuple(about.get("shape", ()))
        key = str(spec.get("name")) if named else position
        value = values[key] if key in values else _typical(str(about.get("dtype")), shape)
        shown = f"tensor {key!a}" if named else _UNNAMED
        tensors[key] = _Tensor(shown=shown, dtype=str(about.get("dtype")), shape=shape, value=value)
    whole: dict[Any, Any] = {key: tensor.value for key, tensor in tensors.items()}

    def request(changed: Mapping[Any, Any]) -> dict[str, Any]:
        return {"inputs": dict(changed) if named else changed[0], **rest}

    for label, cut in _batches(tensors):
        yield label, request(cut)
    if named:
        yield "an extra tensor", request({**whole, "mlflow_uv_unknown": [1]})
        for key in list(tensors)[:_SAMPLED_TENSORS]:
            without = {name: value for name, value in whole.items() if name != key}
            yield f"{tensors[key].shown} missing", request(without)
    for key in list(tensors)[:_SAMPLED_TENSORS]:
        for value in _variants(tensors[key]):
            yield f"{tensors[key].shown} {value.label}", request({**whole, key: value.value})


def _values(specs: Sequence[Mapping[str, Any]], example: object) -> dict[Any, Any]:
    """The tensors of an example by name, or by position where they have none."""
    match example:
        case {"inputs": dict() as named}:
            return dict(named)
        case {"inputs": list() as value} | {"instances": list() as value}:
            return {str(specs[0].get("name")) if specs[0].get("name") is not None else 0: value}
    return {}


def _batches(tensors: Mapping[Any, _Tensor]) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield other lengths of the first dimension, of all tensors together."""
    batched = {key: tensor for key, tensor in tensors.items() if tensor.shape[:1] == (-1,) and _has_items(tensor.value)}
    if not batched:
        return
    whole = {key: tensor.value for key, tensor in tensors.items()}
    first = {key: tensor.value[:1] for key, tensor in batched.items()}
    yield "one item", {**whole, **first}
    yield "empty batch", {**whole, **{key: [] for key in batched}}
    items = min(LARGE_TENSOR, _LARGE_SIZE // max(1, len(json.dumps(first))))
    if items > 1:
        yield f"batch of {items} items", {**whole, **{key: first[key] * items for key in batched}}


def _variants(tensor: _Tensor) -> Iterator[LabelledValue]:
    """Yield other values of one tensor: wrong shapes, then wrong types, then extremes of its own type."""
    yield LabelledValue("with one more dimension", [tensor.value])
    if _has_items(tensor.value):
        yield LabelledValue("with one dimension less", tensor.value[0])
        if len(tensor.shape) > 1:
            yield LabelledValue("with rows of different lengths", [*tensor.value, _shorter(tensor.value[0])])
            yield LabelledValue("with too few values", [_shorter(item) for item in tensor.value])
    yield LabelledValue("that is null", None)
    for value in _scalars(tensor.dtype):
        yield LabelledValue(f"with {value.label}", _with_first(tensor.value, value.value))


def _scalars(dtype: str) -> Iterator[LabelledValue]:
    yield LabelledValue("null", None)
    if match := _INTEGER.fullmatch(dtype):
        bits = int(match[2])
        lowest, largest = (0, 2**bits - 1) if match[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        yield LabelledValue("text", "text")
        yield LabelledValue("a fraction", 1.5)
        yield LabelledValue(f"the smallest {dtype}", lowest)
        yield LabelledValue(f"the largest {dtype}", largest)
        yield LabelledValue(f"a number larger than any {dtype}", largest + 1)
    elif dtype in _FLOATS:
        yield LabelledValue("text", "text")
        yield LabelledValue("NaN", math.nan)
        yield LabelledValue("infinity", math.inf)
        yield LabelledValue("an integer", 7)
        yield LabelledValue(f"the largest {dtype}", _FLOATS[dtype])
    elif dtype == "bool":
        yield LabelledValue("text", "text")
        yield LabelledValue("1 instead of true", 1)
    else:
        yield LabelledValue("a number", 7)
        yield LabelledValue("an empty text", "")
        yield LabelledValue("unicode", UNICODE)


def _has_items(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _shorter(value: Any) -> Any:
    return value[:-1] if isinstance(value, list) else value


def _with_first(value: Any, scalar: Any) -> Any:
    """The tensor with another first number."""
    if not _has_items(value):
        return scalar
    return [_with_first(value[0], scalar), *value[1:]]


def _typical(dtype: str, shape: Sequence[int]) -> Any:
    """A small tensor; a dimension of any length has length 1."""
    if not shape:
        return 1 if _INTEGER.fullmatch(dtype) else 1.5 if dtype in _FLOATS else True if dtype == "bool" else "text"
    return [_typical(dtype, shape[1:]) for _ in range(max(1, min(shape[0], LARGE_TENSOR)))]
