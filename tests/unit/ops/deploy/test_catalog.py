"""Every kind of target that settings may name has a module that opens it."""

from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.core.deploy.settings import KINDS
from mlflow_uv.ops.deploy.catalog import open_target
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget
from mlflow_uv.tools.toolbox import Tools
from tests.unit.tools.conftest import FakeRunner

from .worlds import KeptContainers, tools_of_tests

# What platforms need to be opened; nothing is sent.
LOGINS = {"DATABRICKS_HOST": "https://workspace.example.com", "DATABRICKS_TOKEN": "made-up"}

OTHERS = {"environments": SimpleNamespace(ours=lambda: "python"), "mlflow": None, "registries": None}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_opens_a_target_that_has_every_method(kind: str) -> None:
    """
    A module that lacks one would fail in the middle of a deployment.
    """
    engines = SimpleNamespace(deployed=lambda _kind, name: KeptContainers(name))
    host = SimpleNamespace(variables=LOGINS)
    tools = cast(
        "Tools", SimpleNamespace(**vars(tools_of_tests()), engines=engines, runner=FakeRunner(), host=host, **OTHERS)
    )
    options = DeploymentOptions(
        name="prod", settings=KINDS[kind](target=kind), is_preview=False, proxy_image="p", deadline_s=1, answer_s=1
    )

    target = open_target(options, tools)

    methods = {name for name in vars(DeploymentTarget) if not name.startswith("_")}
    assert methods == {name for name in methods if callable(getattr(target, name, None))}
