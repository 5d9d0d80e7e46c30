"""
Deploys to Amazon SageMaker: the image as one of two production variants of an endpoint.

Models and endpoint configurations are named after their content and never changed, and those of what ran before are
not deleted while the endpoint is there, so that returning is an update to the configuration before.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from ...command.errors import BadInput, ToolFailed
from ...command.wording import step_call
from ...core.deploy.platform_settings import SagemakerSettings
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...core.release.digests import sha256
from ...tools.cloud.aws import Aws, AwsRefused, BotoAws, InvokedEndpoint, call
from ...tools.mlflow.endpoint import Endpoint
from ...tools.oci.logins import Login
from ...tools.oci.repository import RegistryUnanswered
from ...tools.toolbox import Tools
from .shared_endpoint import EndpointVariant, PlatformEndpoint, SharedEndpoint
from .target import IMAGE, STATE, VERSION, DeploymentOptions, WantedVersion, wanted_facts

_SERVICE = "sagemaker"
_TAG = "mlflow-uv:"
_OWNER = f"{_TAG}endpoint"
_LONGEST_NAME = 63
_HASH = 16
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
_UNUSABLE = frozenset({"Failed", "OutOfService"})
# Of an operation that finds nothing, or something of the name; both have the same code.
_ABSENT = re.compile(r"could not find|does not exist|not found", re.IGNORECASE)
_EXISTS = re.compile(r"already exist", re.IGNORECASE)
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/.+")
_TAG_SAFE = " :/=+-_."
_PERCENT = 100.0

Parts = Mapping[str, Any]


class SagemakerEndpoint:
    """See shared_endpoint.ServingPlatform."""

    place = "in this account and region"

    def __init__(self, options: DeploymentOptions, aws: Aws, tools: Tools) -> None:
        assert isinstance(options.settings, SagemakerSettings)  # noqa: S101  # those of its kind
        self._settings = options.settings
        self._answer_s = options.answer_s
        self._aws = aws
        self._tools = tools
        self._models: dict[str, tuple[dict[str, str], bool]] = {}  # facts by the name, and whether it is ours
        self._configs: dict[str, str] = {}  # the configuration with a variant alone, by the slot
        self.name = options.settings.endpoint(options.name)
        # A serverless endpoint has one variant.
        self.beside = options.settings.serverless_memory is None

    def look(self) -> PlatformEndpoint | None:
        """See ServingPlatform."""
        found = self._found("describe_endpoint", EndpointName=self.name)
        if found is None:
            return None
        status = str(found.get("EndpointStatus", ""))
        config = self._found("describe_endpoint_config", EndpointConfigName=found.get("EndpointConfigName", ""))
        defined = {part["VariantName"]: part for part in (config or {}).get("ProductionVariants") or ()}
        running = {part["VariantName"]: part for part in found.get("ProductionVariants") or ()}
        weights = {
            slot: float(running.get(slot, {}).get("CurrentWeight", part.get("InitialVariantWeight", 1.0)))
            for slot, part in defined.items()
        }
        whole = sum(weights.values()) or 1.0
        variants, ours = {}, bool(defined)
        for slot, part in defined.items():
            facts, made_here = self._facts_of(part["ModelName"])
            ours = ours and made_here and slot in SLOTS
            images = running.get(slot, {}).get("DeployedImages") or ()
            if images:
                facts = {**facts, IMAGE: str(images[0].get("SpecifiedImage", facts.get(IMAGE, "")))}
            facts = {**facts, STATE: RUNNING if status in _SERVING else status}
            variants[slot] = EndpointVariant(facts=facts, share=weights[slot] / whole * _PERCENT)
        if len(defined) == 1:
            self._configs.update(dict.fromkeys(defined, str(found.get("EndpointConfigName"))))
        reason = str(found.get("FailureReason", ""))
        return PlatformEndpoint(
            variants=variants,
            address=f"sagemaker:{self.name}",
            changing=status if status in _CHANGING else "",
            failed=f"{status}: {reason}" if status in _UNUSABLE else "",
            problem=reason,
            ours=ours,
        )

    def facts(self, wanted: WantedVersion) -> dict[str, str]:
        """See ServingPlatform."""
        if self._settings.role is None:
            raise BadInput(
                what="the deployment has no `role`",
                why="the servers of SageMaker have the rights of a role",
                fix='role = "arn:aws:iam::ACCOUNT:role/NAME" in the table of the deployment',
            )
        if wanted.serve_env.names and not self._settings.plain_variables:
            raise BadInput(
                what="SageMaker keeps the variables of a model in the clear",
                why=f"the model needs {', '.join(wanted.serve_env.names)}, and whoever may describe it would read them",
                fix="plain-variables = true in the table of the deployment, if none of them is a secret",
            )
        servers = f"{self._settings.instances} {self._settings.instance_type}"
        if self._settings.serverless_memory is not None:
            servers = f"none, {self._settings.serverless_memory} MiB, {self._settings.serverless_concurrency} at once"
        more = {
            "servers": servers,
            "role": self._settings.role.rpartition("/")[2],
            "request timeout": f"{self._answer_s:g} s",
            "variables": ", ".join(wanted.serve_env.names) or "none",
        }
        return wanted_facts(wanted, self._image(wanted), more)

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """See ServingPlatform."""
        model = self._create_model(wanted)
        found = self._found("describe_endpoint", EndpointName=self.name)
        new = self._definition(slot, model)
        if found is None:
            config = self._create_config((new,))
            self._call("create_endpoint", EndpointName=self.name, EndpointConfigName=config, Tags=self._tags({}))
            return True
        if not self.beside:
            self._configs[slot] = self._create_config((new,))
            return True
        others = [part for part in self._defined(found) if part["VariantName"] != slot]
        # All the traffic stays where it is: to the other variant with the most of it.
        kept = [{**part, "InitialVariantWeight": 1.0} for part in others[:1]]
        self._update(self._create_config((*kept, {**new, "InitialVariantWeight": 0.0})))
        return True

    def route(self, slot: str, percent: int) -> bool:
        """See ServingPlatform."""
        seen = self.look()
        if seen is not None and slot in seen.variants and seen.variants[slot].share == percent:
            return True
        if not self.beside:
            if seen is not None:
                self._update(self._configs[slot])
            return True
        weights = [
            {"VariantName": other, "DesiredWeight": float(percent if other == slot else _PERCENT - percent)}
            for other in (seen.variants if seen is not None else ())
        ]
        self._call(
            "update_endpoint_weights_and_capacities", EndpointName=self.name, DesiredWeightsAndCapacities=weights
        )
        return True

    def keep(self, slot: str) -> bool:
        """See ServingPlatform; a configuration with the same content as the one before is that one."""
        found = self._found("describe_endpoint", EndpointName=self.name)
        defined = self._defined(found or {})
        variant = next((part for part in defined if part["VariantName"] == slot), None)
        if variant is None:
            if slot not in self._configs or found is None:
                why = "the endpoint has another configuration"
                raise ToolFailed(what=f"`{slot}` of the endpoint `{self.name}` is gone", why=why)
            self._update(self._configs[slot])
        elif len(defined) > 1:
            self._update(self._create_config(({**variant, "InitialVariantWeight": 1.0},)))
        return True

    def replaced(self, version: str) -> str | None:
        """See ServingPlatform; the newest configuration with the version alone, which is kept with the endpoint."""
        newest = {"NameContains": self._base, "SortBy": "CreationTime", "SortOrder": "Descending"}
        for part in self._listed("list_endpoint_configs", "EndpointConfigs", **newest):
            name = part["EndpointConfigName"]
            if self._tags_of(part["EndpointConfigArn"]).get(_OWNER) != self.name:
                continue
            config = self._found("describe_endpoint_config", EndpointConfigName=name) or {}
            defined = list(config.get("ProductionVariants") or ())
            if len(defined) == 1 and self._facts_of(defined[0]["ModelName"])[0].get(VERSION) == version:
                self._configs[defined[0]["VariantName"]] = name
                return str(defined[0]["VariantName"])
        return None

    def delete(self) -> bool:
        """See ServingPlatform; configurations and models that belong to the endpoint are deleted after it."""
        if self._found("describe_endpoint", EndpointName=self.name) is not None:
            self._call("delete_endpoint", EndpointName=self.name)
            return False
        for listed, name, arn, delete in (
            ("EndpointConfigs", "EndpointConfigName", "EndpointConfigArn", "delete_endpoint_config"),
            ("Models", "ModelName", "ModelArn", "delete_model"),
        ):
            operation = "list_endpoint_configs" if listed == "EndpointConfigs" else "list_models"
            for part in list(self._listed(operation, listed, NameContains=self._base)):
                if self._tags_of(part[arn]).get(_OWNER) == self.name:
                    self._call(delete, **{name: part[name]})
        return True

    def server(self, slot: str | None) -> Endpoint:
        """See ServingPlatform; a variant is asked by its name, whatever its share of the traffic is."""
        return InvokedEndpoint(self._tools.web, self._aws, self.name, slot)

    # models, configurations, images

    def _image(self, wanted: WantedVersion) -> str:
        """The reference of the image by its digest. Raises BadInput if SageMaker cannot pull it."""
        image = wanted.record.image
        if image is None or not image.digest:
            raise BadInput(
                what=f"the image of {wanted.model} version {wanted.version} is in no registry",
                why="SageMaker pulls it by its digest",
                fix=step_call("release", push=True, image="ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME"),
            )
        if _ECR.fullmatch(wanted.address):
            return wanted.address
        if self._settings.repository is None:
            raise BadInput(
                what=f"`{wanted.address}` is not in Amazon ECR",
                why="SageMaker pulls images from there alone",
                fix='repository = "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME" in the table of the deployment',
            )
        return f"{self._settings.repository}@{image.digest}"

    def _create_model(self, wanted: WantedVersion) -> str:
        image = self._image(wanted)
        if image != wanted.address:
            self._copy(wanted.address, image)
        environment = {**wanted.serve_env.variables, "REQUEST_TIMEOUT": f"{self._answer_s:g}"}
        content = {"Image": image, "Environment": environment}
        facts = {name: value for name, value in self.facts(wanted).items() if name != STATE}
        name = self._named([image, facts, self._settings.role, sorted(environment.items())])
        self._call_unless_there(
            "create_model",
            ModelName=name,
            PrimaryContainer=content,
            ExecutionRoleArn=self._settings.role,
            Tags=self._tags(facts),
        )
        return name

    def _copy(self, source: str, target: str) -> None:
        self._tools.console.say(f"  copying the image to {target}")
        granted: Any = call(self._aws, "ecr", "get_authorization_token").get("authorizationData") or ({},)
        user, _, password = base64.b64decode(granted[0].get("authorizationToken", "")).decode().partition(":")
        try:
            self._tools.registries.copy(source, target, Login(user=user, password=password))
        except RegistryUnanswered as error:
            raise ToolFailed(
                what=f"the image cannot be copied to `{target.partition('@')[0]}`",
                why=str(error),
                fix="create the repository, or let the role of this job push to it" if error.denied else "",
            ) from error

    def _definition(self, slot: str, model: str) -> dict[str, Any]:
        shared = {"VariantName": slot, "ModelName": model, "InitialVariantWeight": 1.0}
        settings = self._settings
        if settings.serverless_memory is not None:
            limits = {"MemorySizeInMB": settings.serverless_memory, "MaxConcurrency": settings.serverless_concurrency}
            return {**shared, "ServerlessConfig": limits}
        return {**shared, "InstanceType": settings.instance_type, "InitialInstanceCount": settings.instances}

    def _create_config(self, variants: tuple[Parts, ...]) -> str:
        name = self._named(variants)
        self._call_unless_there(
            "create_endpoint_config",
            EndpointConfigName=name,
            ProductionVariants=list(variants),
            Tags=self._tags({}),
        )
        return name

    def _update(self, config: str) -> None:
        self._call("update_endpoint", EndpointName=self.name, EndpointConfigName=config)

    def _defined(self, endpoint: Parts) -> list[Parts]:
        """The definitions of the variants of an endpoint, the one with the most traffic first."""
        name = endpoint.get("EndpointConfigName", "")
        config = self._found("describe_endpoint_config", EndpointConfigName=name) if name else None
        running = endpoint.get("ProductionVariants") or ()
        weights = {part["VariantName"]: part.get("CurrentWeight", 1.0) for part in running}
        parts = list((config or {}).get("ProductionVariants") or ())
        return sorted(parts, key=lambda part: -float(weights.get(part["VariantName"], 0.0)))

    def _facts_of(self, model: str) -> tuple[dict[str, str], bool]:
        """The facts of a model that does not change, and whether it belongs to this endpoint."""
        if model not in self._models:
            found = self._found("describe_model", ModelName=model)
            tags = {} if found is None else self._tags_of(found["ModelArn"])
            facts = {
                name.removeprefix(_TAG): unquote(value.replace("@", "%"))
                for name, value in tags.items()
                if name.startswith(_TAG) and name != _OWNER
            }
            if found is not None:
                facts[IMAGE] = str(found.get("PrimaryContainer", {}).get("Image", ""))
            self._models[model] = facts, tags.get(_OWNER) == self.name
        return self._models[model]

    # calls

    @property
    def _base(self) -> str:
        return self.name[: _LONGEST_NAME - _HASH - 1].rstrip("-")

    def _named(self, content: object) -> str:
        """A name that says what the content is; it fits into the limit of all names."""
        return f"{self._base}-{sha256(json.dumps(content, sort_keys=True).encode())[:_HASH]}"

    def _tags(self, facts: Mapping[str, str]) -> list[dict[str, str]]:
        tags = {_OWNER: self.name} | {
            f"{_TAG}{name}": quote(value, safe=_TAG_SAFE).replace("%", "@") for name, value in facts.items()
        }
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def _tags_of(self, arn: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self._listed("list_tags", "Tags", ResourceArn=arn)}

    def _call(self, operation: str, **parameters: Any) -> Parts:
        return call(self._aws, _SERVICE, operation, **parameters)

    def _call_unless_there(self, operation: str, **parameters: Any) -> None:
        """Create something that is named after its content."""
        try:
            self._call(operation, **parameters)
        except AwsRefused as error:
            if _EXISTS.search(error.message) is None:
                raise

    def _found(self, operation: str, **parameters: Any) -> Parts | None:
        try:
            return self._call(operation, **parameters)
        except AwsRefused as error:
            if _ABSENT.search(error.message) is None:
                raise
            return None

    def _listed(self, operation: str, part: str, **parameters: Any) -> Iterator[Parts]:
        """Everything on the pages of a list."""
        token: dict[str, Any] = {}
        while True:
            page = self._call(operation, **parameters, **token)
            yield from page.get(part) or ()
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def open_target(options: DeploymentOptions, tools: Tools) -> SharedEndpoint:
    """See target.OpenTarget; boto3 is in the environment of this program that talks to tracking servers."""
    assert isinstance(options.settings, SagemakerSettings)  # noqa: S101  # those of its kind
    # boto3 reads AWS_DEFAULT_REGION alone; the other one is that of the newer tools of AWS.
    region = options.settings.region or tools.host.variables.get("AWS_REGION") or None
    aws = BotoAws(tools.mlflow, tools.environments.ours(), region)
    return SharedEndpoint(options, SagemakerEndpoint(options, aws, tools), tools)
