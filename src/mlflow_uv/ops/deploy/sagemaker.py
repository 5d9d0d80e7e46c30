"""
Deploys to Amazon SageMaker: the image as one of two production variants of an endpoint.

Models and endpoint configurations are named after their content and never changed, and those of what ran before are
not deleted while the endpoint is there, so that returning is an update to the configuration before.
"""

from typing import Any

from ...command.errors import BadInput, ToolFailed
from ...core.deploy.difference import Facts
from ...core.deploy.platform_settings import SagemakerMode, SagemakerSettings
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...tools.cloud.aws import Aws, BotoAws, InvokedEndpoint
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from .sagemaker_models import OWNER, SERVERS, Parts, SagemakerModels
from .sagemaker_transform import SagemakerTransform
from .shared_endpoint import EndpointVariant, PlatformEndpoint, SharedEndpoint
from .target import IMAGE, STATE, VERSION, DeploymentOptions, WantedVersion

_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
_UNUSABLE = frozenset({"Failed", "OutOfService"})
_PERCENT = 100.0
_MEMORY_STEP = 1024  # MiB, of an endpoint without servers of its own


class SagemakerEndpoint:
    """See shared_endpoint.ServingPlatform."""

    place = "in this account and region"

    def __init__(self, options: DeploymentOptions, aws: Aws, tools: Tools) -> None:
        self._account = SagemakerModels(options, aws, tools)
        self._settings = self._account.settings
        self._aws = aws
        self._tools = tools
        self._configs: dict[str, str] = {}  # the configuration with a variant alone, by the slot
        self.name = self._account.name
        # A serverless endpoint has one variant.
        self.beside = self.divides = self._settings.serverless_memory is None

    def look(self) -> PlatformEndpoint | None:
        """See ServingPlatform."""
        found = self._account.found("describe_endpoint", EndpointName=self.name)
        if found is None:
            return None
        status = str(found["EndpointStatus"])
        config = self._config(str(found.get("EndpointConfigName", "")))
        defined = {part["VariantName"]: part for part in (config or {"ProductionVariants": ()})["ProductionVariants"]}
        running = {part["VariantName"]: part for part in found.get("ProductionVariants") or ()}
        weights = {
            slot: float(running.get(slot, {}).get("CurrentWeight", part.get("InitialVariantWeight", 1.0)))
            for slot, part in defined.items()
        }
        whole = sum(weights.values()) or 1.0
        variants, ours = {}, bool(defined)
        for slot, part in defined.items():
            facts, made_here = self._account.facts_of(part["ModelName"])
            ours = ours and made_here and slot in SLOTS
            images = running.get(slot, {}).get("DeployedImages") or ()
            if images:
                facts = {**facts, IMAGE: str(images[0].get("SpecifiedImage", facts.get(IMAGE, "")))}
            facts = {**facts, SERVERS: _servers(part), STATE: RUNNING if status in _SERVING else status}
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
        self._require_same_servers()
        memory = self._settings.serverless_memory
        if memory is not None and memory % _MEMORY_STEP:
            raise BadInput(
                what=f"`serverless-memory` is {memory}",
                why=f"SageMaker has multiples of {_MEMORY_STEP} MiB alone",
                fix=f"serverless-memory = {-(-memory // _MEMORY_STEP) * _MEMORY_STEP}",
            )
        return self._account.facts(wanted, _servers(self._definition("", "")))

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """See ServingPlatform."""
        model = self._account.create(wanted, self.facts(wanted), {})
        found = self._account.found("describe_endpoint", EndpointName=self.name)
        new = self._definition(slot, model)
        if found is None:
            config = self._create_config((new,))
            tags = self._account.tags({}, {})
            self._account.call("create_endpoint", EndpointName=self.name, EndpointConfigName=config, Tags=tags)
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
        self._account.call(
            "update_endpoint_weights_and_capacities", EndpointName=self.name, DesiredWeightsAndCapacities=weights
        )
        return True

    def keep(self, slot: str) -> bool:
        """See ServingPlatform; a configuration with the same content as the one before is that one."""
        found = self._account.found("describe_endpoint", EndpointName=self.name)
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
        newest = {"NameContains": self._account.base, "SortBy": "CreationTime", "SortOrder": "Descending"}
        for part in self._account.listed("list_endpoint_configs", "EndpointConfigs", **newest):
            name = part["EndpointConfigName"]
            if self._account.tags_of(part["EndpointConfigArn"]).get(OWNER) != self.name:
                continue
            defined = list((self._config(name) or {}).get("ProductionVariants") or ())
            if len(defined) == 1 and self._account.facts_of(defined[0]["ModelName"])[0].get(VERSION) == version:
                self._configs[defined[0]["VariantName"]] = name
                return str(defined[0]["VariantName"])
        return None

    def delete(self) -> bool:
        """See ServingPlatform; configurations and models that belong to the endpoint are deleted after it."""
        if self._account.found("describe_endpoint", EndpointName=self.name) is not None:
            self._account.call("delete_endpoint", EndpointName=self.name)
            return False
        for config in self._configs_there():
            self._account.call("delete_endpoint_config", EndpointConfigName=config)
        for part, _ in list(self._account.all()):
            self._account.call("delete_model", ModelName=part["ModelName"])
        return True

    def remnants(self) -> dict[str, Facts]:
        """See ServingPlatform; a run that was killed may have deleted the endpoint, or not have made it yet."""
        models = [part["ModelName"] for part, _ in self._account.all()]
        configs: dict[str, Facts] = {f"the configuration {name}": {} for name in self._configs_there()}
        return configs | {f"the model {name}": self._account.facts_of(name)[0] for name in models}

    def server(self, slot: str | None) -> Endpoint:
        """See ServingPlatform; a variant is asked by its name, whatever its share of the traffic is."""
        return InvokedEndpoint(self._tools.web, self._aws, self.name, slot)

    def _require_same_servers(self) -> None:
        """Raise BadInput for an endpoint that would get servers, or lose them: there is no way back from either."""
        found = self._account.found("describe_endpoint", EndpointName=self.name) or {}
        if found.get("EndpointStatus") in _UNUSABLE:  # it is deleted first
            return
        defined = self._defined(found)
        serverless = self._settings.serverless_memory is not None
        if defined and any(("ServerlessConfig" in part) != serverless for part in defined):
            now, then = ("without", "with") if not serverless else ("with", "without")
            raise BadInput(
                what=f"the endpoint `{self.name}` was made {now} servers of its own, and would be one {then} them",
                why="SageMaker does not change an endpoint from one to the other and back",
                fix="deploy under another name, and remove this deployment when nobody asks it any more",
            )

    # configurations

    def _configs_there(self) -> tuple[str, ...]:
        """The names of the configurations that belong to the endpoint."""
        named = {"NameContains": self._account.base}
        return tuple(
            part["EndpointConfigName"]
            for part in self._account.listed("list_endpoint_configs", "EndpointConfigs", **named)
            if self._account.tags_of(part["EndpointConfigArn"]).get(OWNER) == self.name
        )

    def _config(self, name: str) -> Parts | None:
        return self._account.found("describe_endpoint_config", EndpointConfigName=name)

    def _definition(self, slot: str, model: str) -> dict[str, Any]:
        shared = {"VariantName": slot, "ModelName": model, "InitialVariantWeight": 1.0}
        settings = self._settings
        if settings.serverless_memory is not None:
            limits = {"MemorySizeInMB": settings.serverless_memory, "MaxConcurrency": settings.serverless_concurrency}
            return {**shared, "ServerlessConfig": limits}
        return {**shared, "InstanceType": settings.instance_type, "InitialInstanceCount": settings.instances}

    def _create_config(self, variants: tuple[Parts, ...]) -> str:
        content = {"ProductionVariants": list(variants)}
        return self._account.created("endpoint_config", variants, content, self._account.tags({}, {}))[0]

    def _update(self, config: str) -> None:
        self._account.call("update_endpoint", EndpointName=self.name, EndpointConfigName=config)

    def _defined(self, endpoint: Parts) -> list[Parts]:
        """The definitions of the variants of an endpoint, the one with the most traffic first."""
        name = endpoint.get("EndpointConfigName", "")
        config = self._config(name) if name else None
        running = endpoint.get("ProductionVariants") or ()
        weights = {part["VariantName"]: part.get("CurrentWeight", 1.0) for part in running}
        parts = list((config or {}).get("ProductionVariants") or ())
        return sorted(parts, key=lambda part: -float(weights.get(part["VariantName"], 0.0)))


def _servers(variant: Parts) -> str:
    """What a variant of a configuration runs on."""
    limits = variant.get("ServerlessConfig")
    if limits:
        return f"none, {limits['MemorySizeInMB']} MiB, {limits['MaxConcurrency']} at once"
    return f"{variant.get('InitialInstanceCount', 0)} {variant.get('InstanceType', '')}"


def open_target(options: DeploymentOptions, tools: Tools) -> SharedEndpoint:
    """See target.OpenTarget; boto3 is in the environment of this program that talks to tracking servers."""
    assert isinstance(options.settings, SagemakerSettings)  # noqa: S101  # those of its kind
    # boto3 reads AWS_DEFAULT_REGION alone; the other one is that of the newer tools of AWS.
    region = options.settings.region or tools.host.variables.get("AWS_REGION") or None
    aws = BotoAws(tools.mlflow, tools.environments.ours(), region)
    platform = SagemakerTransform if options.settings.mode is SagemakerMode.BATCH else SagemakerEndpoint
    return SharedEndpoint(options, platform(options, aws, tools), tools)
