"""Defines the settings of targets that are platforms: an endpoint that others run."""

from typing import Annotated, ClassVar

from ...command.step import Doc, Matching
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .target_settings import TargetSettings

_PREFIX = r"[a-z](?:-?[a-z0-9]){0,28}-?"


@lazy_dataclass
class PlatformSettings(TargetSettings):
    """The settings that every platform has."""

    least_deadline_s: ClassVar[float] = 1800

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
