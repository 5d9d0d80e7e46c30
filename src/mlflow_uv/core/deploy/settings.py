"""Parses the deployments in [tool.mlflow-uv.deploy.NAME]: a target each, with the settings of its kind."""

from collections.abc import Mapping
from typing import Annotated

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.limits import Limits
from ...command.step import Doc, Matching
from ...command.wording import suggestion
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..policy.table import PolicyTable
from .platform_settings import AzureSettings, DatabricksSettings, RaySettings, SagemakerSettings
from .plugin_settings import PluginSettings
from .repository_settings import RepositorySettings, require_own_files
from .target_settings import CanarySettings, TargetSettings

# Names of networks, containers and objects of Kubernetes are made of it, and all of them accept it.
_NAME = lazy_pattern(r"[a-z](?:-?[a-z0-9]){0,29}")
NAME_MEANING = "lower-case letters, digits and single hyphens, at most 30, the first a letter"
_ADDRESS = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}"
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1123, as Kubernetes requires it
LOOPBACK = "127.0.0.1"


@lazy_dataclass
class HostSettings(CanarySettings):
    """Settings of a service on a host: of the targets compose and podman."""

    port: Annotated[
        int,
        Limits(least=1, below=65536),
        Doc("Port of the host on which the model is served; a preview gets a free one."),
    ] = 8080
    listen: Annotated[
        str, Doc("IPv4 address of the host on which the model is served."), Matching(_ADDRESS, "an IPv4 address")
    ] = LOOPBACK
    memory: Annotated[int | None, Limits(least=6), Doc("Memory limit of the model's container in MiB.")] = None
    cpus: Annotated[float | None, Limits(least=0.01), Doc("Processors of the model's container, as 0.5.")] = None


@lazy_dataclass
class ClusterSettings(TargetSettings):
    """Settings of what runs pods: of the targets kubernetes, kserve and seldon."""

    namespace: Annotated[
        str, Doc("Namespace of the objects, which must exist."), Matching(_LABEL, "the name of a namespace")
    ] = "default"
    replicas: Annotated[int, Limits(least=1), Doc("Number of pods, with `max-replicas` the smallest number.")] = 2
    max_replicas: Annotated[
        int | None, Limits(least=1), Doc("Largest number of pods of an autoscaler; there is none without it.")
    ] = None
    memory: Annotated[int, Limits(least=6), Doc("Memory of a pod in MiB, requested and limited.")] = 1024
    cpus: Annotated[float, Limits(least=0.01), Doc("Processors that a pod requests, as 0.5.")] = 0.5
    secret: Annotated[
        str | None,
        Doc("Secret whose keys are the variables that the model needs (`serve-env`)."),
        Matching(_LABEL, "the name of a Secret"),
    ] = None
    pull_secret: Annotated[
        str | None,
        Doc("Secret with the login for the image's registry."),
        Matching(_LABEL, "the name of a Secret"),
    ] = None

    @property
    def most_replicas(self) -> int:
        """The largest number of pods."""
        return self.replicas if self.max_replicas is None else max(self.replicas, self.max_replicas)


@lazy_dataclass
class KubernetesSettings(ClusterSettings):
    """Settings of the target kubernetes."""

    target_cpu: Annotated[
        int, Limits(least=1, below=101), Doc("Use of the requested processors, in percent, at which pods are added.")
    ] = 70
    port: Annotated[int, Limits(least=1, below=65536), Doc("Port of the Service.")] = 80


@lazy_dataclass
class InferenceSettings(ClusterSettings, CanarySettings):
    """Settings of a service that a model platform in a cluster runs: of the targets kserve and seldon."""

    storage_uri: Annotated[
        str | None,
        Doc(
            "Address of the model's files for the platform's own MLflow server, instead of the image, with"
            " `{model-id}`, `{run-id}`, `{name}` and `{version}`."
        ),
        Matching(r"[a-z][a-z0-9+.-]*://[^\s@\x00-\x1f]+", "an address such as s3://BUCKET/{model-id}/artifacts"),
    ] = None
    url: Annotated[
        str | None,
        Doc("URL at which this machine reaches the service; without it the pods are asked through the API server."),
        Matching(r"https?://[^\s@]+", "an HTTP address"),
    ] = None

    @property
    def runs_image(self) -> bool:
        """Without the address of the files for another server."""
        return self.storage_uri is None


