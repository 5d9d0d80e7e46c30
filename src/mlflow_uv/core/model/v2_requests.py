"""Converts requests to the V2 (Open Inference) protocol, and its responses to predictions as MLflow returns them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.documents import parse_json

_JSON = "pd_json"  # content type of our server for values that no datatype has
_TYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
_NULLABLE = frozenset({"FP16", "FP32", "FP64", "BYTES"})


@lazy_dataclass
class V2Request:
    """A request of the V2 protocol, its number among the recorded ones, and the recorded answer of MLflow's server."""

    number: int
    body: Mapping[str, Any]
    answer: Any


def v2_requests(
    requests: Sequence[object], answers: Sequence[object], described: Sequence[Mapping[str, Any]]
) -> tuple[tuple[V2Request, ...], str]:
    """
    Return the requests that V2 can express, and why it cannot express the others.

    `described` are the inputs in the server's metadata (`GET /v2/models/NAME`): names, datatypes and content types.
    """
    expressed: list[V2Request] = []
    why = ""
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True), start=1):
        body = _body_of(request, described)
        if body is not None and isinstance(answer, dict) and "predictions" in answer:
            expressed.append(V2Request(number=number, body=body, answer=answer))
        else:
            why = why or f"request {number} is not a table or tensors, or has values that V2 cannot express"
    return tuple(expressed), why


def v2_predictions(response: object, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the predictions of a response in the form of the recorded ones. Raises ValueError for a malformed response.

    One output is a list, several are the columns of a table or named tensors, as the recorded answer has them.
    """
    outputs = _outputs_in(response)
    expected = recorded["predictions"]
    match expected:
        case [{**first}, *_] if first.keys() == outputs.keys():
            return {
                "predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
            }
        case {**named} if named.keys() == outputs.keys():
            return {"predictions": {name: _like(value, named[name]) for name, value in outputs.items()}}
    if len(outputs) != 1:
        raise ValueError(f"it has the outputs {', '.join(outputs) or 'none'}")
    (value,) = outputs.values()
    return {"predictions": _like(value, expected)}


def _body_of(request: object, described: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    named = _tensors_in(request, described)
    if not named or not isinstance(request, dict):
        return None
    by_name = {str(item.get("name")): item for item in described}
    tensors = [_tensor(name, value, by_name.get(name, {})) for name, value in named.items()]
    if None in tensors:
        return None
    table = request.keys() & {"dataframe_split", "dataframe_records"} or len(named) > 1
    params = request.get("params") or {}
    parameters = {**(params if isinstance(params, dict) else {}), **({"content_type": "pd"} if table else {})}
    return {"inputs": tensors, **({"parameters": parameters} if parameters else {})}


def _tensors_in(request: object, described: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The tensors of a request by name; empty if it has none."""
    match request:
        case {"dataframe_split": {"columns": [*columns], "data": [*rows]}}:
            return {str(name): [row[place] for row in rows] for place, name in enumerate(columns)}
        case {"dataframe_records": [{**first}, *_] as rows} | {"instances": [{**first}, *_] as rows}:
            if any(not isinstance(row, dict) or row.keys() != first.keys() for row in rows):
                return {}
            return {str(name): [row[name] for row in rows] for name in first}
        case {"inputs": {**tensors}} if all(isinstance(value, list) for value in tensors.values()):
            return {str(name): value for name, value in tensors.items()}
        case {"inputs": [*values]} | {"instances": [*values]} if values:
            return {str(described[0].get("name")) if len(described) == 1 else "input-0": values}
    return {}


def _tensor(name: str, value: list[Any], description: Mapping[str, Any]) -> dict[str, Any] | None:
    parameters = description.get("parameters")
    content = parameters.get("content_type") if isinstance(parameters, dict) else None
    if content == _JSON:
        value = [json.dumps(element) for element in value]
    shape = _shape(value)
    if shape is None:
        return None
    elements = list(_flat(value, len(shape)))
    datatype = str(description.get("datatype") or _datatype(elements) or "")
    kinds = {type(element) for element in elements}
    fits = kinds <= {kind for kind, other in _TYPES.items() if other[:2] == datatype[:2]} | {
        *((int,) if datatype.startswith("FP") else ()),
        *((int,) if datatype.startswith("UINT") else ()),
        *((type(None),) if datatype in _NULLABLE else ()),
    }
    if not datatype or not fits:
        return None
    tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape, "data": elements}
    content = content or ("str" if datatype == "BYTES" else None)
    return {**tensor, **({"parameters": {"content_type": content}} if content else {})}


def _datatype(elements: Sequence[Any]) -> str | None:
    """The datatype of values without metadata, None if no datatype has all of them."""
    kinds = {type(element) for element in elements} - {type(None)}
    if kinds == {int, float} or (kinds == {int} and None in elements):
        return "FP64"
    return _TYPES.get(kinds.pop()) if len(kinds) == 1 else None


def _shape(value: object) -> list[int] | None:
    """The shape of nested lists, None if they are uneven."""
    if not isinstance(value, list):
        return []
    shapes = [_shape(part) for part in value]
    if any(shape != shapes[0] or shape is None for shape in shapes):
        return None
    return [len(value), *(shapes[0] or [] if shapes else [])]


def _flat(value: Any, depth: int) -> Iterator[Any]:
    for _ in range(depth - 1):
        value = list(chain.from_iterable(value))
    yield from value


def _outputs_in(response: object) -> dict[str, Any]:
    """The outputs by name, as nested lists of their shapes."""
    match response:
        case {"outputs": [*outputs]}:
            return {str(output["name"]): _nested(output) for output in map(_checked, outputs)}
    raise ValueError("it has no outputs")


def _checked(output: Any) -> Mapping[str, Any]:
    match output:
        case {"name": str(), "shape": [*shape], "data": list()} if all(type(size) is int for size in shape):
            checked: Mapping[str, Any] = output
            return checked
    raise ValueError("an output lacks its name, shape or data")


def _nested(output: Mapping[str, Any]) -> Any:
    shape, value = output["shape"], output["data"]
    while value and isinstance(value[0], list):
        value = list(chain.from_iterable(value))
    if len(value) != prod(shape):
        raise ValueError(f"the output `{output['name']}` has {len(value)} elements, and the shape {shape}")
    parameters = output.get("parameters")
    if isinstance(parameters, dict) and parameters.get("content_type") == _JSON:
        value = [parse_json(element) for element in value]
    for size in reversed(shape[1:]):
        value = [value[start : start + size] for start in range(0, len(value), size)] if size else value
    return value


def _like(value: Any, expected: object) -> Any:
    """A tensor of shape [n, 1] as a list, and one of a single element as a scalar, if that is what was recorded."""
    match value, expected:
        case [[_], *_], [first, *_] if not isinstance(first, list) and all(len(row) == 1 for row in value):
            return [row[0] for row in value]
        case [element], _ if not isinstance(expected, list):
            return element
    return value
