"""A stand-in for the serving endpoints of a Databricks workspace, by the published REST API, in memory."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TOKEN = "dapi-made-up-token"
_PATH = re.compile(r"/api/2\.0/serving-endpoints/([\w-]+)(/config)?")
_ASKED = re.compile(r"/serving-endpoints/([\w-]+)(?:/served-models/([\w-]+))?/invocations")
_ENTITY = frozenset({
    "name", "entity_name", "entity_version", "workload_size", "workload_type", "scale_to_zero_enabled",
    "environment_vars",
})  # fmt: skip
_UPDATE_LOOKS, _SILENT_LOOKS = 2, 5  # requests for the state until an update has ended


@dataclass
class _Endpoint:
    name: str
    tags: list[dict[str, str]]
    config: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Any] = field(default_factory=dict)
    update: str = "NOT_UPDATING"
    looks: int = 0


@dataclass
class DatabricksWorkspace:
    """
    The endpoints of a workspace; `faults` are by the version of a served entity.

    `invoke` answers requests to the server of a version; without it, a version doubles.
    """

    endpoints: dict[str, _Endpoint] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    most_endpoints: int = 5
    keeps: bool = False  # an endpoint that is deleted
    token: str = TOKEN
    invoke: Callable[[str, bytes], tuple[int, Any]] | None = None

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """The status and the document of the response to a request."""
        content: Any = json.loads(body) if body and "/invocations" not in path else None
        self.requests.append((method, path, content))
        if authorization != f"Bearer {self.token}":
            return 403, {"error_code": "PERMISSION_DENIED", "message": "Invalid access token."}
        if match := _ASKED.fullmatch(path):
            return self._predicted(match[1], match[2], body)
        if path == "/api/2.0/serving-endpoints" and method == "POST":
            return self._created(content)
        match = _PATH.fullmatch(path)
        endpoint = self.endpoints.get(match[1]) if match else None
        if match is None or endpoint is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{path} does not exist."}
        if method == "DELETE" and not match[2]:
            if not self.keeps:
                del self.endpoints[match[1]]
            return 200, {}
        if method == "PUT" and match[2]:
            return self._updated(endpoint, content)
        if method == "GET" and not match[2]:
            self._look(endpoint)
            return 200, self._document(endpoint)
        return 405, {"error_code": "BAD_REQUEST", "message": f"{method} {path}"}

    def _created(self, content: dict[str, Any]) -> tuple[int, Any]:
        name = content["name"]
        if name in self.endpoints:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": f"Endpoint {name} already exists."}
        if len(self.endpoints) >= self.most_endpoints:
            return 400, {"error_code": "RESOURCE_LIMIT_EXCEEDED", "message": "The limit of endpoints is reached."}
        endpoint = _Endpoint(name=name, tags=content.get("tags", []))
        status, reply = self._updated(endpoint, content["config"])
        if status == 200:
            self.endpoints[name] = endpoint
        return status, reply

    def _updated(self, endpoint: _Endpoint, config: dict[str, Any]) -> tuple[int, Any]:
        if endpoint.update == "IN_PROGRESS":
            message = "The endpoint is being updated by another request."
            return 409, {"error_code": "RESOURCE_CONFLICT", "message": message}
        if why := _refused(config):
            return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": why}
        if any(self.faults.get(entity["entity_version"]) == "absent" for entity in config["served_entities"]):
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "The version does not exist."}
        endpoint.pending, endpoint.update, endpoint.looks = json.loads(json.dumps(config)), "IN_PROGRESS", 0
        return 200, self._document(endpoint)

    def _look(self, endpoint: _Endpoint) -> None:
        """Let an update go on: it ends after some looks, however long they take."""
        if endpoint.update != "IN_PROGRESS":
            return
        endpoint.looks += 1
        faults = {self.faults.get(entity["entity_version"]) for entity in endpoint.pending["served_entities"]}
        if endpoint.looks < (_SILENT_LOOKS if "silent" in faults else _UPDATE_LOOKS):
            return
        if faults & {"silent", "ends"}:
            endpoint.update = "UPDATE_FAILED"
            return
        endpoint.config, endpoint.pending, endpoint.update = endpoint.pending, {}, "NOT_UPDATING"

    def _document(self, endpoint: _Endpoint) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": endpoint.name,
            "tags": endpoint.tags,
            "state": {"ready": "READY" if endpoint.config else "NOT_READY", "config_update": endpoint.update},
        }
        if endpoint.config:
            document["config"] = self._described(endpoint.config, "DEPLOYMENT_READY")
        if endpoint.pending:
            failed = endpoint.update == "UPDATE_FAILED"
            document["pending_config"] = self._described(
                endpoint.pending, "DEPLOYMENT_FAILED" if failed else "DEPLOYMENT_CREATING"
            )
        return document

    def _described(self, config: dict[str, Any], state: str) -> dict[str, Any]:
        entities = []
        for entity in config["served_entities"]:
            shown = dict(entity)
            if self.faults.get(entity["entity_version"]) == "swapped":
                shown["entity_version"] = "9"
            message = "Container failed to start." if state == "DEPLOYMENT_FAILED" else ""
            entities.append(
                {
                    **shown,
                    "creator": "a@example.com",
                    "state": {"deployment": state, "deployment_state_message": message},
                }
            )
        return {**config, "served_entities": entities, "config_version": 1}

    def _predicted(self, name: str, entity_name: str | None, body: bytes) -> tuple[int, Any]:
        endpoint = self.endpoints.get(name)
        config = {} if endpoint is None else endpoint.config
        if not config:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{name} is not ready."}
        routes = config["traffic_config"]["routes"]
        served = entity_name or max(routes, key=lambda route: route["traffic_percentage"])["served_model_name"]
        entity = next((entity for entity in config["served_entities"] if entity["name"] == served), None)
        if entity is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{served} is not served."}
        if self.invoke is not None:
            return self.invoke(entity["entity_version"], body)
        try:
            value = json.loads(body)["inputs"][0]
        except (ValueError, KeyError, TypeError):
            return 400, {"error_code": "BAD_REQUEST", "message": "The input is not valid JSON."}
        return 200, {"predictions": [value * (3 if self.faults.get(entity["entity_version"]) == "wrong" else 2)]}


def _refused(config: dict[str, Any]) -> str:
    """Why a configuration is not accepted; empty if it is."""
    if set(config) != {"served_entities", "traffic_config"}:
        return f"unknown or missing fields: {sorted(config)}"
    names = [entity.get("name") for entity in config["served_entities"]]
    if unknown := [part for entity in config["served_entities"] for part in entity if part not in _ENTITY]:
        return f"unknown fields of an entity: {unknown}"
    if len(set(names)) != len(names) or not names:
        return "the names of served entities are not unique"
    routes = config["traffic_config"]["routes"]
    if sorted(route["served_model_name"] for route in routes) != sorted(map(str, names)):
        return "the routes are not those of the entities"
    if sum(route["traffic_percentage"] for route in routes) != 100:
        return "the traffic must sum up to 100"
    return ""
