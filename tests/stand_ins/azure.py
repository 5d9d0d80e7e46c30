"""A stand-in for the online endpoints of Azure Machine Learning, by the documented REST API, in memory."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

WORKSPACE = "11111111-2222-3333-4444-555555555555/group/wines"
TOKEN, KEY = "arm-made-up-token", "key-made-up-value"
_ROOT = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/group"
    "/providers/Microsoft.MachineLearningServices/workspaces/wines"
)
_PATH = re.compile(r"/onlineEndpoints/([a-z][\w-]{2,31})(?:/(deployments|listKeys))?(?:/(\w+)(/getLogs)?)?")
_VERSION = "?api-version=2024-10-01"
_SCORED = "https://{}.westeurope.inference.ml.azure.com/score"
_LOOKS, _SILENT_LOOKS = 2, 6  # requests for the endpoint until a change has ended
_DEPLOYMENT = frozenset({"endpointComputeType", "instanceType", "environmentId", "environmentVariables",
                         "requestSettings", "scaleSettings"})  # fmt: skip


@dataclass
class AzureWorkspace:
    """The endpoints of a workspace; `faults` are by the image of a deployment."""

    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    mirrored: list[dict[str, int]] = field(default_factory=list)
    refused: bool = False
    most_cores: int = 4
    keeps: bool = False  # what is deleted

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """The status and the document of the response to a request."""
        if path.endswith("/oauth2/v2.0/token"):
            return (401, {"error": "invalid_client"}) if self.refused else (200, {"access_token": TOKEN})
        if path == "/score":
            raise AssertionError("it is asked by `score`")
        content: Any = json.loads(body) if body else None
        self.requests.append((method, path, content))
        if authorization != f"Bearer {TOKEN}":
            return 401, {"error": {"code": "InvalidAuthenticationToken", "message": "The access token is invalid."}}
        if not path.startswith(_ROOT) or not path.endswith(_VERSION):
            return 404, {"error": {"code": "ResourceNotFound", "message": path}}
        place = path.removeprefix(_ROOT).removesuffix(_VERSION)
        if place == "":
            return 200, {"location": "westeurope"}
        if place.startswith("/environments/"):
            return self._kept(self.environments, method, place, content)
        match = re.fullmatch(
            r"/onlineEndpoints/([a-z][\w-]{2,31})(?:/(deployments|listKeys))?(?:/(\w+)(/getLogs)?)?", place
        )
        if match is None:
            return 400, {"error": {"code": "BadRequest", "message": place}}
        return self._endpoint(method, match, content)

    def score(self, name: str, deployment: str, body: bytes) -> tuple[int, Any]:
        """The response of the server of a deployment, or of the one with the traffic."""
        traffic = self.endpoints[name]["properties"].get("traffic", {})
        chosen = deployment or max(traffic, key=lambda slot: traffic[slot], default="")
        found = self.deployments.get(f"{name}/{chosen}")
        if found is None or found["properties"]["provisioningState"] != "Succeeded":
            return 404, {"error": "no deployment"}
        try:
            value = json.loads(body)["inputs"][0]
        except (ValueError, KeyError, TypeError):
            return 400, {"message": "malformed"}
        return 200, {"predictions": [value * (3 if self._fault(found) == "wrong" else 2)]}

    def _endpoint(self, method: str, match: "re.Match[str]", content: Any) -> tuple[int, Any]:
        name, part, slot, log = match.groups()
        endpoint = self.endpoints.get(name)
        if part is None and method == "PUT":
            return self._put_endpoint(name, content)
        if endpoint is None:
            return 404, {"error": {"code": "ResourceNotFound", "message": f"{name} does not exist."}}
        if part is None and method == "GET":
            self._go_on(name)
            return (200, self.endpoints[name]) if name in self.endpoints else (404, {"error": {"code": "NotFound"}})
        if part is None and method == "DELETE":
            endpoint["properties"]["provisioningState"] = "Succeeded" if self.keeps else "Deleting"
            endpoint["looks"] = 0
            return 202, {}
        if part == "listKeys" and method == "POST":
            return 200, {"primaryKey": KEY, "secondaryKey": KEY}
        if slot is None:
            found = [part for key, part in self.deployments.items() if key.startswith(f"{name}/")]
            return 200, {"value": [self._shown(part) for part in found]}
        if log:
            return 200, {"content": "loading\nRuntimeError: no model\n"}
        key = f"{name}/{slot}"
        if method == "PUT":
            return self._put_deployment(endpoint, key, content)
        if key not in self.deployments:
            return 404, {"error": {"code": "ResourceNotFound", "message": f"{slot} does not exist."}}
        if method == "DELETE":
            if any(endpoint["properties"].get(kind, {}).get(slot) for kind in ("traffic", "mirrorTraffic")):
                return 400, {"error": {"code": "BadRequest", "message": "The deployment has traffic."}}
            if not self.keeps:
                self.deployments[key]["properties"]["provisioningState"] = "Deleting"
            return 202, {}
        return 200, self._shown(self.deployments[key])

    def _put_endpoint(self, name: str, content: Any) -> tuple[int, Any]:
        before = self.endpoints.get(name)
        if before is not None and self._changing(name):
            return 409, {"error": {"code": "Conflict", "message": "Already running method on the endpoint."}}
        traffic = content["properties"].get("traffic", {})
        if traffic and sum(traffic.values()) not in (0, 100):
            return 400, {"error": {"code": "BadRequest", "message": "The traffic is not 100."}}
        mirrored = content["properties"].get("mirrorTraffic", {})
        self.mirrored.append(mirrored)
        if sum(mirrored.values()) > 50 or any(traffic.get(slot) for slot in mirrored):
            return 400, {"error": {"code": "BadRequest", "message": "Copies go to deployments without traffic."}}
        if any(f"{name}/{slot}" not in self.deployments for slot in (*traffic, *mirrored)):
            return 400, {"error": {"code": "BadRequest", "message": "A deployment does not exist."}}
        properties = {"scoringUri": _SCORED.format(name), "traffic": {}, **content["properties"]}
        properties["provisioningState"] = "Creating" if before is None else "Updating"
        self.endpoints[name] = {**content, "name": name, "properties": properties, "looks": 0}
        return 201, self.endpoints[name]

    def _put_deployment(self, endpoint: dict[str, Any], key: str, content: Any) -> tuple[int, Any]:
        if self._changing(endpoint["name"]):
            return 409, {"error": {"code": "Conflict", "message": "Already running method on the endpoint."}}
        if unknown := set(content["properties"]) - _DEPLOYMENT:
            return 400, {"error": {"code": "BadRequest", "message": f"unknown {unknown}"}}
        if content["properties"]["environmentId"].removeprefix(_ROOT) not in self.environments:
            return 400, {"error": {"code": "BadRequest", "message": "The environment does not exist."}}
        if content["sku"]["capacity"] * (len(self.deployments) + 1) > self.most_cores:
            return 400, {"error": {"code": "OutOfQuota", "message": "Not enough quota of the subscription."}}
        properties = {**content["properties"], "provisioningState": "Creating"}
        self.deployments[key] = {**content, "name": key.partition("/")[2], "properties": properties}
        endpoint["looks"] = 0
        return 201, {}

    def _kept(self, kept: dict[str, Any], method: str, place: str, content: Any) -> tuple[int, Any]:
        if method == "PUT":
            kept[place] = content
        found = kept.get(place)
        if found is None:
            return 404, {"error": {"code": "ResourceNotFound", "message": place}}
        if self.faults.get(found["properties"]["image"]) == "swapped":
            found = {"properties": {**found["properties"], "image": f"sha256:{'9'.rjust(64, '0')}"}}
        return 200, found

    def _shown(self, deployment: dict[str, Any]) -> dict[str, Any]:
        shown = json.loads(json.dumps(deployment))
        given = shown["properties"]["requestSettings"]
        if match := re.fullmatch(r"PT(\d+)S", given["requestTimeout"]):  # a minute is written as such
            minutes, seconds = divmod(int(match[1]), 60)
            given["requestTimeout"] = f"PT{f'{minutes}M' if minutes else ''}{f'{seconds}S' if seconds else ''}"
        shown["properties"]["environmentVariables"]["AML_APP_ROOT"] = "/var/azureml-app"
        return shown

    def _fault(self, deployment: dict[str, Any]) -> str:
        environment = self.environments[deployment["properties"]["environmentId"].removeprefix(_ROOT)]
        return self.faults.get(environment["properties"]["image"], "")

    def _of(self, name: str) -> list[dict[str, Any]]:
        """The endpoint and its deployments."""
        return [self.endpoints[name], *(part for key, part in self.deployments.items() if key.startswith(f"{name}/"))]

    def _changing(self, name: str) -> bool:
        settled = ("Succeeded", "Failed")
        return any(part["properties"]["provisioningState"] not in settled for part in self._of(name))

    def _go_on(self, name: str) -> None:
        """Let a change go on: it ends after some looks, however long they take."""
        if not self._changing(name):
            return
        endpoint = self.endpoints[name]
        endpoint["looks"] += 1
        own = {key: part for key, part in self.deployments.items() if key.startswith(f"{name}/")}
        creating = [part for part in own.values() if part["properties"]["provisioningState"] == "Creating"]
        silent = any(self._fault(part) == "silent" for part in creating)
        if endpoint["looks"] < (_SILENT_LOOKS if silent else _LOOKS):
            return
        if endpoint["properties"]["provisioningState"] == "Deleting":
            del self.endpoints[name]
            for key in own:
                del self.deployments[key]
            return
        endpoint["properties"]["provisioningState"] = "Succeeded"
        for key, part in own.items():
            if part["properties"]["provisioningState"] == "Deleting":
                del self.deployments[key]
            elif part["properties"]["provisioningState"] == "Creating":
                fails = self._fault(part) in ("silent", "ends")
                part["properties"]["provisioningState"] = "Failed" if fails else "Succeeded"
