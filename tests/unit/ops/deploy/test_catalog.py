"""Every kind of target that settings may name has a module that opens it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.deploy.settings import KINDS
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.ops.deploy.catalog import open_target
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.toolbox import Tools
from tests.unit.tools.conftest import FakeRunner

from .platforms import AZURE_LOGIN
from .worlds import KeptContainers, tools_of_tests

# What platforms need to be opened; nothing is sent.
LOGINS = {
    "DATABRICKS_HOST": "https://workspace.example.com",
    "DATABRICKS_TOKEN": "made-up",
    "RAY_ADDRESS": "https://ray.example.com",
    **AZURE_LOGIN,
}

STORE = Store(uri="http://127.0.0.1:1", kind=StoreKind.SERVER, variables={})
REGISTRY = SimpleNamespace(project="project", selection=Selection(), client=SimpleNamespace(store=STORE))
MADE = SimpleNamespace(ours=lambda: "python", project=lambda _project, _selection: "python")
NEEDED = {"mlflow": {"plugin": "cellar"}, "gitops": {"repository": "https://git.example/o/r", "file": "a.yaml"}}
OTHERS = {"environments": MADE, "mlflow": None, "registries": None}


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
    needed: dict[str, Any] = {**NEEDED.get(kind, {})}
    options = DeploymentOptions(
        name="prod",
        settings=KINDS[kind](target=kind, **needed),
        is_preview=False,
        proxy_image="p",
        deadline_s=1,
        answer_s=1,
        registry=cast("RegistryClient", REGISTRY),
    )

    target = open_target(options, tools)

    methods = {name for name in vars(DeploymentTarget) if not name.startswith("_")}
    assert methods == {name for name in methods if callable(getattr(target, name, None))}
