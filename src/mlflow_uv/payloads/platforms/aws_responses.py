"""Compares a response of AWS with the shape that botocore has for it: botocore itself takes what it cannot read."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

_JSON = frozenset({"json", "rest-json"})
_ERROR = 300  # from this status on, a response is an error, which botocore raises
_ELSEWHERE = frozenset({"header", "headers", "statusCode"})  # parts of a response outside of its body
_TYPES: "dict[str, tuple[type, ...]]" = {
    "string": (str,), "character": (str,), "boolean": (bool,), "integer": (int,), "long": (int,),
    "float": (int, float), "double": (int, float), "timestamp": (dt.datetime,), "blob": (bytes, str),
    "structure": (Mapping,), "map": (Mapping,), "list": (list,),
}  # fmt: skip


class MalformedResponse(Exception):
    """A response with the status of a success that is not one of the operation, such as a page of a proxy."""


def require_shape(http_response: Any, parsed: "Mapping[str, Any]", model: Any, **_: Any) -> None:
    """
    Raise MalformedResponse for a response that is not as its operation is documented.

    A handler of botocore's event `after-call`. A body that is streamed is that of the model or the object: it is not
    read here.
    """
    if http_response.status_code >= _ERROR or model.has_streaming_output:
        return
    shape = model.output_shape
    in_body = shape is not None and any(
        member.serialization.get("location") not in _ELSEWHERE for member in shape.members.values()
    )
    content = http_response.content
    if not content.strip():
        if in_body:
            raise MalformedResponse("it is empty")
        # Nothing else says that it was AWS that answered.
        if not parsed.get("ResponseMetadata", {}).get("RequestId"):
            raise MalformedResponse("it is empty, and has no request id of AWS")
    elif model.service_model.protocol in _JSON:
        _require_object(content)
    elif not in_body:
        raise MalformedResponse("it has a body, and the operation returns none")
    if shape is None:
        return
    for name in shape.required_members:
        if parsed.get(name) is None:
            raise MalformedResponse(f"it has no `{name}`")
    for name, member in shape.members.items():
        if parsed.get(name) is not None:
            _require_type(parsed[name], member, name)


def _require_object(content: bytes) -> None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise MalformedResponse("it is not JSON") from None
    if not isinstance(document, dict):
        raise MalformedResponse("it is no JSON object")


def _require_type(value: Any, shape: Any, path: str) -> None:
    types = _TYPES.get(shape.type_name)
    if types is not None and not isinstance(value, types):
        raise MalformedResponse(f"its `{path}` is no {shape.type_name}")
    if shape.type_name == "list":
        for number, part in enumerate(value):
            _require_type(part, shape.member, f"{path}[{number}]")
    elif shape.type_name == "map":
        for name, part in value.items():
            _require_type(part, shape.value, f"{path}.{name}")
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _require_type(value[name], member, f"{path}.{name}")
