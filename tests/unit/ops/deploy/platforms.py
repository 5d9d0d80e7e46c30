"""Platforms that serve models, as stand-ins in memory, for the tests that are the same for every target."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from mlflow_uv.core.deploy.platform_settings import DatabricksSettings
from mlflow_uv.core.deploy.target_settings import TargetSettings
from mlflow_uv.ops.deploy.databricks import open_target as open_databricks
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget
from mlflow_uv.tools.toolbox import Tools
from tests.stand_ins.databricks import TOKEN, DatabricksWorkspace
from tests.stand_ins.web import Answer, StandInWeb

from .worlds import World, tools_of_tests


def tools_with(answer: Answer, variables: Mapping[str, str]) -> Tools:
    """The tools of a run whose requests a stand-in answers."""
    parts = {**vars(tools_of_tests()), "web": StandInWeb(answer)}
    return cast("Tools", SimpleNamespace(**parts, host=SimpleNamespace(variables=variables)))


def options_of(settings: TargetSettings, *, name: str = "prod") -> DeploymentOptions:
    """The options of a deployment."""
    return DeploymentOptions(name=name, settings=settings, is_preview=False, proxy_image="", deadline_s=8, answer_s=60)


@dataclass
class DatabricksWorld:
    """A workspace in memory."""

    settings: DatabricksSettings
    workspace: DatabricksWorkspace = field(default_factory=DatabricksWorkspace)
    variables: Mapping[str, str] = field(
        default_factory=lambda: {"DATABRICKS_HOST": "https://workspace.example.com", "DATABRICKS_TOKEN": TOKEN}
    )

    def target(self) -> DeploymentTarget:
        """See World."""
        return open_databricks(options_of(self.settings), tools_with(self.workspace.answer, self.variables))

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        self.workspace.faults[version] = fault


def databricks_world(**settings: Any) -> DatabricksWorld:
    """A workspace without endpoints."""
    return DatabricksWorld(settings=DatabricksSettings(target="databricks", **settings))


PLATFORMS: Mapping[str, Callable[[], World]] = {"databricks": databricks_world}