@lazy_dataclass
class Seldon2Settings(CanarySettings):
    """Settings of the target seldon2: Models, which servers of Seldon Core 2 load."""

    namespace: Annotated[
        str, Doc("Namespace of the Models, with servers of Seldon."), Matching(_LABEL, "the name of a namespace")
    ] = "default"
    replicas: Annotated[int, Limits(least=1), Doc("Number of servers that load a version.")] = 1
    max_replicas: Annotated[int | None, Limits(least=1), Doc("Largest number of them, if Seldon scales models.")] = None
    memory: Annotated[int, Limits(least=6), Doc("Memory in MiB that the model needs on a server.")] = 1024
    storage_uri: Annotated[
        str | None,
        Doc(
            "Address of the model's files, with `{model-id}`, `{run-id}`, `{name}` and `{version}`, which must be set."
        ),
        Matching(r"[a-z][a-z0-9+.-]*://[^\s@\x00-\x1f]+", "an address such as s3://BUCKET/{model-id}/artifacts"),
    ] = None
    storage_secret: Annotated[
        str | None,
        Doc("Secret with the access to the files, as Seldon reads it."),
        Matching(_LABEL, "the name of a Secret"),
    ] = None
    server: Annotated[
        str | None,
        Doc("Server that loads the model; by default one that has the capability `mlflow`."),
        Matching(_LABEL, "the name of a Server"),
    ] = None
    url: Annotated[
        str | None,
        Doc("URL at which this machine reaches the mesh of Seldon; without it, it is reached by the API server."),
        Matching(r"https?://[^\s@]+", "an HTTP address"),
    ] = None

    @property
    def runs_image(self) -> bool:
        """No: a server of Seldon loads the files."""
        return False


# The kinds of targets; each has a module of its name in ops/deploy.
KINDS: Mapping[str, type[TargetSettings]] = {
    "compose": HostSettings,
    "podman": HostSettings,
    "kubernetes": KubernetesSettings,
    "sagemaker": SagemakerSettings,
    "databricks": DatabricksSettings,
    "azureml": AzureSettings,
    "ray": RaySettings,
    "mlflow": PluginSettings,
    "kserve": InferenceSettings,
    "seldon": InferenceSettings,
    "seldon2": Seldon2Settings,
    "gitops": RepositorySettings,
}


def read_deployments(tables: Mapping[str, PolicyTable]) -> Mapping[str, TargetSettings]:
    """Parse every table of a deployment. Raises BadInput with the key and its line."""
    deployments = {name: _read(name, table) for name, table in tables.items()}
    require_own_files(deployments)
    return deployments


def require_name(name: str, *, source: str) -> None:
    """Raise BadInput for the name of a deployment or preview that no target accepts."""
    if _NAME.fullmatch(name) is None:
        raise BadInput(
            what=f"{source} is not the name of a deployment", why=f"it is {name!r}, and a name is {NAME_MEANING}"
        )


def _read(name: str, table: PolicyTable) -> TargetSettings:
    require_name(name, source=f"the last part of {table.heading}")
    kind = table.value.get("target") if isinstance(table.value, dict) else None
    if kind is not None and kind not in KINDS:
        hint = (suggestion(kind, KINDS) if isinstance(kind, str) else "") or f"known are {', '.join(KINDS)}"
        raise BadInput(what=f"{table.describe('target')} is {kind!r}, which is not a kind of target", why=hint)
    if kind is None:
        if not isinstance(table.value, dict):
            table.rules(TargetSettings)
        raise BadInput(
            what=f"{table.heading} of {table.shown} has no `target`",
            why=f"it is the kind of the target: {', '.join(KINDS)}",
            fix=f'target = "{next(iter(KINDS))}"',
        )
    return table.parse(KINDS[kind]).policy
