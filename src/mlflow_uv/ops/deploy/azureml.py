"""Deploys to Azure Machine Learning: the image as one of two deployments of a managed online endpoint."""

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ...command.errors import BadInput, StepError, ToolFailed
from ...command.wording import step_call
from ...core.deploy.difference import Facts
from ...core.deploy.platform_settings import AzureSettings
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...core.image.dockerfile import PORT, SERVER_VARIABLES
from ...core.release.digests import sha256
from ...core.security.endpoint_address import EndpointAddress, EndpointHeaders
from ...core.security.origins import is_plain_web_address
from ...core.security.serve_env import ServeVariables
from ...tools.cloud.azure import connect_azure
from ...tools.cloud.rest import RestApi, child
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from .shared_endpoint import EndpointVariant, PlatformEndpoint, SharedEndpoint
from .target import IMAGE, MODEL, STATE, DeploymentOptions, WantedVersion, wanted_facts

_VERSION = "?api-version=2024-10-01"
_TAG, _OWNER, _OURS = "mlflow-uv.", "managed-by", "mlflow-uv"
_SETTLED = frozenset({"Succeeded", "Failed", "Canceled"})
_SUCCEEDED = "Succeeded"
_LONGEST_NAME = 32
_LONGEST_REQUEST_S = 180  # that Azure allows
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")  # ISO 8601, as Azure writes them
_SERVERS, _REQUEST_TIMEOUT, _VARIABLES = "servers", "request timeout", "variables"  # facts
_TIMEOUT_VARIABLE = "REQUEST_TIMEOUT"
# How variables begin that Azure itself adds; those that the server reads, and those of the model, are not Azure's.
_OF_AZURE = ("AML_", "AZUREML_")
_WHOLE = 100
_HASH = 16

Document = Mapping[str, Any]


