"""Defines the settings of the target mlflow: a plugin of `mlflow.deployments`."""

from typing import Annotated, ClassVar

from ...command.step import Doc, Matching
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .target_settings import TargetSettings


@lazy_dataclass
class PluginSettings(TargetSettings):
    """Settings of the target mlflow."""

    usual_deadline_s: ClassVar[float] = 1800

    plugin: Annotated[
        str | None,
        Doc("Target of the plugin as for `mlflow deployments --target`, such as oci or redisai:/prod; must be set."),
        Matching(r"[A-Za-z][A-Za-z0-9_-]*(?::[^\s@?#]*)?", "the target of a plugin, without a login"),
    ] = None
    group: Annotated[
        str | None,
        Doc("Dependency group of the lock that has the plugin; without it, the packages that are served have it."),
        Matching(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a group"),
    ] = None
    config: Annotated[tuple[str, ...], Doc("Configuration of the deployment for the plugin, each as KEY=VALUE.")] = ()
    variables: Annotated[
        tuple[str, ...], Doc("Names of variables of the job that the plugin gets, such as those with its login.")
    ] = ()

    @property
    def runs_image(self) -> bool:
        """No: a plugin gets the address of the model."""
        return False
