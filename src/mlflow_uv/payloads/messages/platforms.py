"""Defines the verbs about platforms that serve models, for which a client library of theirs is needed."""

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

from .lazy_dataclass import lazy_dataclass
from .request import Request

MALFORMED = "MalformedResponse"  # the code of an AwsResult for what is not a response of the operation


@lazy_dataclass
class CallAws(Request):
    """
    Call an operation of an AWS service by boto3, such as `describe_endpoint` of `sagemaker`.

    `body` is a parameter `Body` in Base64. Without a `region` it is that of the environment. `timeout_s` is for each
    read of the response.
    """

    verb: ClassVar[str] = "call-aws"
    service: str
    operation: str
    parameters: Mapping[str, Any]
    body: str | None = None
    region: str | None = None
    timeout_s: float = 70.0


@lazy_dataclass
class AwsResult:
    """
    What an operation returned, its `Body` in Base64; or the code and the message of an error.

    Of an error, `parts` are the parts of the response beside its code and message.
    """

    parts: Mapping[str, Any]
    body: str | None = None
    code: str = ""
    message: str = ""


class PluginAction(str, enum.Enum):
    """What a plugin of `mlflow.deployments` is asked to do."""

    FIND = "find"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PREDICT = "predict"


@lazy_dataclass
class CallPlugin(Request):
    """
    Ask a plugin of `mlflow.deployments`, by its target, to do something with a deployment.

    `model_uri` and `config` are for `create` and `update`, `inputs` is the body of a request for `predict`.
    """

    verb: ClassVar[str] = "call-plugin"
    target: str
    action: PluginAction
    name: str
    model_uri: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    inputs: str = ""


@lazy_dataclass
class PluginResult:
    """What the plugin says of a deployment, None without one; a prediction as JSON, or why there is none."""

    deployment: Mapping[str, Any] | None = None
    prediction: str | None = None
    reason: str = ""