class OnlineEndpoint:
    """See shared_endpoint.ServingPlatform."""

    place = "in this workspace"
    beside = True
    divides = True

    def __init__(self, options: DeploymentOptions, api: RestApi, tools: Tools) -> None:
        assert isinstance(options.settings, AzureSettings)  # noqa: S101  # those of its kind
        self._settings = options.settings
        self._answer_s = options.answer_s
        self._api = api
        self._tools = tools
        self._images: dict[str, str] = {}  # by the id of an environment, which does not change
        self.name = options.settings.endpoint(options.name)
        subscription, group, workspace = (options.settings.workspace or "//").split("/")
        self._workspace = (
            f"/subscriptions/{subscription}/resourceGroups/{quote(group)}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        )
        self._path = f"{self._workspace}/onlineEndpoints/{self.name}"

    def look(self) -> PlatformEndpoint | None:
        """See ServingPlatform."""
        found = self._get(self._path)
        if found is None:
            return None
        traffic, own = child(found, "properties", "traffic"), str(child(found, "properties", "provisioningState"))
        listed = self._get(f"{self._path}/deployments")
        deployments = {str(part["name"]): part for part in child(listed, "value") or ()}
        states = {own, *(str(child(part, "properties", "provisioningState")) for part in deployments.values())}
        return PlatformEndpoint(
            variants={
                slot: self._variant(slot, part, float(traffic.get(slot, 0))) for slot, part in deployments.items()
            },
            address=str(child(found, "properties", "scoringUri") or f"azureml:{self.name}"),
            changing=", ".join(sorted(states - _SETTLED)),
            failed=own if own in _SETTLED - {_SUCCEEDED} and not deployments else "",
            ours=child(found, "tags", _OWNER) == _OURS
            and deployments.keys() <= set(SLOTS)
            and all(f"{_TAG}{MODEL}" in child(part, "tags") for part in deployments.values()),
        )

    def facts(self, wanted: WantedVersion) -> dict[str, str]:
        """See ServingPlatform."""
        self._require_usable(wanted)
        servers = {"capacity": self._settings.instances}
        tags = {f"{_TAG}{_VARIABLES}": wanted.serve_env.summary}
        planned = {"sku": servers, "properties": self._servers(wanted), "tags": tags}
        return wanted_facts(wanted, wanted.address, _facts_in(planned))

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """See ServingPlatform; an endpoint is made without deployments, and one that is in the way is deleted."""
        location = str(child(self._get(self._workspace), "location"))
        if self._get(self._path) is None:
            content = {"location": location, "identity": {"type": "SystemAssigned"}, "tags": {_OWNER: _OURS}}
            self._put(self._path, {**content, "properties": {"authMode": "Key"}})
            return False
        path = f"{self._path}/deployments/{slot}"
        found = self._require()
        if _mirrored(found):  # an interrupted run left it
            self._lead(found, child(found, "properties", "traffic"))
            return False
        if self._get(path) is not None:
            self._api.send("DELETE", path + _VERSION, absent_ok=True)
            return False
        facts = {f"{_TAG}{name}": value for name, value in self.facts(wanted).items() if name != STATE}
        properties = {
            **self._servers(wanted),
            "endpointComputeType": "Managed",
            "environmentId": self._environment(wanted.address),
            "scaleSettings": {"scaleType": "Default"},
        }
        sku = {"name": "Default", "capacity": self._settings.instances}
        self._put(path, {"location": location, "sku": sku, "tags": facts, "properties": properties})
        return True

    def _servers(self, wanted: WantedVersion) -> dict[str, Any]:
        """What a deployment runs on, and with which limit and variables."""
        answer_s = f"{self._answer_s:g}"
        return {
            "instanceType": self._settings.instance_type,
            "environmentVariables": {**wanted.serve_env.variables, _TIMEOUT_VARIABLE: answer_s},
            "requestSettings": {"requestTimeout": f"PT{_allowed_s(answer_s)}S"},
        }

    def route(self, slot: str, percent: int) -> bool:
        """See ServingPlatform."""
        found = self._require()
        traffic = child(found, "properties", "traffic")
        if traffic.get(slot, 0) != percent or _mirrored(found):
            rest = {other: _WHOLE - percent for other in traffic if other != slot}
            self._lead(found, {slot: percent, **rest})
        return True

    def mirror(self, slot: str, percent: int) -> bool:
        """Send copies of a part of the requests to a variant without traffic; the last step, as in ServingPlatform."""
        found = self._require()
        self._lead(found, child(found, "properties", "traffic"), mirrored={slot: percent})
        return True

    def keep(self, slot: str) -> bool:
        """See ServingPlatform; a deployment without traffic can be deleted."""
        found = self._require()
        names = [str(part["name"]) for part in child(self._get(f"{self._path}/deployments"), "value") or ()]
        if slot not in names:
            raise ToolFailed(what=f"`{slot}` of the endpoint `{self.name}` is gone", why="somebody deleted it")
        if child(found, "properties", "traffic") != {slot: _WHOLE} or _mirrored(found):
            self._lead(found, {slot: _WHOLE})
            return False
        for other in names:
            if other != slot:
                self._api.send("DELETE", f"{self._path}/deployments/{other}{_VERSION}", absent_ok=True)
        return True

    def replaced(self, version: str) -> str | None:
        """See ServingPlatform; a deployment that was replaced is gone."""

    def delete(self) -> bool:
        """See ServingPlatform; its deployments are deleted with it."""
        self._api.send("DELETE", self._path + _VERSION, absent_ok=True)
        return True

    def remnants(self) -> dict[str, Facts]:
        """See ServingPlatform; nothing is there without the endpoint."""
        return {}

    def server(self, slot: str | None) -> Endpoint:
        """See ServingPlatform; a header names the deployment, whatever its share of the traffic is."""
        url = str(child(self._require(), "properties", "scoringUri"))
        if not url.startswith("https://") or not is_plain_web_address(url):
            raise ToolFailed(what=f"the endpoint `{self.name}` has no address", why="Azure returns no `scoringUri`")
        key = str(child(self._api.send("POST", f"{self._path}/listKeys{_VERSION}", {}), "primaryKey"))
        headers = EndpointHeaders(variables={"Authorization": "ENDPOINT_KEY"}, values={"ENDPOINT_KEY": f"Bearer {key}"})
        plain = {} if slot is None else {"azureml-model-deployment": slot}
        return Endpoint(self._tools.web, EndpointAddress(invocations=url, shown=url), headers, plain=plain)

    # documents

    def _get(self, path: str) -> Any:
        return self._api.get(path + _VERSION)

    def _put(self, path: str, content: Document) -> None:
        self._api.send("PUT", path + _VERSION, content)

    def _require(self) -> Document:
        found: Document | None = self._get(self._path)
        if found is None:
            raise ToolFailed(what=f"the endpoint `{self.name}` is gone", why="somebody deleted it")
        return found

    def _lead(self, found: Document, traffic: Mapping[str, int], *, mirrored: Mapping[str, int] | None = None) -> None:
        """Divide the traffic, and its copies, of which there are none by default; the rest is sent as it is."""
        identity = {"type": child(found, "identity", "type") or "SystemAssigned"}
        properties = {"authMode": child(found, "properties", "authMode") or "Key", "traffic": dict(traffic)}
        properties["mirrorTraffic"] = dict(mirrored or {})
        kept = {"location": found.get("location"), "tags": found.get("tags") or {}}
        self._put(self._path, {**kept, "identity": identity, "properties": properties})

    def _environment(self, image: str) -> str:
        """The id of an environment that names an image and where its server is asked; versions do not change."""
        ping, scored = ({"path": path, "port": PORT} for path in ("/ping", "/invocations"))
        routes = {"livenessRoute": ping, "readinessRoute": ping, "scoringRoute": scored}
        wanted = {"image": image, "inferenceConfig": routes, "osType": "Linux"}
        versions = f"{self._workspace}/environments/{_OURS}-{self.name}/versions"
        path = f"{versions}/{sha256(image.encode())[:_HASH]}"
        found = self._get(path)
        if found is not None and not _has(child(found, "properties"), wanted):  # somebody else made it
            path, found = f"{versions}/{secrets.token_hex(_HASH // 2)}", None
        if found is None:
            self._put(path, {"properties": wanted})
        return path

    def _variant(self, slot: str, deployment: Document, share: float) -> EndpointVariant:
        state = str(child(deployment, "properties", "provisioningState"))
        tags = {str(name): str(value) for name, value in child(deployment, "tags").items()}
        facts = {name.removeprefix(_TAG): value for name, value in tags.items() if name.startswith(_TAG)}
        # Not those of the tags: somebody may have changed the deployment since.
        facts |= {**_facts_in(deployment), IMAGE: self._image_in(str(child(deployment, "properties", "environmentId")))}
        facts[STATE] = RUNNING if state == _SUCCEEDED else state.lower()
        problem = self._last_line(slot) if state == "Failed" else ""
        return EndpointVariant(facts=facts, share=share, problem=problem)

    def _image_in(self, environment: str) -> str:
        if environment not in self._images:
            self._images[environment] = str(child(self._get(environment), "properties", "image") or "nothing")
        return self._images[environment]

    def _last_line(self, slot: str) -> str:
        """The last line of the log of a deployment that failed; empty where there is none."""
        content = {"containerType": "InferenceServer", "tail": 20}
        try:
            log = self._api.send("POST", f"{self._path}/deployments/{slot}/getLogs{_VERSION}", content)
        except StepError:
            return ""
        lines = [line.strip() for line in str(child(log, "content") or "").splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _require_usable(self, wanted: WantedVersion) -> None:
        """Raise BadInput for settings that lack something, and for a version that Azure cannot run."""
        if self._settings.workspace is None:
            raise BadInput(
                what="the deployment has no `workspace`",
                why="the endpoint is in a workspace of Azure Machine Learning",
                fix='workspace = "SUBSCRIPTION/RESOURCE-GROUP/NAME" in the table of the deployment',
            )
        if len(self.name) > _LONGEST_NAME:
            why = f"`{self.name}` has {len(self.name)} characters"
            raise BadInput(what=f"the name of an endpoint has at most {_LONGEST_NAME} characters", why=why)
        image = wanted.record.image
        if image is None or not image.digest:
            raise BadInput(
                what=f"the image of {wanted.model} version {wanted.version} is in no registry",
                why="Azure pulls it by its digest",
                fix=step_call("release", push=True, image="REGISTRY.azurecr.io/NAME"),
            )
        if wanted.serve_env.names and not self._settings.plain_variables:
            raise BadInput(
                what="Azure keeps the variables of a model in the clear",
                why=f"the model needs {', '.join(wanted.serve_env.names)}, and whoever may describe it would read them",
                fix="plain-variables = true in the table of the deployment, if none of them is a secret",
            )


class MirroredEndpoint(SharedEndpoint):
    """See target.MirroredTraffic."""

    def __init__(self, options: DeploymentOptions, online: OnlineEndpoint, tools: Tools) -> None:
        super().__init__(options, online, tools)
        assert isinstance(options.settings, AzureSettings)  # noqa: S101  # those of its kind
        self._percent, self._seconds = options.settings.mirror, options.settings.mirror_seconds
        self._online = online

    def mirror(self) -> float:
        """See MirroredTraffic; a version that has the traffic gets no copies."""
        percent, slot = self._percent, self._slot
        if percent is None or slot == self._before:
            return 0
        self._require_ready(self._change(lambda: self._online.mirror(slot, percent)))
        return self._seconds


def _facts_in(deployment: Document) -> dict[str, str]:
    """What a deployment runs on, its time limits and its variables, as Azure returns it or as it is sent."""
    properties = child(deployment, "properties")
    variables = {str(name): str(value) for name, value in child(properties, "environmentVariables").items()}
    timeout = variables.pop(_TIMEOUT_VARIABLE, "none")
    given = str(child(properties, "requestSettings", "requestTimeout"))
    recorded = str(child(deployment, "tags", f"{_TAG}{_VARIABLES}") or "").partition(" (")[0].split(", ")
    ours = {*SERVER_VARIABLES, *recorded}
    own = {name: value for name, value in variables.items() if name in ours or not name.startswith(_OF_AZURE)}
    return {
        _SERVERS: f"{child(deployment, 'sku', 'capacity')} {child(properties, 'instanceType')}",
        _REQUEST_TIMEOUT: f"{timeout} s" + ("" if _seconds(given) == _allowed_s(timeout) else f", Azure's is {given}"),
        _VARIABLES: ServeVariables(own).summary,
    }


def _allowed_s(timeout: str) -> int | None:
    """The limit that Azure gets for one of the server, None for what is no number."""
    try:
        return max(1, round(min(float(timeout), _LONGEST_REQUEST_S)))
    except (ValueError, OverflowError):
        return None


def _seconds(duration: str) -> float | None:
    """The seconds of a duration, None for another text."""
    if (match := _DURATION.fullmatch(duration)) is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _has(found: Any, wanted: Any) -> bool:
    """Whether a document has all that is wanted of it; Azure adds parts of its own."""
    if not isinstance(wanted, Mapping):
        return bool(found == wanted)
    return isinstance(found, Mapping) and all(_has(found.get(name), part) for name, part in wanted.items())


def _mirrored(found: Document) -> bool:
    """Whether copies of requests are sent to a deployment of an endpoint."""
    return any(child(found, "properties", "mirrorTraffic").values())


def open_target(options: DeploymentOptions, tools: Tools) -> MirroredEndpoint:
    """See target.OpenTarget. Raises BadInput without a login in the environment."""
    api = connect_azure(tools.web, tools.clock, tools.host.variables)
    return MirroredEndpoint(options, OnlineEndpoint(options, api, tools), tools)
