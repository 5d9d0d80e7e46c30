"""Deploys to Databricks Model Serving: a version of the registry as one of two served entities of an endpoint."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ...command.errors import BadInput, ToolFailed
from ...core.deploy.difference import Facts
from ...core.deploy.platform_settings import DatabricksSettings
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...tools.cloud.databricks import DatabricksConnection, connect_workspace
from ...tools.cloud.rest import child
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from .shared_endpoint import EndpointVariant, PlatformEndpoint, SharedEndpoint
from .target import MODEL, STATE, VERSION, DeploymentOptions, WantedVersion

_API = "/api/2.0/serving-endpoints"
_MANAGED, _OURS = "managed-by", "mlflow-uv"
# A variable of the served entity: where the platform keeps the digest of the model that was deployed.
_DIGEST_VARIABLE = "MLFLOW_UV_MODEL_SHA256"
_DIGEST, _WORKLOAD, _ZERO, _VARIABLES = "model digest", "workload", "scale to zero", "variables"
_IN_PROGRESS = "IN_PROGRESS"
_READY = "DEPLOYMENT_READY"

Json = Mapping[str, Any]


class ServingEndpoint:
    """See shared_endpoint.ServingPlatform."""

    place = "in this workspace"
    beside = True
    divides = True

    def __init__(self, options: DeploymentOptions, workspace: DatabricksConnection) -> None:
        assert isinstance(options.settings, DatabricksSettings)  # noqa: S101  # those of its kind
        self._settings = options.settings
        self._workspace = workspace
        self.name = options.settings.endpoint(options.name)
        self._path = f"{_API}/{quote(self.name)}"

    def look(self) -> PlatformEndpoint | None:
        """See ServingPlatform; an entity that is not in the active configuration yet has no traffic."""
        found = self._workspace.api.get(self._path)
        if found is None:
            return None
        update = str(child(found, "state", "config_update") or "NOT_UPDATING")
        active, pending = child(found, "config"), child(found, "pending_config")
        variants = {slot: _variant(entity, _share(active, slot)) for slot, entity in _entities(active)}
        for slot, entity in _entities(pending):
            if slot not in variants:
                # The first configuration of an endpoint is pending until it is ready.
                variants[slot] = _variant(entity, 0 if variants else _share(pending, slot))
        tags = {tag.get("key"): tag.get("value") for tag in child(found, "tags") or ()}
        names = {entity["name"] for config in (active, pending) for entity in child(config, "served_entities") or ()}
        broken = update in ("UPDATE_FAILED", "UPDATE_CANCELED") and not child(active, "served_entities")
        return PlatformEndpoint(
            variants=variants,
            address=f"{self._workspace.root}/serving-endpoints/{quote(self.name)}/invocations",
            changing=update if update == _IN_PROGRESS else "",
            failed=update if broken else "",
            ours=tags.get(_MANAGED) == _OURS and names <= set(SLOTS),
        )

    def facts(self, wanted: WantedVersion) -> dict[str, str]:
        """See ServingPlatform."""
        names = wanted.serve_env.names
        if names and self._settings.secret_scope is None:
            raise BadInput(
                what="the deployment has no `secret-scope`",
                why=f"the model needs the variables {', '.join(names)}, which the server gets from secrets of a scope",
                fix='secret-scope = "NAME" in the table of the deployment',
            )
        return {
            MODEL: wanted.model,
            VERSION: wanted.version,
            _DIGEST: wanted.record.model.sha256,
            STATE: RUNNING,
            _WORKLOAD: f"{self._settings.workload_type} {self._settings.workload_size}",
            _ZERO: "yes" if self._settings.scale_to_zero else "no",
            _VARIABLES: ", ".join(names) or "none",
        }

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """See ServingPlatform."""
        entity = self._entity(slot, wanted)
        found = self._workspace.api.get(self._path)
        if found is None:
            content = {"name": self.name, "tags": [{"key": _MANAGED, "value": _OURS}], "config": _config(slot, entity)}
            self._workspace.api.send("POST", _API, content)
            return True
        others = [other for name, other in _entities(child(found, "config")) if name != slot]
        active = next((str(other.get("name")) for other in others if _share(child(found, "config"), other["name"])), "")
        self._configure(_config(active or slot, *map(_wanted_again, others), entity))
        return True

    def route(self, slot: str, percent: int) -> bool:
        """See ServingPlatform."""
        config = self._active()
        if _share(config, slot) != percent:
            self._configure(_config(slot, *(_wanted_again(entity) for _, entity in _entities(config)), percent=percent))
        return True

    def keep(self, slot: str) -> bool:
        """See ServingPlatform."""
        found = self._workspace.api.get(self._path)
        config = child(found, "config")
        kept = dict(_entities(config)).get(slot)
        if kept is None:
            raise ToolFailed(
                what=f"`{slot}` of the endpoint `{self.name}` is gone", why="somebody changed the endpoint"
            )
        failed = child(found, "pending_config", "served_entities")
        if failed or len(_entities(config)) > 1 or _share(config, slot) < 100:  # noqa: PLR2004  # percent
            self._configure(_config(slot, _wanted_again(kept)))
        return True

    def replaced(self, version: str) -> str | None:
        """See ServingPlatform; a configuration that was replaced is gone."""

    def delete(self) -> bool:
        """See ServingPlatform."""
        self._workspace.api.send("DELETE", self._path, absent_ok=True)
        return True

    def remnants(self) -> dict[str, Facts]:
        """See ServingPlatform; nothing is there without the endpoint."""
        return {}

    def server(self, slot: str | None) -> Endpoint:
        """See ServingPlatform; a served entity has a path of its own, whatever its share of the traffic is."""
        of_slot = "" if slot is None else f"/served-models/{slot}"
        return self._workspace.server(f"/serving-endpoints/{quote(self.name)}{of_slot}/invocations")

    def _active(self) -> Any:
        return child(self._workspace.api.get(self._path), "config")

    def _configure(self, config: Json) -> None:
        self._workspace.api.send("PUT", f"{self._path}/config", config)

    def _entity(self, slot: str, wanted: WantedVersion) -> dict[str, Any]:
        scope = self._settings.secret_scope
        # References, which Databricks resolves: no value of a variable is sent.
        variables = {name: f"{{{{secrets/{scope}/{name}}}}}" for name in wanted.serve_env.names}
        return {
            "name": slot,
            "entity_name": wanted.model,
            "entity_version": wanted.version,
            "workload_size": self._settings.workload_size,
            "workload_type": self._settings.workload_type,
            "scale_to_zero_enabled": self._settings.scale_to_zero,
            "environment_vars": {**variables, _DIGEST_VARIABLE: wanted.record.model.sha256},
        }


def _config(active: str, *entities: Json, percent: int = 100) -> dict[str, Any]:
    """A configuration in which one of at most two entities has a part of the traffic, and the other one the rest."""
    routes = [
        {
            "served_model_name": entity["name"],
            "traffic_percentage": percent if entity["name"] == active else 100 - percent,
        }
        for entity in entities
    ]
    return {"served_entities": list(entities), "traffic_config": {"routes": routes}}


def _entities(config: object) -> list[tuple[str, Json]]:
    """The served entities of a configuration that are ours, by their names."""
    return [
        (str(entity["name"]), entity) for entity in child(config, "served_entities") or () if entity["name"] in SLOTS
    ]


def _wanted_again(entity: Json) -> dict[str, Any]:
    """What is sent to keep an entity as it is: without what the platform added."""
    known = (
        *("name", "entity_name", "entity_version", "workload_size", "workload_type", "scale_to_zero_enabled"),
        "environment_vars",
    )
    return {part: entity[part] for part in known if part in entity}


def _share(config: object, slot: str) -> float:
    for route in child(config, "traffic_config", "routes") or ():
        # The newer name of the field is that of the entity.
        if slot in (route.get("served_model_name"), route.get("served_entity_name")):
            return float(route.get("traffic_percentage") or 0)
    return 0


def _variant(entity: Json, share: float) -> EndpointVariant:
    state = str(child(entity, "state", "deployment") or "unknown")
    variables = dict(child(entity, "environment_vars"))
    facts = {
        MODEL: str(entity.get("entity_name", "")),
        VERSION: str(entity.get("entity_version", "")),
        _DIGEST: str(variables.pop(_DIGEST_VARIABLE, "")),
        STATE: RUNNING if state == _READY else state.removeprefix("DEPLOYMENT_").lower(),
        _WORKLOAD: f"{entity.get('workload_type', 'CPU')} {entity.get('workload_size', '')}",
        _ZERO: "yes" if entity.get("scale_to_zero_enabled") else "no",
        _VARIABLES: ", ".join(sorted(variables)) or "none",
    }
    return EndpointVariant(
        facts=facts, share=share, problem=str(child(entity, "state", "deployment_state_message") or "")
    )


def open_target(options: DeploymentOptions, tools: Tools) -> SharedEndpoint:
    """See target.OpenTarget. Raises BadInput without a workspace or a login in the environment."""
    workspace = connect_workspace(tools.web, tools.clock, tools.host.variables)
    return SharedEndpoint(options, ServingEndpoint(options, workspace), tools)
