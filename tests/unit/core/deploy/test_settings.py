"""Deployments in pyproject.toml: names, kinds and values that a target accepts."""

import re
import tomllib
from pathlib import Path, PurePath

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.settings import KINDS, HostSettings, read_deployments
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.table import PolicyTable


def read(text: str):
    """The deployments of a manifest."""
    outer = tomllib.loads(text)["tool"]["mlflow-uv"]["deploy"]
    manifest, lines = PurePath("pyproject.toml"), key_lines(text)
    return read_deployments(
        {
            name: PolicyTable(name=f"deploy.{name}", value=value, lines=lines, manifest=manifest, shown=str(manifest))
            for name, value in outer.items()
        }
    )


def test_each_deployment_has_the_settings_of_its_kind() -> None:
    """
    What is not set has a default: the port of the server, on loopback alone.
    """
    found = read('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nmemory = 512\n[tool.mlflow-uv.deploy.b-2]\n'
                 'target = "podman"\nlisten = "10.0.0.1"\nport = 80\n')  # fmt: skip

    assert {
        "prod": HostSettings(target="compose", memory=512, port=8080, listen="127.0.0.1"),
        "b-2": HostSettings(target="podman", listen="10.0.0.1", port=80),
    } == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tool.mlflow-uv.deploy."--rm"]\ntarget = "compose"', "not the name of a deployment"),
        ('[tool.mlflow-uv.deploy."a b"]\ntarget = "compose"', "not the name of a deployment"),
        ('[tool.mlflow-uv.deploy."a\\n b"]\ntarget = "compose"', "not the name of a deployment"),
        ('[tool.mlflow-uv.deploy."../x"]\ntarget = "compose"', "not the name of a deployment"),
        ('[tool.mlflow-uv.deploy."$(id)"]\ntarget = "compose"', "not the name of a deployment"),
        ('[tool.mlflow-uv.deploy.é]\ntarget = "compose"'.replace("é", '"é"'), "not the name of a deployment"),
        (f'[tool.mlflow-uv.deploy.{"a" * 31}]\ntarget = "compose"', "not the name of a deployment"),
        ("[tool.mlflow-uv.deploy.prod]\nport = 80", "has no `target`"),
        ("[tool.mlflow-uv.deploy.prod]\n", "has no `target`"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compos"', "line 2 .*did you mean `compose`"),
        ("[tool.mlflow-uv.deploy.prod]\ntarget = 3", "is 3, which is not a kind"),
        ('[tool.mlflow-uv.deploy]\nprod = "compose"', "is not a table"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nimage = "x"', "does not know `image`"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nport = 65536', "line 3 .*below 65536"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nport = 80.5', "line 3"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nlisten = "0.0.0.0:1 --privileged"', "not an IPv4 address"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nlisten = "256.0.0.1"', "not an IPv4 address"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\nlisten = "example.com"', "not an IPv4 address"),
        ('[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\ncpus = -1', "line 3"),
    ],
)
def test_what_no_target_accepts_is_refused_at_its_line(text: str, message: str) -> None:
    """
    Names become names of networks and objects, and an address a flag: nothing in them may mean something else.
    """
    with pytest.raises(BadInput, match=message):
        read(text)


def test_each_kind_has_a_page_whose_lines_are_valid(root: Path) -> None:
    """
    Also those that are comments; the kind is what its page needs, and the commands name its deployment.
    """
    pages = {path.stem: path.read_text() for path in (root / "docs" / "deploy").glob("*.md")}
    del pages["situations"]  # the table of all targets
    headings = {name: re.findall(r"^## (.*)$", text, re.MULTILINE) for name, text in pages.items()}

    kinds = {}
    for name, text in pages.items():
        blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        deployed = [block for block in blocks if "[tool.mlflow-uv.deploy." in block]
        uncommented = [re.sub(r"^# (?=[a-z-]+ = )", "", block, flags=re.MULTILINE) for block in deployed]
        found = [deployment for block in (*deployed, *uncommented) for deployment in read(block).values()]
        kinds[name] = {deployment.target for deployment in found}
        named = set(re.findall(r"mlflow-uv deploy models:/\S+ --target (\S+)", text))
        assert named <= {table for block in deployed for table in read(block)}, name

    assert {name: {name} for name in KINDS} == kinds
    wanted = {"Permissions", "When it fails"}
    assert [] == [name for name, found in headings.items() if not wanted <= {*found} and name != "podman"]
