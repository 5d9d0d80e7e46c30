"""An audit looks at the deployments that a version is recorded to run on."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import NoEngine
from mlflow_uv.command.host import Host
from mlflow_uv.core.release.chain import LinkState, merge_checks
from mlflow_uv.ops.deploy.audit import checked_deployments
from mlflow_uv.ops.lineage.audit import Audited
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.payloads.messages.deployments import DEPLOYED, REPLACED
from mlflow_uv.payloads.messages.tags import DEPLOYMENT_PREFIX
from mlflow_uv.tools.project.files import read_project
from tests.messages import DEPLOYMENT

from .test_target import deploy
from .worlds import HostWorld, digest_of, host_world, tools_of_tests, wanted_version

ENTRY = replace(DEPLOYMENT, state=DEPLOYED, image=digest_of("1"))


def checks(
    folder: Path, world: HostWorld | None, *entries, settings: str = "prod", target: str = "compose", record=None
):
    """The link of each deployment of a version."""
    manifest = f'[project]\nname = "wine"\nversion = "1"\n[tool.mlflow-uv.deploy.{settings}]\ntarget = "{target}"\n'
    (folder / "pyproject.toml").write_text(manifest)

    def opened(_kind: object, _name: str):
        if world is None:
            raise NoEngine(what="no engine answers", fix="start it")
        return world.containers

    host = Host.of({}, folder=folder, python=Path(sys.executable))
    tools = SimpleNamespace(**vars(tools_of_tests()), host=host, engines=SimpleNamespace(deployed=opened))
    registry = cast("RegistryClient", SimpleNamespace(project=read_project(folder), tools=tools))
    tags = {f"{DEPLOYMENT_PREFIX}{entry.deployment}": json.dumps(asdict(entry)) for entry in entries}
    return merge_checks(checked_deployments(registry, cast("Audited", SimpleNamespace(tags=tags, record=record))))


def states(folder: Path, world: HostWorld | None, *entries, **more):
    """The state of each link about the deployments of a version."""
    return {check.link: check.state for check in checks(folder, world, *entries, **more)}


def test_a_deployment_holds_while_it_runs_the_version(tmp_path: Path) -> None:
    """
    Another version there, or nothing, breaks the link; so does another image under the same version.
    """
    world = host_world()
    link = "deployment prod"

    found = [states(tmp_path, world, ENTRY)]
    for version in ("1", "2"):
        deploy(world, version)
        found.append(states(tmp_path, world, ENTRY))
    found.append(states(tmp_path, world, replace(ENTRY, version="2")))

    broken = {link: LinkState.BROKEN}
    assert [broken, {link: LinkState.HOLDS}, broken, broken] == found


def test_a_preview_is_looked_at_with_the_settings_of_its_deployment(tmp_path: Path) -> None:
    """
    Its name begins with that of the deployment.
    """
    world = host_world()
    deploy(world, "1")

    assert {"deployment prod-pr-17": LinkState.HOLDS} == states(
        tmp_path, world, replace(ENTRY, deployment="prod-pr-17")
    )


@pytest.mark.parametrize(
    ("world", "more"),
    [(host_world(), {"settings": "other"}), (host_world(), {"target": "podman"}), (None, {})],
    ids=["another name", "another kind", "no engine"],
)
def test_a_deployment_that_cannot_be_looked_at_is_unverified(
    tmp_path: Path, world: HostWorld | None, more: dict[str, str]
) -> None:
    """
    The project here may not be the one that deployed it.
    """
    assert {"deployment prod": LinkState.UNVERIFIED} == states(tmp_path, world, ENTRY, **more)


def test_a_deployment_that_runs_another_version_by_its_entry_is_not_looked_at(tmp_path: Path) -> None:
    """
    A version that was replaced has no deployment any more.
    """
    assert {} == states(tmp_path, None, replace(ENTRY, state=REPLACED))


def test_a_version_that_was_released_again_with_another_image_is_not_what_runs(tmp_path: Path) -> None:
    """
    The tag and the target agree on the old image, and the record has the new one.
    """
    world = host_world()
    deploy(world, "1")

    found = [states(tmp_path, world, ENTRY, record=wanted_version(number).record) for number in ("1", "2")]

    assert [{"deployment prod": LinkState.HOLDS}, {"deployment prod": LinkState.BROKEN}] == found


def test_a_table_that_is_invalid_is_the_reason(tmp_path: Path) -> None:
    """
    The project has the deployment; its settings cannot be read, and the audit says why and what helps.
    """
    (check,) = checks(tmp_path, host_world(), ENTRY, target="compos")

    assert ("deployment prod", LinkState.UNVERIFIED) == (check.link, check.state)
    assert "is 'compos', which is not a kind of target" in check.reason
    assert "has no deployment" not in check.reason


def test_the_fix_of_a_target_that_cannot_be_used_is_one_of_the_link(tmp_path: Path) -> None:
    """
    It is no part of the reason.
    """
    (check,) = checks(tmp_path, None, ENTRY)

    assert ("no engine answers", "start it") == (check.reason, check.fix)
