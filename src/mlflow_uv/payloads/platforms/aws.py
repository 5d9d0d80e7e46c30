"""Calls AWS by boto3, with the credentials that it finds: variables, a profile, or the identity of a job."""

import base64
import datetime as dt
import json
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ..messages.platforms import MALFORMED, AwsResult, CallAws
from ..problems import mask, shortened
from .aws_responses import MalformedResponse, require_shape

_CONNECT_S = 10
_ATTEMPTS = 5
_LONGEST_BODY = 256 << 20
_LONGEST_MESSAGE = 1000
# What botocore raises while it parses something else than a response of the operation.
_UNPARSED = (ResponseParserError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def call(request: CallAws) -> AwsResult:
    """Call an operation; an error of the service, or none of its responses, is a result too."""
    parameters = dict(request.parameters)
    if request.body is not None:
        parameters["Body"] = base64.b64decode(request.body)
    try:
        operation = getattr(_client(request.service, request.region, request.timeout_s), request.operation)
        response = operation(**parameters)
        content = response.pop("Body", None)
        raw = None if content is None else content.read(_LONGEST_BODY)
        # botocore compares the length with the announced one at the end alone.
        if content is not None and content.read(1):
            return AwsResult(parts={}, code="BodyTooLarge", message=f"it has more than {_LONGEST_BODY} bytes")
    except ClientError as error:
        parts = {name: part for name, part in error.response.items() if name not in {"Error", "ResponseMetadata"}}
        details = error.response.get("Error", {})
        code, message = str(details.get("Code", "Unknown")), str(details.get("Message", ""))
        return AwsResult(parts=_plain(parts), code=code, message=_shown(message))
    except BotoCoreError as error:
        return AwsResult(parts={}, code=type(error).__name__, message=_shown(str(error)))
    except MalformedResponse as error:
        return AwsResult(parts={}, code=MALFORMED, message=_shown(str(error)))
    except _UNPARSED as error:
        return AwsResult(parts={}, code=MALFORMED, message=_shown(f"it cannot be read: {error}"))
    body = None if raw is None else base64.b64encode(raw).decode()
    response.pop("ResponseMetadata", None)
    return AwsResult(parts=_plain(response), body=body)


@cache
def _client(service: str, region: "str | None", timeout_s: float) -> Any:
    retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    config = Config(connect_timeout=_CONNECT_S, read_timeout=timeout_s, retries=retries)
    client = boto3.client(service, region_name=region, config=config)
    client.meta.events.register("after-call", require_shape)
    return client


def _shown(message: str) -> str:
    return shortened(mask(" ".join(message.split())), _LONGEST_MESSAGE)


def _plain(response: Any) -> Any:
    """A response as JSON has it: dates as numbers, bytes in Base64."""

    def other(value: Any) -> Any:
        if isinstance(value, dt.datetime):
            return value.timestamp()
        return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

    return json.loads(json.dumps(response, default=other))
