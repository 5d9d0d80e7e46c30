"""A release whose tracking server is a workspace of Databricks, and whose registry is Unity Catalog."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sharing import SharedFolder
from tests.stand_ins.databricks_models import DatabricksModels, databricks_models
from tests.stores import servers_python

from .sample_project import SampleProject, error

NAME = "main.models.wine"
DENIED = 8


@pytest.fixture
def workspace(shared: SharedFolder, tmp_path: Path) -> Iterator[DatabricksModels]:
    """A workspace with a schema `main.models`."""
    with databricks_models(servers_python(shared), tmp_path / "workspace") as found:
        yield found


@pytest.mark.extended
def test_a_release_registers_in_unity_catalog_and_is_promoted(
    sample: SampleProject, workspace: DatabricksModels
) -> None:
    """
    As a service principal, from the lock to the champion and its audit; the same release again creates nothing.
    """
    variables = {"MLFLOW_TRACKING_URI": "databricks", **workspace.with_secret}
    flags = ("--engine", "none", "--model-name", NAME, "--experiment", "/Shared/wine")

    result = sample.run("release", *flags, variables=variables)
    again = sample.run("register", "--model-name", NAME, variables=variables)
    promoted = sample.run("promote", "--model-name", NAME, variables=variables)
    audited = sample.run("audit", f"models:/{NAME}@champion", variables=variables)

    model = workspace.catalog.models[NAME]
    assert (0, "tested", True) == (result.code, result.outputs["state"], result.outputs["created"]), result.stderr
    assert (0, False, "1") == (again.code, again.outputs["created"], again.outputs["version"]), again.stderr
    assert (0, {"candidate": "1", "champion": "1"}) == (promoted.code, model.aliases), promoted.stderr
    assert (0, []) == (audited.code, audited.answer["findings"]), audited.stderr
    tags = model.versions["1"]["tags"]
    entries = [key for key in tags if key.startswith("mlflow_uv__audit__")]
    assert (["1"], 2, 9) == (list(model.versions), len(entries), len(tags) - len(entries)), "docs/recipes/databricks.md"
    printed = "".join(run.stdout + run.stderr for run in (result, again, promoted, audited))
    hidden = (workspace.token, workspace.principal[1], *workspace.issued)
    assert [] == [secret for secret in hidden if secret in printed]


@pytest.mark.extended
def test_a_version_of_another_model_in_unity_catalog_is_found(
    sample: SampleProject, workspace: DatabricksModels
) -> None:
    """
    The tag with the digest of the record is exchanged in the catalog: the audit of the version names the link.
    """
    variables = {"MLFLOW_TRACKING_URI": "databricks", **workspace.with_token}
    flags = ("--engine", "none", "--model-name", NAME, "--experiment", "/Shared/wine")
    released = sample.run("release", *flags, variables=variables)
    tags = workspace.catalog.models[NAME].versions["1"]["tags"]
    (key,) = (key for key in tags if key.endswith("record_sha256"))
    tags[key] = "0" * 64

    audited = sample.run("audit", f"models:/{NAME}@candidate", variables=variables)

    (finding,) = audited.answer["findings"]
    assert (0, 1) == (released.code, audited.code), audited.stderr
    assert f"`record` of {NAME} version 1 does not hold" in json.dumps(finding)


@pytest.mark.extended
def test_a_login_that_the_workspace_refuses_stops_before_training(
    sample: SampleProject, workspace: DatabricksModels
) -> None:
    """
    A wrong token is no server that is down, and is not shown.
    """
    wrong = "dapi-quite-another-token"
    variables = {"MLFLOW_TRACKING_URI": "databricks", **workspace.with_token, "DATABRICKS_TOKEN": wrong}
    flags = ("--engine", "none", "--model-name", NAME, "--experiment", "/Shared/wine")

    result = sample.run("release", *flags, "--train", "touch trained", variables=variables)

    code, kind, sentence, fix = error(result)
    assert (DENIED, "StoreUnreachable") == (code, kind), result.stderr
    assert ("denies access" in sentence, "DATABRICKS_TOKEN" in fix) == (True, True), (sentence, fix)
    assert (False, False) == ((sample.folder / "trained").exists(), wrong in result.stdout + result.stderr)
