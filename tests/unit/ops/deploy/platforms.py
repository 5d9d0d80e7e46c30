"""Platforms that serve models, as stand-ins in memory, for the tests that are the same for every target."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.deploy.platform_settings import (
    AzureSettings,
    DatabricksSettings,
    RaySettings,
    SagemakerMode,
    SagemakerSettings,
)
from mlflow_uv.core.deploy.plugin_settings import PluginSettings
from mlflow_uv.core.deploy.target_settings import TargetSettings
from mlflow_uv.ops.deploy.azureml import open_target as open_azure
from mlflow_uv.ops.deploy.databricks import open_target as open_databricks
from mlflow_uv.ops.deploy.mlflow import MlflowDeployment, PluginNote
from mlflow_uv.ops.deploy.ray import RayEndpoint
from mlflow_uv.ops.deploy.ray_package import UploadedVersion
from mlflow_uv.ops.deploy.sagemaker import SagemakerEndpoint
from mlflow_uv.ops.deploy.sagemaker_transform import SagemakerTransform
from mlflow_uv.ops.deploy.shared_endpoint import SharedEndpoint
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget, WantedVersion
from mlflow_uv.payloads.messages.platforms import AwsResult, PluginAction, PluginResult
from mlflow_uv.tools.cloud.ray_cluster import connect_ray
from mlflow_uv.tools.system.web import WebReply, WebRequest
from mlflow_uv.tools.toolbox import Tools
from tests.stand_ins.azure import KEY, WORKSPACE, AzureWorkspace
from tests.stand_ins.azure import TOKEN as AZURE_TOKEN
from tests.stand_ins.databricks import TOKEN, DatabricksWorkspace
from tests.stand_ins.ray import RayApplications
from tests.stand_ins.refusal import Refused
from tests.stand_ins.sagemaker import SageMakerAccount
from tests.stand_ins.web import Answer, StandInWeb

from .worlds import World, digest_of, tools_of_tests

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/wine"
AZURE_LOGIN = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "hush-hush-hush"}


def tools_with(answer: Answer, variables: Mapping[str, str]) -> Tools:
    """The tools of a run whose requests a stand-in answers."""
    parts = {**vars(tools_of_tests()), "web": StandInWeb(answer)}
    return cast("Tools", SimpleNamespace(**parts, host=SimpleNamespace(variables=variables)))


def options_of(
    settings: TargetSettings, *, name: str = "prod", model: str = "wine", answer_s: float = 60, **more: Any
) -> DeploymentOptions:
    """The options of a deployment."""
    return DeploymentOptions(
        name=name,
        settings=settings,
        is_preview=False,
        proxy_image="",
        deadline_s=8,
        answer_s=answer_s,
        model=model,
        **more,
    )


@dataclass
class DatabricksWorld:
    """A workspace in memory."""

    settings: DatabricksSettings
    workspace: DatabricksWorkspace = field(default_factory=DatabricksWorkspace)
    variables: Mapping[str, str] = field(
        default_factory=lambda: {"DATABRICKS_HOST": "https://workspace.example.com", "DATABRICKS_TOKEN": TOKEN}
    )

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        return open_databricks(
            options_of(self.settings, model=model, **more), tools_with(self.workspace.answer, self.variables)
        )

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.workspace.faults[version] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.workspace.keeps = without_effect


def databricks_world(**settings: Any) -> DatabricksWorld:
    """A workspace without endpoints."""
    return DatabricksWorld(settings=DatabricksSettings(target="databricks", **settings))


class KeptAws:
    """See tools.cloud.aws.Aws; the account is kept in memory, and nothing but SageMaker is there."""

    def __init__(self, account: SageMakerAccount) -> None:
        self._account = account

    def try_call(self, service: str, operation: str, parameters: Mapping[str, Any], **body: Any) -> AwsResult:
        """See Aws."""
        plain = json.loads(json.dumps(parameters))
        try:
            if service == "s3":
                return self._stored(operation, plain, **body)
            if service == "sagemaker-runtime":
                answer = self._account.invoke_endpoint(
                    plain["EndpointName"], base64.b64decode(body["body"]), variant=plain.get("TargetVariant")
                )
                return AwsResult(parts={}, body=base64.b64encode(answer).decode())
            return AwsResult(parts=json.loads(json.dumps(self._account.call(operation, plain))))
        except Refused as error:
            return AwsResult(parts=error.parts, code=error.code, message=error.message)

    def _stored(self, operation: str, parameters: dict[str, Any], **body: Any) -> AwsResult:
        given = {"Body": base64.b64decode(body["body"])} if "body" in body else {}
        parts = self._account.transforms.storage.call(operation, {**parameters, **given})
        content = parts.pop("Body", None)
        return AwsResult(parts=parts, body=None if content is None else base64.b64encode(content).decode())


@dataclass
class SagemakerWorld:
    """An account in memory."""

    settings: SagemakerSettings
    account: SageMakerAccount = field(default_factory=SageMakerAccount)
    copied: list[tuple[str, str]] = field(default_factory=list)

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        registries = SimpleNamespace(copy=lambda source, target, _login: self.copied.append((source, target)))
        tools = cast("Tools", SimpleNamespace(**vars(tools_of_tests()), registries=registries))
        options = options_of(self.settings, model=model, **more)
        platform = SagemakerTransform if self.settings.mode is SagemakerMode.BATCH else SagemakerEndpoint
        return SharedEndpoint(options, platform(options, KeptAws(self.account), tools), tools)

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.account.faults[f"{REPOSITORY}@{digest_of(version)}"] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        deletions = frozenset({"delete_endpoint", "delete_endpoint_config", "delete_model"})
        self.account.without_effect = deletions if without_effect else frozenset()


def sagemaker_world(**settings: Any) -> SagemakerWorld:
    """An account without endpoints."""
    given = {"role": "arn:aws:iam::123456789012:role/serving", "repository": REPOSITORY, **settings}
    return SagemakerWorld(settings=SagemakerSettings(target="sagemaker", **given))


def batch_world(**settings: Any) -> SagemakerWorld:
    """An account without models for transform jobs."""
    given = {"mode": SagemakerMode.BATCH, "transform_folder": "s3://cellar/trials", **settings}
    return sagemaker_world(**given)


class AzureWeb(StandInWeb):
    """A web client of a workspace, whose servers are asked at addresses of their own."""

    def __init__(self, workspace: AzureWorkspace) -> None:
        super().__init__(workspace.answer)
        self._workspace = workspace

    def post(self, request: WebRequest, *, timeout_s: float) -> WebReply:
        """See Web."""
        assert f"Bearer {KEY}" == request.secret["Authorization"]
        name = request.url.removeprefix("https://").partition(".")[0]
        deployment = request.headers.get("azureml-model-deployment", "")
        status, document = self._workspace.score(name, deployment, request.form or b"")
        return WebReply(status=status, headers={}, body=json.dumps(document).encode())


@dataclass
class AzureWorld:
    """A workspace of Azure in memory."""

    settings: AzureSettings
    workspace: AzureWorkspace = field(default_factory=AzureWorkspace)

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        host = SimpleNamespace(variables=AZURE_LOGIN)
        parts = {**vars(tools_of_tests()), "web": AzureWeb(self.workspace), "host": host}
        return open_azure(options_of(self.settings, model=model, **more), cast("Tools", SimpleNamespace(**parts)))

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.workspace.faults[digest_of(version)] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.workspace.keeps = without_effect


def azure_world(**settings: Any) -> AzureWorld:
    """A workspace without endpoints."""
    return AzureWorld(settings=AzureSettings(target="azureml", **{"workspace": WORKSPACE, **settings}))


class RayWeb(StandInWeb):
    """A web client of a cluster, whose applications are asked below its own address."""

    def __init__(self, cluster: RayApplications) -> None:
        super().__init__(cluster.answer)
        self._cluster = cluster

    def post(self, request: WebRequest, *, timeout_s: float) -> WebReply:
        """See Web."""
        del timeout_s
        assert request.url.startswith("http://127.0.0.1:8000/")
        path = request.url.removeprefix("http://127.0.0.1:8000")
        status, document = self._cluster.invoke(path, request.form or b"")
        return WebReply(status=status, headers={}, body=json.dumps(document).encode())


class KeptPackages:
    """See ray.Packages; what is uploaded has no files."""

    def __init__(self, cluster: RayApplications) -> None:
        self._cluster = cluster

    def version(self, wanted: WantedVersion) -> UploadedVersion:
        """See Packages."""
        self._cluster.packages[f"{wanted.version}.zip"] = 1
        uri = f"gcs://{wanted.version}.zip"
        return UploadedVersion(uri=uri, manifest="m", requirements="requirements.txt", python="3.11")

    def program(self) -> str:
        """See Packages."""
        self._cluster.packages["program.zip"] = 1
        return "gcs://program.zip"


@dataclass
class RayWorld:
    """A cluster in memory."""

    settings: RaySettings
    cluster: RayApplications = field(default_factory=RayApplications)

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        parts = {**vars(tools_of_tests()), "web": RayWeb(self.cluster)}
        tools, options = cast("Tools", SimpleNamespace(**parts)), options_of(self.settings, model=model, **more)
        connection = connect_ray(tools.web, tools.clock, {"RAY_ADDRESS": "http://127.0.0.1:8265"})
        return SharedEndpoint(options, RayEndpoint(options, connection, KeptPackages(self.cluster), tools), tools)

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.cluster.faults[version] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.cluster.keeps = without_effect


def ray_world(**settings: Any) -> RayWorld:
    """A cluster without applications."""
    return RayWorld(settings=RaySettings(target="ray", **settings))


class KeptPlugin:
    """See tools.cloud.plugin.Plugin; its deployments are kept in memory, and `faults` are by the version."""

    def __init__(self, kept: dict[str, str], faults: Mapping[str, str], configs: dict[str, Any]) -> None:
        self._kept = kept
        self._faults = faults
        self._configs = configs

    def do(self, action: PluginAction, **more: Any) -> PluginResult:
        """See Plugin."""
        if action is PluginAction.PREDICT:
            value = json.loads(more["inputs"])["inputs"][0]
            answer = {"predictions": [value * (3 if self._faults.get(self._kept["prod"]) == "wrong" else 2)]}
            return PluginResult(prediction=json.dumps(answer))
        if action in (PluginAction.CREATE, PluginAction.UPDATE):
            assert ("prod" in self._kept) is (action is PluginAction.UPDATE)
            version = more["model_uri"].rpartition("/")[2]
            if self._faults.get(version) == "ends":
                raise ToolFailed(what="MLflow failed to call-plugin", why="the machine ran out of memory")
            self._kept["prod"], self._configs["prod"] = version, more["config"]
        if action is PluginAction.DELETE and self._faults.get("deletion") != "kept":
            del self._kept["prod"]
        return PluginResult(deployment={"name": "prod"} if "prod" in self._kept else None)


class KeptNotes:
    """See PluginNotes; they stay in memory."""

    def __init__(self) -> None:
        self.note: PluginNote | None = None

    def read(self) -> PluginNote | None:
        """See PluginNotes."""
        return self.note

    def write(self, note: PluginNote) -> None:
        """See PluginNotes."""
        self.note = note


@dataclass
class PluginWorld:
    """A plugin whose deployments are kept in memory."""

    settings: PluginSettings
    kept: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    notes: KeptNotes = field(default_factory=KeptNotes)
    configs: dict[str, Any] = field(default_factory=dict)

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        plugin = KeptPlugin(self.kept, self.faults, self.configs)
        return MlflowDeployment(options_of(self.settings, model=model, **more), plugin, self.notes, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.faults[version] = fault

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        self.plant("deletion", "kept" if without_effect else "")


def plugin_world(**settings: Any) -> PluginWorld:
    """A plugin without deployments."""
    return PluginWorld(settings=PluginSettings(target="mlflow", **{"plugin": "cellar", **settings}))


# Where a new version replaces the old one, and cannot be asked before.
IN_PLACE: Mapping[str, Callable[[], World]] = {"mlflow": plugin_world}
# Where a part of the traffic can be led to a new version.
DIVIDED: Mapping[str, Callable[[], World]] = {
    "databricks": databricks_world,
    "sagemaker": sagemaker_world,
    "azureml": azure_world,
    "ray": ray_world,
}
PLATFORMS: Mapping[str, Callable[[], World]] = {**DIVIDED, "sagemaker batch": batch_world}

# What no text of a run may have: the logins of the environment, and tokens that a platform gives for them.
LOGINS = (TOKEN, AZURE_LOGIN["AZURE_CLIENT_SECRET"], AZURE_TOKEN, KEY, "made-up")
