"""Which deployment of a project is meant."""

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.ops.deploy.settings import DeploymentName, settings_of
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.toolbox import Tools

ONE = '[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\n'
TWO = f'{ONE}[tool.mlflow-uv.deploy.stage]\ntarget = "podman"\n'


def chosen_deployment(folder: Path, deployments: str, name: str | None) -> tuple[str, str]:
    """The name and the kind of the deployment that a project means."""
    (folder / "pyproject.toml").write_text(f'[project]\nname = "wine"\nversion = "1"\n{deployments}')
    tools = SimpleNamespace(host=Host.of({}, folder=folder, python=Path(sys.executable)))
    chosen, settings = settings_of(read_project(folder), name, cast("Tools", tools))
    return chosen, settings.target


def test_the_only_deployment_needs_no_name(tmp_path: Path) -> None:
    """
    With several, one is named.
    """
    assert ("prod", "compose") == chosen_deployment(tmp_path, ONE, None)
    assert ("stage", "podman") == chosen_deployment(tmp_path, TWO, "stage")


@pytest.mark.parametrize(
    ("deployments", "name", "what", "fix"),
    [
        ("", None, "has no deployment", "[tool.mlflow-uv.deploy.prod]"),
        (TWO, None, "`target` is not given", "--target prod"),
        (TWO, "stag", "has no deployment 'stag'", "--target stage"),
        (ONE, "--rm", "has no deployment '--rm'", "--target prod"),
    ],
)
def test_a_deployment_that_is_not_there_is_refused(
    tmp_path: Path, deployments: str, name: str | None, what: str, fix: str
) -> None:
    """
    The fix names one that is.
    """
    with pytest.raises(BadInput, match=what) as caught:
        chosen_deployment(tmp_path, deployments, name)

    assert fix in caught.value.fix


def test_a_preview_has_the_name_of_its_deployment_before_its_own() -> None:
    """
    Both together must be a name, too.
    """
    assert ("prod", "prod-pr-17") == (
        DeploymentName(table="prod").full,
        DeploymentName(table="prod", preview="pr-17").full,
    )
    for preview in ("", "PR 17", "-x", "a" * 28, "../prod"):
        with pytest.raises(BadInput, match="`preview`"):
            _ = DeploymentName(table="prod", preview=preview).full


@pytest.mark.parametrize("serve_env", [(), ("API_KEY", "ZONE")])
@pytest.mark.parametrize("preview", [None, "pr-17"])
def test_the_command_that_deploys_again_names_the_same_deployment(
    tmp_path: Path, preview: str | None, serve_env: tuple[str, ...]
) -> None:
    """
    Its inputs lead to the name again; the name of a preview is that of no table. The model needs its variables.
    """
    name = DeploymentName(table="prod", preview=preview, serve_env=serve_env)
    words = shlex.split(name.deploy_call("models:/wine/1"))
    inputs = dict(zip(words[2::2], words[3::2], strict=True))

    table, _ = chosen_deployment(tmp_path, TWO, inputs["--target"])

    variables = tuple(inputs.get("--serve-env", "").replace(",", " ").split())
    assert name == DeploymentName(table=table, preview=inputs.get("--preview"), serve_env=variables)
