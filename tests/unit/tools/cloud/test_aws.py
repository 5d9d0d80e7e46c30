"""Calls to AWS: which of its errors mean what, and how an endpoint is asked."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from mlflow_uv.command.errors import PlanOutdated
from mlflow_uv.payloads.messages.platforms import AwsResult
from mlflow_uv.tools.cloud.aws import AwsRefused, InvokedEndpoint, call
from mlflow_uv.tools.mlflow.model_requests import ModelRequest
from mlflow_uv.tools.system.web import Web

REQUEST = ModelRequest(method="POST", path="/invocations", body=b"{}", timeout_s=3)


class OneResult:
    """See Aws; every call has the same result."""

    def __init__(self, code: str = "", message: str = "", body: str | None = None, **parts: Any) -> None:
        self._result = AwsResult(parts=parts, body=body, code=code, message=message)
        self.calls: list[tuple[str, str, Mapping[str, Any], dict[str, Any]]] = []

    def try_call(self, service: str, operation: str, parameters: Mapping[str, Any], **body: Any) -> AwsResult:
        """See Aws."""
        self.calls.append((service, operation, parameters, body))
        return self._result


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("NoCredentialsError", "AWS denies `x`: NoCredentialsError: m. Fix: give this job credentials"),
        ("ExpiredTokenException", "AWS denies `x`"),
        ("NoRegionError", "AWS refuses `x`: NoRegionError: m. Fix: set AWS_REGION"),
        ("ResourceLimitExceeded", "AWS refuses `x`: ResourceLimitExceeded: m$"),
    ],
)
def test_an_error_says_what_to_do_where_that_is_known(code: str, message: str) -> None:
    """
    A quota is the account's matter.
    """
    with pytest.raises(AwsRefused, match=message):
        call(OneResult(code, "m"), "sagemaker", "x")


def test_a_conflict_is_a_change_of_somebody_else() -> None:
    """
    The plan is outdated then.
    """
    with pytest.raises(PlanOutdated):
        call(OneResult("ConflictException"), "sagemaker", "x")


@pytest.mark.parametrize(
    ("aws", "status", "body"),
    [
        (OneResult(body=base64.b64encode(b'{"a": 1}').decode()), 200, '{"a": 1}'),
        (OneResult("ModelError", OriginalStatusCode=422, OriginalMessage="no column"), 422, "no column"),
        (OneResult("ModelError", OriginalStatusCode="?"), 500, ""),
        (OneResult("ServiceUnavailable", "starting"), 503, "starting"),
    ],
)
def test_the_containers_own_answer_is_that_of_the_endpoint(aws: OneResult, status: int, body: str) -> None:
    """
    The service wraps a refusal into an error of its own.
    """
    reply = InvokedEndpoint(Web({}), aws, "prod", "green").send(REQUEST)

    assert reply is not None
    assert (status, body) == (reply.status, reply.body)
    assert {"EndpointName": "prod", "TargetVariant": "green", "ContentType": "application/json"} == aws.calls[0][2]
    assert {"body": "e30=", "timeout_s": 3} == aws.calls[0][3]


@pytest.mark.parametrize(("code", "slow"), [("ReadTimeoutError", True), ("ValidationError", False)])
def test_no_answer_has_a_reason(code: str, slow: bool) -> None:
    """
    Only an endpoint that is slow may be asked with more time.
    """
    endpoint = InvokedEndpoint(Web({}), OneResult(code, "m"), "prod", None)

    assert endpoint.send(REQUEST) is None
    assert endpoint.unreachable is not None
    assert (f"{code}: m", slow, not slow) == (endpoint.log(), endpoint.unreachable.slow, endpoint.unreachable.permanent)
