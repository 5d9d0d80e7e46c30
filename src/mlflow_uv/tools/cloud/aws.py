"""Calls AWS through a payload with boto3, which finds the credentials of the environment itself."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ...command.errors import PlanOutdated, ToolFailed
from ...core.security.endpoint_address import NO_HEADERS, endpoint_address
from ...payloads.messages.platforms import MALFORMED, AwsResult, CallAws
from ..mlflow.endpoint import Endpoint
from ..mlflow.mlflow import Mlflow
from ..mlflow.model_requests import ModelReply, ModelRequest
from ..mlflow.store import Store, StoreKind
from ..system.web import Web, WebUnreachable

# No tracking server is needed: only what the environment has for AWS.
_NO_STORE = Store(uri="aws", kind=StoreKind.SERVER, variables={})
_NO_LOGIN = frozenset({
    "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId",
    "InvalidSignatureException", "NoCredentialsError", "PartialCredentialsError", "SignatureDoesNotMatch",
    "UnauthorizedSSOTokenError", "UnrecognizedClientException",
})  # fmt: skip
_NO_REGION = "NoRegionError"
_CONFLICTS = frozenset({"ConflictException", "ResourceInUse"})
_LOGIN = "give this job credentials of AWS (aws-actions/configure-aws-credentials, or AWS_PROFILE)"
_PROXY = "look at what answers in place of AWS: a proxy, or the address in AWS_ENDPOINT_URL"
_REGION = "set AWS_REGION, or `region` in the table of the deployment"
_MODEL_ERROR = "ModelError"  # the container answered with another status than 200
_TIMEOUTS = frozenset({"ReadTimeoutError", "ConnectTimeoutError"})
# While an endpoint starts or changes, and for a variant without instances.
_NOT_READY = frozenset({"ServiceUnavailable", "ModelNotReadyException", "InternalDependencyException"})


class AwsRefused(ToolFailed):
    """AWS refused a call: the code and the text of its error."""

    def __init__(self, operation: str, result: AwsResult) -> None:
        self.code, self.message = result.code, result.message
        fix = _LOGIN if result.code in _NO_LOGIN else _REGION if result.code == _NO_REGION else ""
        verb = "denies" if result.code in _NO_LOGIN else "refuses"
        super().__init__(what=f"AWS {verb} `{operation}`", why=f"{result.code}: {result.message}", fix=fix)


class Aws(Protocol):
    """The services of an account in a region."""

    def try_call(self, service: str, operation: str, parameters: Mapping[str, Any], **body: Any) -> AwsResult:
        """The result of an operation, which may be an error; `body` and `timeout_s` are those of CallAws."""


class BotoAws:
    """See Aws."""

    def __init__(self, mlflow: Mlflow, python: Path, region: str | None) -> None:
        """`python` is an interpreter with boto3 and MLflow."""
        self._mlflow = mlflow
        self._python = python
        self._region = region

    def try_call(self, service: str, operation: str, parameters: Mapping[str, Any], **body: Any) -> AwsResult:
        """See Aws."""
        request = CallAws(service=service, operation=operation, parameters=parameters, region=self._region, **body)
        return self._mlflow.ask(self._python, _NO_STORE, request, AwsResult)


class AwsPart(dict[str, Any]):
    """A part of what an operation returned. A member that it lacks is an error of the service, not a KeyError."""

    def __missing__(self, name: str) -> Any:
        raise ToolFailed(
            what=f"AWS returned a response without `{name}`", why="it is not as the operation is documented"
        )


def _strict(value: Any) -> Any:
    """A part of a response whose objects are AwsPart, on all levels."""
    if isinstance(value, Mapping):
        return AwsPart({name: _strict(part) for name, part in value.items()})
    if not isinstance(value, (list, tuple)):
        return value
    if None in value:
        raise ToolFailed(what="AWS returned a list with nothing in it", why="it is not as the operation is documented")
    return [_strict(part) for part in value]


def content_of(operation: str, result: AwsResult) -> bytes:
    """The body of a result. Raises ToolFailed for one that is not as CallAws returns it."""
    try:
        return base64.b64decode(result.body or "", validate=True)
    except ValueError:
        why = "its body cannot be decoded"
        raise ToolFailed(what=f"the response to `{operation}` is malformed", why=why) from None


def call(aws: Aws, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
    """What an operation returns. Raises AwsRefused, and PlanOutdated for a change of somebody else."""
    parts: AwsPart = _strict(returned(operation, aws.try_call(service, operation, parameters)).parts)
    return parts


def returned(operation: str, result: AwsResult) -> AwsResult:
    """The result of an operation that is none of its errors; raises as `call`."""
    if result.code in _CONFLICTS:
        raise PlanOutdated(
            what=f"AWS refuses `{operation}`",
            why=f"{result.code}: {result.message}",
            fix="run it again when the other change has ended",
        )
    if result.code == MALFORMED:
        raise ToolFailed(what=f"the response to `{operation}` is not one of AWS", why=result.message, fix=_PROXY)
    if result.code:
        raise AwsRefused(operation, result)
    return result


class InvokedEndpoint(Endpoint):
    """An endpoint of SageMaker, asked by InvokeEndpoint, which signs each request; see mlflow.endpoint.Endpoint."""

    def __init__(self, web: Web, aws: Aws, name: str, variant: str | None) -> None:
        shown = name if variant is None else f"{name}/variants/{variant}"
        # It is only shown: boto3 knows the address of the service.
        super().__init__(web, endpoint_address(f"https://sagemaker.invalid/{shown}"), NO_HEADERS)
        self._aws = aws
        self._parameters = {"EndpointName": name} | ({} if variant is None else {"TargetVariant": variant})

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See Endpoint; a container's refusal has its own status and body."""
        self.unreachable = None
        parameters = {**self._parameters, "ContentType": request.content_type}
        body = base64.b64encode(request.body or b"").decode()
        result = self._aws.try_call(
            "sagemaker-runtime", "invoke_endpoint", parameters, body=body, timeout_s=request.timeout_s
        )
        if not result.code:
            return ModelReply(status=200, body=content_of("invoke_endpoint", result).decode(errors="replace"))
        if result.code == _MODEL_ERROR:
            status = result.parts.get("OriginalStatusCode")
            message = str(result.parts.get("OriginalMessage", ""))
            return ModelReply(status=status if isinstance(status, int) else 500, body=message)
        if result.code in _NOT_READY:
            return ModelReply(status=503, body=result.message)
        slow = result.code in _TIMEOUTS
        self.unreachable = WebUnreachable(f"{result.code}: {result.message}", slow=slow, permanent=not slow)
        return None
