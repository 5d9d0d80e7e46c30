"""Calls by boto3: results, errors and bodies as they are sent back."""

import base64
import datetime as dt
import importlib
import io
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.payloads.messages.platforms import MALFORMED, CallAws
from mlflow_uv.payloads.platforms.aws_responses import MalformedResponse, require_shape


class _ClientError(Exception):
    def __init__(self, response: dict[str, Any]) -> None:
        super().__init__("refused")
        self.response = response


class _NoRegionError(Exception):
    pass


class _ResponseParserError(Exception):
    pass


class _CutOff:
    """A response whose connection ends; botocore says so where nothing more can be read."""

    def __init__(self) -> None:
        self._left = b"part"

    def read(self, _: int) -> bytes:
        """The part that was sent."""
        if not self._left:
            raise _NoRegionError("4 read, but total bytes expected is 10.")
        left, self._left = self._left, b""
        return left


class _Endless:
    def read(self, _: int) -> bytes:
        """There is always more."""
        return b"x"


class Account:
    """A client of boto3 that returns or raises what it is given."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.asked: list[dict[str, Any]] = []
        self.handlers: list[tuple[str, Any]] = []
        register = lambda event, handler: self.handlers.append((event, handler))  # noqa: E731
        self.meta = SimpleNamespace(events=SimpleNamespace(register=register))

    def describe(self, **parameters: Any) -> Any:
        """An operation."""
        self.asked.append(parameters)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account behind modules of the names of boto3 and botocore."""
    found = Account()
    modules = {name: ModuleType(name) for name in ("boto3", "botocore", "botocore.config", "botocore.exceptions",
                                                   "botocore.parsers")}  # fmt: skip
    vars(modules["boto3"])["client"] = lambda *_args, **_named: found
    vars(modules["botocore.config"])["Config"] = dict
    vars(modules["botocore.exceptions"]).update(BotoCoreError=_NoRegionError, ClientError=_ClientError)
    vars(modules["botocore.parsers"])["ResponseParserError"] = _ResponseParserError
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    name = "mlflow_uv.payloads.platforms.aws"
    monkeypatch.delitem(sys.modules, name, raising=False)
    yield found
    sys.modules.pop(name, None)


def call(**parts: Any) -> Any:
    """The result of an operation."""
    module = importlib.import_module("mlflow_uv.payloads.platforms.aws")
    return module.call(CallAws(service="sagemaker", operation="describe", parameters={"Name": "prod"}, **parts))


def test_a_result_is_json_and_a_body_is_text(account: Account) -> None:
    """
    Dates are numbers, and what only says how the call went is left out.
    """
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    account.answer = {"At": when, "Raw": b"x", "Body": io.BytesIO(b"{}"), "ResponseMetadata": {"RequestId": "1"}}

    result = call(body=base64.b64encode(b"asked").decode())

    assert ({"At": when.timestamp(), "Raw": "eA=="}, "e30=", "") == (result.parts, result.body, result.code)
    assert [{"Name": "prod", "Body": b"asked"}] == account.asked


def test_an_error_has_its_code_and_its_parts_and_no_secret(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of the service, or of boto3 itself.
    """
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush-hush")
    account.answer = _ClientError({"Error": {"Code": "ModelError", "Message": "of  hush-hush-hush"}, "Status": 400})
    refused = call()
    account.answer = _NoRegionError("You must specify a region.")
    lost = call()

    assert ({"Status": 400}, "ModelError", "of ***") == (refused.parts, refused.code, refused.message)
    assert ("_NoRegionError", "You must specify a region.") == (lost.code, lost.message)


def test_a_response_that_is_cut_off_or_cannot_be_parsed_is_an_error(account: Account) -> None:
    """
    Also while its body is read.
    """
    account.answer = {"Body": _CutOff()}
    cut_off = call()
    account.answer = {"Body": _Endless()}
    endless = call()
    account.answer = _ResponseParserError("Unable to parse response (not well-formed)")
    unparsable = call()

    assert ("BodyTooLarge", None) == (endless.code, endless.body)
    assert ({}, None, "_NoRegionError") == (cut_off.parts, cut_off.body, cut_off.code)
    assert (MALFORMED, "it cannot be read: Unable to parse response (not well-formed)") == (
        unparsable.code, unparsable.message,
    )  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'NoneType' object has no attribute 'update'"), KeyError("a"), OverflowError("too large"),
        RecursionError("too deep"), TypeError("'int' object is not iterable"), ValueError("Invalid timestamp"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), MalformedResponse("it is empty"),
    ],
)  # fmt: skip
def test_what_botocore_raises_for_other_documents_is_one_error(account: Account, error: Exception) -> None:
    """
    It parses a response by the shape of the operation, and does not look at it first; what it takes is compared.
    """
    account.answer = error
    result = call()

    assert (MALFORMED, {}) == (result.code, result.parts)
    assert [("after-call", require_shape)] == account.handlers
