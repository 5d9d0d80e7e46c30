# ruff: noqa: N803  # parameters have the names of the service
"""A stand-in for the control plane of SageMaker in an account, in memory, which refuses what AWS refuses."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.refusal import Refused
from tests.stand_ins.transform_jobs import TransformJobs

ACCOUNT = "arn:aws:sagemaker:eu-west-1:123456789012"
_NAME = re.compile(r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}")
_TAG = re.compile(r"[\w\s.:/=+\-@]{0,256}")
_LOOKS, _SILENT_LOOKS = 2, 5  # requests for the state until a change has ended, however long they take
_SETTLED = frozenset({"InService", "OutOfService", "Failed"})

Invoke = Callable[[str, bytes, str], tuple[int, bytes]]


@dataclass
class _Endpoint:
    config: str
    tags: list[dict[str, str]]
    status: str = "Creating"
    pending: str = ""
    weights: dict[str, float] = field(default_factory=dict)
    goal: dict[str, float] = field(default_factory=dict)
    looks: int = 0
    reason: str = ""


def doubling(image: str, body: bytes, content_type: str, fault: str) -> tuple[int, bytes]:
    """The response of a server that doubles, or does not."""
    del image, content_type
    try:
        value = json.loads(body)["inputs"][0]
    except (ValueError, KeyError, TypeError):
        return 400, b'{"message": "malformed"}'
    return 200, json.dumps({"predictions": [value * (3 if fault == "wrong" else 2)]}).encode()


@dataclass
class SageMakerAccount:
    """
    The models, configurations and endpoints of an account; `faults` are by the image.

    `invoke` answers a request to the container of an image, with the fault of that image, and `healthy` says whether a
    container of an image with these variables answers. `pulls_from` are the repositories of images, `login` is that
    for their registry.
    """

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, _Endpoint] = field(default_factory=dict)
    tags: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    invoke: Callable[[str, bytes, str, str], tuple[int, bytes]] = doubling
    healthy: Callable[[str, dict[str, str]], bool] = lambda _image, _variables: True
    pulls_from: str = r"\d{12}\.dkr\.ecr\..+"
    login: str = "AWS:made-up"
    token: str = ""  # of ECR, in place of the encoded login
    denied: bool = False
    without_effect: frozenset[str] = frozenset()  # operations that report success, and do nothing
    most_instances: int = 4
    transforms: TransformJobs = field(init=False)

    def __post_init__(self) -> None:
        self.transforms = TransformJobs(ACCOUNT, self._answered, lambda model: self.faults.get(self._image(model), ""))

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The response to an operation in the words of boto3. Raises Refused."""
        self.calls.append((operation, parameters))
        if self.denied:
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid")
        if operation in self.without_effect:
            return {}
        answer = getattr(self, f"_{operation}", None) or getattr(self.transforms, operation, None)
        if answer is None:
            raise Refused("UnknownOperationException", operation)
        return dict(answer(**parameters))

    def _get_authorization_token(self) -> dict[str, Any]:
        token = self.token or base64.b64encode(self.login.encode()).decode()
        return {"authorizationData": [{"authorizationToken": token, "expiresAt": 4e9}]}

    def _create_transform_job(self, *, Tags: list[dict[str, str]], **job: Any) -> dict[str, Any]:
        self._kept(self.models, job["ModelName"], "model")
        self._require_tags(Tags)
        made = self.transforms.create_transform_job(**job)
        self.tags[made["TransformJobArn"]] = Tags
        return made

    def _add_tags(self, *, ResourceArn: str, Tags: list[dict[str, str]]) -> dict[str, Any]:
        self._require_tags(Tags)
        if ResourceArn not in self.tags:
            raise Refused("ValidationException", f"Could not find {ResourceArn}.")
        keys = {tag["Key"] for tag in Tags}
        kept = [*(tag for tag in self.tags[ResourceArn] if tag["Key"] not in keys), *Tags]
        self.tags[ResourceArn] = kept
        return {"Tags": kept}

    def _create_model(
        self, *, ModelName: str, PrimaryContainer: dict[str, Any], ExecutionRoleArn: str, Tags: list[dict[str, str]]
    ) -> dict[str, Any]:
        arn = self._new("model", ModelName, self.models, Tags)
        if not re.fullmatch(f"{self.pulls_from}@sha256:[0-9a-f]{{64}}", PrimaryContainer["Image"]):
            raise Refused("ValidationException", f"Image {PrimaryContainer['Image']} is not in ECR.")
        model = {"PrimaryContainer": PrimaryContainer, "ExecutionRoleArn": ExecutionRoleArn}
        self.models[ModelName] = {"ModelName": ModelName, "ModelArn": arn, "CreationTime": 1.0, **model}
        return {"ModelArn": arn}

    def _create_endpoint_config(
        self, *, EndpointConfigName: str, ProductionVariants: list[dict[str, Any]], Tags: list[dict[str, str]]
    ) -> dict[str, Any]:
        arn = self._new("endpoint-config", EndpointConfigName, self.configs, Tags)
        if sum(part["InitialVariantWeight"] for part in ProductionVariants) <= 0:
            raise Refused("ValidationException", "The sum of the weights is zero.")
        for part in ProductionVariants:
            if part["ModelName"] not in self.models:
                raise Refused("ValidationException", f'Could not find model "{ACCOUNT}:model/{part["ModelName"]}".')
            if "ServerlessConfig" in part and len(ProductionVariants) > 1:
                raise Refused("ValidationException", "Serverless endpoints have one production variant.")
            if part.get("ServerlessConfig", {}).get("MemorySizeInMB", 0) % 1024:
                raise Refused("ValidationException", "The memory size must be in 1 GB increments.")
        self.configs[EndpointConfigName] = {
            "EndpointConfigName": EndpointConfigName,
            "EndpointConfigArn": arn,
            "ProductionVariants": ProductionVariants,
            "CreationTime": 1.0,
        }
        return {"EndpointConfigArn": arn}

    def _create_endpoint(
        self, *, EndpointName: str, EndpointConfigName: str, Tags: list[dict[str, str]]
    ) -> dict[str, Any]:
        arn = self._new("endpoint", EndpointName, self.endpoints, Tags)
        self._require_instances(EndpointConfigName)
        self.endpoints[EndpointName] = _Endpoint(config=EndpointConfigName, tags=Tags, pending=EndpointConfigName)
        return {"EndpointArn": arn}

    def _update_endpoint(self, *, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        endpoint = self._settled(EndpointName)
        self._require_instances(EndpointConfigName)
        if self._serverless(EndpointConfigName) != self._serverless(endpoint.config):
            raise Refused("ValidationException", "Cannot update between serverless and instance-based variants.")
        endpoint.status, endpoint.pending, endpoint.looks, endpoint.reason = "Updating", EndpointConfigName, 0, ""
        return {"EndpointArn": f"{ACCOUNT}:endpoint/{EndpointName}"}

    def _update_endpoint_weights_and_capacities(
        self, *, EndpointName: str, DesiredWeightsAndCapacities: list[dict[str, Any]]
    ) -> dict[str, Any]:
        endpoint = self._settled(EndpointName)
        goal = {part["VariantName"]: part["DesiredWeight"] for part in DesiredWeightsAndCapacities}
        if not goal.keys() <= endpoint.weights.keys():
            raise Refused("ValidationException", "A variant does not exist.")
        endpoint.status, endpoint.goal, endpoint.looks = "Updating", goal, 0
        return {"EndpointArn": f"{ACCOUNT}:endpoint/{EndpointName}"}

    def _delete_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        endpoint = self._settled(EndpointName, usable=False)
        endpoint.status, endpoint.looks = "Deleting", 0
        return {}

    def _delete_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:
        used = {name for endpoint in self.endpoints.values() for name in (endpoint.config, endpoint.pending)}
        if EndpointConfigName in used:
            raise Refused("ValidationException", "Cannot delete a configuration that is in use.")
        del self.configs[EndpointConfigName]
        return {}

    def _delete_model(self, *, ModelName: str) -> dict[str, Any]:
        self._kept(self.models, ModelName, "model")
        del self.models[ModelName]
        return {}

    def _describe_model(self, *, ModelName: str) -> dict[str, Any]:
        model = self._kept(self.models, ModelName, "model")
        container = {**model["PrimaryContainer"], "Image": self._image(ModelName, shown=True)}
        return {**model, "PrimaryContainer": container}

    def _describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:
        return dict(self._kept(self.configs, EndpointConfigName, "endpoint configuration"))

    def _describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        endpoint = self._kept(self.endpoints, EndpointName, "endpoint")
        self._go_on(EndpointName, endpoint)
        endpoint = self._kept(self.endpoints, EndpointName, "endpoint")
        variants = [
            {
                "VariantName": part["VariantName"],
                "CurrentWeight": endpoint.weights[part["VariantName"]],
                "DeployedImages": [{"SpecifiedImage": self._image(part["ModelName"], shown=True)}],
            }
            for part in self.configs[endpoint.config]["ProductionVariants"]
            if part["VariantName"] in endpoint.weights
        ]
        return {
            "EndpointName": EndpointName,
            "EndpointArn": f"{ACCOUNT}:endpoint/{EndpointName}",
            "EndpointConfigName": endpoint.config,
            "EndpointStatus": endpoint.status,
            "CreationTime": 1.0,
            "LastModifiedTime": 1.0,
            **({"ProductionVariants": variants} if variants else {}),
            **({"FailureReason": endpoint.reason} if endpoint.reason else {}),
        }

    def _list_tags(self, *, ResourceArn: str, NextToken: str = "") -> dict[str, Any]:
        tags = self.tags.get(ResourceArn, [])
        return {"Tags": tags[2:]} if NextToken else {"Tags": tags[:2], **({"NextToken": "2"} if tags[2:] else {})}

    def _list_models(self, *, NameContains: str) -> dict[str, Any]:
        shown = ("ModelName", "ModelArn", "CreationTime")
        return {"Models": [{part: model[part] for part in shown} for name, model in self.models.items()
                           if NameContains in name]}  # fmt: skip

    def _list_endpoint_configs(
        self, *, NameContains: str, SortBy: str = "CreationTime", SortOrder: str = "Descending"
    ) -> dict[str, Any]:
        assert (SortBy, SortOrder) == ("CreationTime", "Descending")
        shown = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        listed = [config for name, config in reversed(self.configs.items()) if NameContains in name]
        return {"EndpointConfigs": [{part: config[part] for part in shown} for config in listed]}

    def invoke_endpoint(
        self, name: str, body: bytes, *, content_type: str = "application/json", variant: str | None = None
    ) -> bytes:
        """What InvokeEndpoint returns. Raises Refused."""
        endpoint = self.endpoints.get(name)
        if endpoint is None or not endpoint.weights:
            raise Refused("ValidationError", f"Endpoint {name} of account 123456789012 not found.")
        chosen = variant or max(endpoint.weights, key=lambda slot: endpoint.weights[slot])
        parts = {part["VariantName"]: part for part in self.configs[endpoint.config]["ProductionVariants"]}
        if chosen not in parts:
            raise Refused("ValidationError", f"Variant {chosen} not found.")
        image = self._image(parts[chosen]["ModelName"])
        status, answer = self.invoke(image, body, content_type, self.faults.get(image, ""))
        if status != 200:
            raise Refused("ModelError", "Received an error from the primary container",
                          OriginalStatusCode=status, OriginalMessage=answer.decode())  # fmt: skip
        return answer

    def _new(self, kind: str, name: str, kept: dict[str, Any], tags: list[dict[str, str]]) -> str:
        if not _NAME.fullmatch(name):
            raise Refused("ValidationException", f"{name} fails to satisfy the constraint of names.")
        self._require_tags(tags)
        arn = f"{ACCOUNT}:{kind}/{name}"
        if name in kept:
            raise Refused("ValidationException", f'Cannot create already existing {kind} "{arn}".')
        self.tags[arn] = tags
        return arn

    def _require_tags(self, tags: list[dict[str, str]]) -> None:
        for tag in tags:
            if not _TAG.fullmatch(tag["Value"]) or not _TAG.fullmatch(tag["Key"]) or tag["Key"].startswith("aws:"):
                raise Refused("ValidationException", f"{tag} is not a valid tag.")

    def _serverless(self, config: str) -> bool:
        parts = self._kept(self.configs, config, "endpoint configuration")["ProductionVariants"]
        return any("ServerlessConfig" in part for part in parts)

    def _answered(self, model: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        image = self._image(model)
        return self.invoke(image, body, content_type, self.faults.get(image, ""))

    def _kept(self, kept: dict[str, Any], name: str, kind: str) -> Any:
        if name not in kept:
            raise Refused("ValidationException", f'Could not find {kind} "{ACCOUNT}:{kind}/{name}".')
        return kept[name]

    def _settled(self, name: str, *, usable: bool = True) -> _Endpoint:
        endpoint = self._kept(self.endpoints, name, "endpoint")
        if endpoint.status not in _SETTLED or (usable and endpoint.status == "Failed"):
            raise Refused("ValidationException", f'Cannot update in-progress endpoint "{ACCOUNT}:endpoint/{name}".')
        return endpoint

    def _require_instances(self, config: str) -> None:
        """Raise for more instances than the quota allows."""
        parts = self._kept(self.configs, config, "endpoint configuration")["ProductionVariants"]
        if sum(part.get("InitialInstanceCount", 0) for part in parts) > self.most_instances:
            message = f"The account-level service limit for endpoint usage is {self.most_instances} Instances."
            raise Refused("ResourceLimitExceeded", message)

    def _image(self, model: str, *, shown: bool = False) -> str:
        image = self.models[model]["PrimaryContainer"]["Image"]
        if shown and self.faults.get(image) == "swapped":
            return f"{image.partition('@')[0]}@sha256:{'9'.rjust(64, '0')}"
        return str(image)

    def _starts(self, part: dict[str, Any]) -> bool:
        container = self.models[part["ModelName"]]["PrimaryContainer"]
        return self.healthy(container["Image"], container["Environment"])

    def _go_on(self, name: str, endpoint: _Endpoint) -> None:
        """Let a change go on with each look."""
        if endpoint.status in _SETTLED:
            return
        endpoint.looks += 1
        parts = self.configs[endpoint.pending or endpoint.config]["ProductionVariants"]
        faults = {self.faults.get(self._image(part["ModelName"]), "") for part in parts} if endpoint.pending else set()
        if endpoint.looks < (_SILENT_LOOKS if "silent" in faults and endpoint.status != "RollingBack" else _LOOKS):
            return
        if endpoint.status == "Deleting":
            del self.endpoints[name]
        elif endpoint.status == "RollingBack":
            endpoint.status, endpoint.pending = "InService", ""
        elif endpoint.goal:
            endpoint.weights.update(endpoint.goal)
            endpoint.status, endpoint.goal = "InService", {}
        elif faults & {"silent", "ends"} or not all(map(self._starts, parts)):
            endpoint.reason = "The primary container for production variant did not pass the ping health check."
            endpoint.status, endpoint.looks = ("RollingBack" if endpoint.weights else "Failed"), 0
        else:
            endpoint.config, endpoint.pending, endpoint.status = endpoint.pending, "", "InService"
            endpoint.weights = {part["VariantName"]: part["InitialVariantWeight"] for part in parts}


def decoded(body: str | None) -> bytes:
    """The bytes of a body in Base64."""
    return base64.b64decode(body or "")
