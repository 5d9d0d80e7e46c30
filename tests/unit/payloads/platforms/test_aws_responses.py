"""Responses of AWS that are compared with the shapes of their operations."""

import datetime as dt
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.payloads.platforms.aws_responses import MalformedResponse, require_shape

HEADER = {"location": "header"}
PAGE = b"<html><p>Log in<br></html>"


def shape(kind: str, **parts: Any) -> Any:
    """A shape as botocore has it."""
    return SimpleNamespace(**{"type_name": kind, "serialization": {}, "members": {}, "required_members": [], **parts})


NAME = shape("string")
MODEL = shape("structure", members={"ModelName": NAME, "CreationTime": shape("timestamp")})
MODELS = shape("structure", members={"Models": shape("list", member=MODEL)}, required_members=["Models"])
TAGS = shape("structure", members={"Tags": shape("map", value=NAME)})
STORED = shape("structure", members={"ETag": shape("string", serialization=HEADER)})
GOOD: dict[str, Any] = {"Models": [{"ModelName": "a", "CreationTime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}]}


def check(content: bytes, parsed: Mapping[str, Any], output: Any, **given: Any) -> None:
    """Compare a response with a shape."""
    parts = {"status": 200, "protocol": "json", "streams": False, **given}
    model = SimpleNamespace(
        output_shape=output,
        has_streaming_output=parts["streams"],
        service_model=SimpleNamespace(protocol=parts["protocol"]),
    )
    require_shape(
        http_response=SimpleNamespace(status_code=parts["status"], content=content), parsed=parsed, model=model
    )


@pytest.mark.parametrize(
    ("content", "parsed", "output", "reason"),
    [
        (PAGE, {}, MODELS, "it is not JSON"),
        (PAGE, {}, None, "it is not JSON"),
        (b'{"Models": [', {}, MODELS, "it is not JSON"),
        (b"[" * 100_000, {}, MODELS, "it is not JSON"),
        (b"", {}, MODELS, "it is empty"),
        (b"", {}, TAGS, "it is empty"),
        (b"", {}, None, "no request id of AWS"),
        (b"null", {}, None, "no JSON object"),
        (b"[1]", {}, TAGS, "no JSON object"),
        (b"{}", {}, MODELS, "it has no `Models`"),
        (b"{}", {"Models": None}, MODELS, "it has no `Models`"),
        (b"{}", {"Models": "abc"}, MODELS, "its `Models` is no list"),
        (b"{}", {"Models": [None]}, MODELS, r"its `Models\[0\]` is no structure"),
        (b"{}", {"Models": [{"ModelName": 3}]}, MODELS, r"its `Models\[0\]\.ModelName` is no string"),
        (b"{}", {"Tags": {"a": 1}}, TAGS, r"its `Tags\.a` is no string"),
    ],
)
def test_what_is_not_a_response_of_the_operation_is_refused(
    content: bytes, parsed: dict[str, Any], output: Any, reason: str
) -> None:
    """
    A page of a proxy, a part of a document, nothing, and values of other types.
    """
    with pytest.raises(MalformedResponse, match=reason):
        check(content, parsed, output)


def test_a_page_in_place_of_a_stored_object_s_confirmation_is_refused() -> None:
    """
    The service confirms without a body.
    """
    with pytest.raises(MalformedResponse, match="has a body, and the operation returns none"):
        check(PAGE, {"ETag": "x"}, STORED, protocol="rest-xml")


@pytest.mark.parametrize(
    ("content", "parsed", "output", "more"),
    [
        (json.dumps({"Models": []}).encode(), {"Models": []}, MODELS, {}),
        (b"{}", GOOD, MODELS, {}),
        (b"{}", {}, TAGS, {}),
        (b"", {"ResponseMetadata": {"RequestId": "1"}}, None, {}),
        (b"{}", {}, None, {}),
        (b"", {"ETag": "x", "ResponseMetadata": {"RequestId": "1"}}, STORED, {"protocol": "rest-xml"}),
        (PAGE, {}, MODELS, {"status": 404}),
        (PAGE, {}, shape("structure", required_members=["Body"]), {"streams": True}),
    ],
)
def test_any_other_response_passes(content: bytes, parsed: dict[str, Any], output: Any, more: dict[str, Any]) -> None:
    """
    An error has its own handling, and what is streamed is the answer of a model or an object.
    """
    check(content, parsed, output, **more)
