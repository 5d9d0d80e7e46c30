"""Defines the settings of targets that are platforms: an endpoint that others run."""

from enum import Enum
from typing import Annotated, ClassVar

from ...command.limits import Limits
from ...command.step import Doc, Matching
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .target_settings import CanarySettings

_WORKSPACE = r"[0-9a-fA-F-]{36}/[A-Za-z0-9._-]{1,90}/[A-Za-z0-9_-]{3,33}"
_S3_FOLDER = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()-]+){1,20}"
_PREFIX = r"[a-z](?:-?[a-z0-9]){0,28}-?"


@lazy_dataclass
class PlatformSettings(CanarySettings):
    """The settings that every platform has."""

    usual_deadline_s: ClassVar[float] = 1800

    prefix: Annotated[
        str | None,
        Doc("What the name of the endpoint begins with, before the name of the deployment, such as wine-."),
        Matching(_PREFIX, "lower-case letters, digits and single hyphens, at most 30, the first a letter"),
    ] = None

    def endpoint(self, deployment: str) -> str:
        """The name of the endpoint of a deployment."""
        return f"{self.prefix or ''}{deployment}"


@lazy_dataclass
class DatabricksSettings(PlatformSettings):
    """Settings of the target databricks."""

    workload_size: Annotated[
        str,
        Doc("Size of the servers: Small, Medium or Large, or another word of the platform."),
        Matching(r"[A-Za-z0-9_]{1,30}", "a word"),
    ] = "Small"
    workload_type: Annotated[
        str, Doc("Type of the servers: CPU, or a GPU by its name."), Matching(r"[A-Z0-9_]{1,30}", "a word in capitals")
    ] = "CPU"
    scale_to_zero: Annotated[bool, Doc("Stop the servers while there are no requests; the next one waits.")] = False
    secret_scope: Annotated[
        str | None,
        Doc("Scope whose secrets are the variables that the model needs (`serve-env`), by their names."),
        Matching(r"[A-Za-z0-9_.@-]{1,128}", "the name of a secret scope"),
    ] = None

    @property
    def runs_image(self) -> bool:
        """No: the platform has a server of its own."""
        return False


class SagemakerMode(Enum):
    """How a version is used on SageMaker."""

    ENDPOINT = "endpoint"
    BATCH = "batch"


@lazy_dataclass
class SagemakerSettings(PlatformSettings):
    """Settings of the target sagemaker."""

    starts_unattested: ClassVar[bool] = True

    mode: Annotated[
        SagemakerMode, Doc("What is deployed: an `endpoint`, or a model for transform jobs of others (`batch`).")
    ] = SagemakerMode.ENDPOINT
    transform_folder: Annotated[
        str | None,
        Doc("Folder in Amazon S3 for the requests and answers of the job that tries a version, with mode `batch`."),
        Matching(_S3_FOLDER, "an address such as s3://BUCKET/FOLDER"),
    ] = None
    role: Annotated[
        str | None,
        Doc("ARN of the role that the servers have, which must be set."),
        Matching(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}", "the ARN of a role"),
    ] = None
    region: Annotated[
        str | None,
        Doc("Region of the endpoint; that of the environment by default."),
        Matching(r"[a-z]{2}(?:-[a-z]+)+-[0-9]", "the name of a region"),
    ] = None
    instance_type: Annotated[
        str, Doc("Type of the servers."), Matching(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "an instance type such as ml.m5.large")
    ] = "ml.m5.large"
    instances: Annotated[int, Limits(least=1), Doc("Number of servers of a version.")] = 1
    serverless_memory: Annotated[
        int | None,
        Limits(least=1024, below=6145),
        Doc("Memory in MiB of an endpoint without servers of its own: 1024 to 6144, a multiple of 1024."),
    ] = None
    serverless_concurrency: Annotated[
        int, Limits(least=1, below=201), Doc("Requests at the same time to an endpoint without servers of its own.")
    ] = 5
    repository: Annotated[
        str | None,
        Doc("Repository of Amazon ECR to which the image is copied, if it is elsewhere."),
        Matching(
            r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/[a-z0-9._/-]{2,256}", "a repository of ECR"
        ),
    ] = None
    plain_variables: Annotated[
        bool, Doc("Give the model its variables (`serve-env`) in the clear: whoever may describe the model reads them.")
    ] = False


@lazy_dataclass
class AzureSettings(PlatformSettings):
    """Settings of the target azureml."""

    starts_unattested: ClassVar[bool] = True

    workspace: Annotated[
        str | None,
        Doc("Workspace as SUBSCRIPTION/RESOURCE-GROUP/NAME, which must be set."),
        Matching(_WORKSPACE, "a subscription, a resource group and a workspace, with slashes between them"),
    ] = None
    instance_type: Annotated[
        str, Doc("Type of the servers."), Matching(r"[A-Za-z][A-Za-z0-9_]{2,60}", "an instance type")
    ] = "Standard_DS3_v2"
    mirror: Annotated[
        int | None,
        Limits(least=1, below=51),
        Doc("Share of the requests in percent of which a new version gets copies before it gets any, at most 50."),
    ] = None
    mirror_seconds: Annotated[
        float, Limits(least=1, below=86400), Doc("Seconds for which the new version gets copies.")
    ] = 300.0
    instances: Annotated[int, Limits(least=1), Doc("Number of servers of a version.")] = 1
    plain_variables: Annotated[
        bool, Doc("Give the model its variables (`serve-env`) in the clear: whoever may describe the model reads them.")
    ] = False


@lazy_dataclass
class RaySettings(PlatformSettings):
    """Settings of the target ray."""

    replicas: Annotated[int, Limits(least=1), Doc("Number of replicas of a version.")] = 1
    memory: Annotated[int, Limits(least=6), Doc("Memory in MiB that Ray reserves for a replica.")] = 1024
    cpus: Annotated[float, Limits(least=0.01), Doc("Processors that Ray reserves for a replica, as 0.5.")] = 1.0
    url: Annotated[
        str | None,
        Doc("URL at which this machine reaches Ray Serve; without it, its port on the host of the dashboard."),
        Matching(r"https?://[^\s@]+", "an HTTP address"),
    ] = None
    plain_variables: Annotated[
        bool, Doc("Give the model its variables (`serve-env`) in the clear: whoever reaches the cluster reads them.")
    ] = False

    @property
    def runs_image(self) -> bool:
        """No: the nodes install the packages of the lock."""
        return False
