"""A release whose tracking server is a workspace of Databricks, and whose registry is Unity Catalog."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sharing import SharedFolder
from tests.stand_ins.databricks_models import DatabricksModels, databricks_models
from tests.stores import servers_python

from .sample_project import SampleProject, error, training

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


REFUSED = 28
# Prints what it was given, and ends when the workspace no longer accepts its token, if it is to wait for that.
GIVEN = """
import time
import urllib.error
import urllib.request
given = {name for name in os.environ if name.startswith(("ACTIONS_", "DATABRICKS_"))}
print("given", *sorted(given))
print("token", os.environ["DATABRICKS_TOKEN"])
with mlflow.start_run():
    log()
request = urllib.request.Request(os.environ["DATABRICKS_HOST"] + "/api/2.0/fs/directories/Models",
                                 headers={"Authorization": "Bearer " + os.environ["DATABRICKS_TOKEN"]})
accepted = os.environ.get("WAIT_FOR_THE_END") == "yes"
while accepted:
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        accepted = error.code != 403
    time.sleep(0.05)
if os.environ.get("FAIL") == "yes":
    raise SystemExit("the end")
"""
FLAGS = ("--model-name", NAME)
RELEASE = ("--engine", "none", *FLAGS, "--experiment", "/Shared/wine")


def job(workspace: DatabricksModels, **more: str) -> dict[str, str]:
    """The variables of a job of GitHub that logs in by its identity."""
    return {"MLFLOW_TRACKING_URI": "databricks", **workspace.with_identity, "GITHUB_ACTIONS": "", **more}


@pytest.mark.extended
def test_every_step_logs_in_by_the_identity_of_the_job(
    sample: SampleProject, workspace: DatabricksModels, tmp_path: Path
) -> None:
    """
    One exchange a step. Training and MLflow's client get the token alone, and no output, file or tag has it.
    """
    workspace.trust_the_job()
    (sample.folder / "data.csv").write_text("x,target\n1.0,2.0\n2.0,4.0\n3.0,6.0\n")
    sample.train_with(training(GIVEN))
    variables, uri = job(workspace), f"models:/{NAME}@candidate"
    page, card = tmp_path / "report.html", tmp_path / "card"
    steps = (
        ("release", *RELEASE),
        ("register", *FLAGS),
        ("evaluate", *FLAGS, "--data", "data.csv", "--target-column", "target", "--model-type", "regressor"),
        ("promote", *FLAGS),
        ("audit", f"models:/{NAME}@champion"),
        ("report", uri, "--report-file", str(page)),
        ("model-card", uri, "--card-folder", str(card)),
        ("prune", *FLAGS, "--keep", "1"),
        ("rollback", *FLAGS),
    )

    results = {step: sample.run(step, *flags, variables=variables) for step, *flags in steps}

    expected = dict.fromkeys(results, 0) | {"rollback": 2}  # nothing was the champion before
    assert expected == {step: result.code for step, result in results.items()}, [
        (step, result.stdout[-1500:], result.stderr[-1500:]) for step, result in results.items() if result.code
    ]
    assert len(steps) == len(workspace.exchanged) == len(workspace.identity.audiences)
    assert {workspace.token_service} == set(workspace.identity.audiences)
    assert "given DATABRICKS_AUTH_TYPE DATABRICKS_HOST DATABRICKS_TOKEN\n" in results["release"].stderr
    assert "token ***\n" in results["release"].stderr
    shown = "".join(result.stdout + result.stderr for result in results.values())
    kept = b"".join(workspace.files.values()).decode(errors="replace") + json.dumps(
        [vars(model) for model in workspace.catalog.models.values()], default=str
    )
    files = "".join(
        path.read_text(errors="replace")
        for folder in (sample.consumer.home / "state", card)
        for path in folder.rglob("*")
        if path.is_file()
    )
    proofs = (*workspace.exchanged, *workspace.identity.issued, workspace.identity.right)
    assert [] == [proof for proof in proofs if proof in shown + kept + files + page.read_text()]


@pytest.mark.extended
def test_a_login_that_ends_while_a_model_is_trained_is_renewed(
    sample: SampleProject, workspace: DatabricksModels
) -> None:
    """
    The token of the training is refused when it ends; what follows has another one.

    A training that fails after the end of its login is told so: with a secret it logs in by itself.
    """
    workspace.trust_the_job()
    workspace.lasts_s = 60
    sample.train_with(training(GIVEN))
    variables = job(workspace, WAIT_FOR_THE_END="yes")
    client, secret = workspace.principal

    result = sample.run("release", *RELEASE, "--train-env", "WAIT_FOR_THE_END", variables=variables)
    assert 0 == result.code, (result.stdout, result.stderr[-6000:])
    workspace.lasts_s = 60
    failed = sample.run("log-model", "--retrain", *RELEASE[-2:], variables={**variables, "FAIL": "yes"})

    assert ("tested", True) == (result.outputs["state"], len(workspace.exchanged) > 1)
    assert (9, True) == (failed.code, "DATABRICKS_CLIENT_SECRET" in failed.stderr), failed.stderr[-3000:]
    assert "training's login to the store ended after 60 s, before training did" in failed.stderr
    (sample.folder / "train.py").write_text(training())
    sample.commit()
    fixed = {**variables, "DATABRICKS_CLIENT_ID": client, "DATABRICKS_CLIENT_SECRET": secret}
    before = len(workspace.exchanged)
    assert 0 == sample.run("log-model", "--retrain", *RELEASE[-2:], variables=fixed).code
    assert before == len(workspace.exchanged)


@pytest.mark.extended
@pytest.mark.parametrize("fault", ["policy", "client", "permission", "member"])
def test_a_login_by_identity_that_is_refused_stops_before_training(
    sample: SampleProject, workspace: DatabricksModels, fault: str
) -> None:
    """
    What it prints lets the next run in, and no proof is printed.
    """
    variables = job(workspace)
    command = ("release", *RELEASE, "--train", "touch trained")
    match fault:
        case "client":
            workspace.trust_the_job()
            variables["DATABRICKS_CLIENT_ID"] = "another"
        case "permission":
            workspace.trust_the_job()
            variables |= {"ACTIONS_ID_TOKEN_REQUEST_URL": "", "GITHUB_ACTIONS": "true"}
        case "member":
            workspace.trust_the_job()
            workspace.is_member = False

    result = sample.run(*command, variables=variables)
    code, kind, sentence, fix = error(result)
    trained = (sample.folder / "trained").exists()
    match fault:
        case "policy":
            words = shlex.split(fix[fix.index("databricks account") :])
            workspace.trust(json.loads(words[-1])["oidc_policy"])
        case "client":
            assert "DATABRICKS_CLIENT_ID is `another`" in sentence
            assert "set DATABRICKS_CLIENT_ID to the application id" in fix
            variables["DATABRICKS_CLIENT_ID"] = workspace.principal[0]
        case "permission":
            assert "add `id-token: write` to `permissions` of the job" == fix
            variables = job(workspace)
        case "member":
            assert fix.startswith("add the service principal of DATABRICKS_CLIENT_ID to the workspace")
            workspace.is_member = True
    mended = sample.run("release", *RELEASE, variables=variables)

    expected = (DENIED, "StoreUnreachable") if fault == "member" else (REFUSED, "LoginRefused")
    assert (*expected, False) == (code, kind, trained), result.stderr
    assert (0, "tested") == (mended.code, mended.outputs["state"]), mended.stderr
    proofs = (*workspace.exchanged, *workspace.identity.issued, workspace.identity.right)
    assert [] == [proof for proof in proofs if proof in result.stdout + result.stderr + mended.stdout + mended.stderr]
