"""Selecting the Python that evaluates a version in a process of this machine."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.versions.evaluation import python_for

OURS, PROJECTS = Path("/ours/bin/python"), Path("/project/bin/python")


@pytest.mark.parametrize(
    ("minor", "project", "python"),
    [
        ("3.11", "here", str(OURS)),
        ("3.12", "here", str(PROJECTS)),
        ("3.12", None, "behind a shim of 3.12"),
        ("3.13", "here", "behind a shim of 3.13"),
    ],
)
def test_an_interpreter_that_is_known_to_start_goes_first(minor: str, project: str | None, python: str) -> None:
    """
    The one that talks to the store, then the one that trains; a version alone may lead to a shim that does not start.
    """
    versions = {OURS: "3.11.9", PROJECTS: "3.12.1"}
    tools = SimpleNamespace(
        mlflow=SimpleNamespace(describe_environment=lambda one: SimpleNamespace(python=versions[one])),
        environments=SimpleNamespace(
            project=lambda _project, _selection: PROJECTS, interpreter=lambda wanted: f"behind a shim of {wanted}"
        ),
    )
    store = cast(
        "RegistryClient",
        SimpleNamespace(tools=tools, client=SimpleNamespace(python=OURS), project=project, selection=None),
    )
    needs = Needs(model=Path("/model"), requirements=None, wheels=(), python=f"{minor}.1")

    assert python == python_for(needs, store)
