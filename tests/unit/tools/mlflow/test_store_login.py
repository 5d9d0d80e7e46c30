"""The login to a store by the identity of a job: when it is used, what a child gets, and when it is renewed."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import LoginRefused, StoreUnreachable
from mlflow_uv.command.host import Host
from mlflow_uv.command.wording import CommandLine, worded
from mlflow_uv.tools.mlflow.store_login import StoreLogin
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest, WebUnreachable
from tests.stand_ins.databricks_models import DatabricksModels
from tests.stand_ins.job_identity import ISSUER, JobIdentity
from tests.unit.ops.deploy.worlds import QuickClock

WORKSPACE = {"MLFLOW_TRACKING_URI": "databricks"}
IDS, HOST = "https://ids.example.com", "https://workspace.example.com"


class Network:
    """A web client that asks the stand-ins of the workspace and of GitHub; `faults` are raised first."""

    def __init__(self, workspace: DatabricksModels) -> None:
        self.workspace = workspace
        self.faults: list[Exception | WebReply] = []
        self.sent: list[str] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.sent.append(request.url)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, WebReply):
                return fault
            raise fault
        path = request.url.removeprefix(IDS).removeprefix(HOST)
        if request.url.startswith(IDS):
            status, document = self.workspace.identity.answer("GET", path, request.secret["Authorization"], b"")
            return WebReply(status=status, headers={}, body=json.dumps(document).encode())
        status, body = self.workspace.answer("POST", path, {}, request.form or b"")
        return WebReply(status=status, headers={}, body=body)


class Job:
    """A job of GitHub, with a clock of its own."""

    def __init__(self, folder: Path, **without: str) -> None:
        self.workspace = DatabricksModels(host=HOST, identity=JobIdentity(url=IDS))
        self.workspace.trust_the_job()
        self.variables = {
            "MLFLOW_UV_HOME": str(folder), **self.workspace.with_identity, "PATH": "/usr/bin", **without
        }  # fmt: skip
        self.network, self.clock, self.concealed = Network(self.workspace), QuickClock(), list[str]()
        self.folder = folder

    def login(self, **variables: str) -> StoreLogin:
        """The login, with other variables."""
        host = Host.of({**self.variables, **variables}, folder=self.folder, python=Path(sys.executable))
        return StoreLogin(host=host, web=cast("Web", self.network), clock=self.clock, conceal=self.concealed.append)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job that the workspace trusts."""
    return Job(tmp_path)


def test_a_child_gets_a_token_in_place_of_what_asks_for_identities(job: Job) -> None:
    """
    One exchange serves all children; the token is concealed before anything could print it, and is in no `repr`.

    They get the address of the workspace, where the variable has that of a page in it.
    """
    page = f"{HOST}/?o=123"
    login = job.login(DATABRICKS_HOST=page)
    given = {"PATH": "/usr/bin", "DATABRICKS_HOST": page, "DATABRICKS_CLIENT_ID": "made-up-principal"}

    first, second = (login.given(given, store) for store in (WORKSPACE, {"MLFLOW_REGISTRY_URI": "databricks-uc"}))

    (token,) = job.workspace.exchanged
    assert {
        "PATH": "/usr/bin",
        "DATABRICKS_HOST": HOST,
        "DATABRICKS_TOKEN": token,
        "DATABRICKS_AUTH_TYPE": "pat",
    } == first
    assert (first, [token], [f"{HOST}/oidc/v1/token"]) == (second, job.concealed, job.workspace.identity.audiences)
    assert token in login.secrets
    assert token not in repr(login.token(WORKSPACE))


@pytest.mark.parametrize(
    ("variables", "store"),
    [
        ({}, {"MLFLOW_TRACKING_URI": "https://mlflow.example.com"}),
        ({}, {"MLFLOW_TRACKING_URI": "databricks://profile"}),
        ({}, {}),
        ({"DATABRICKS_TOKEN": "given"}, WORKSPACE),
        ({"DATABRICKS_CLIENT_SECRET": "given"}, WORKSPACE),
        ({"DATABRICKS_CONFIG_PROFILE": "wine"}, WORKSPACE),
        ({"DATABRICKS_OIDC_TOKEN": "of GitLab"}, WORKSPACE),
        ({"DATABRICKS_OIDC_TOKEN_FILE": "/run/identity"}, WORKSPACE),
        ({"DATABRICKS_AUTH_TYPE": "azure-cli"}, WORKSPACE),
        ({"DATABRICKS_CLIENT_ID": ""}, WORKSPACE),
        ({"GITHUB_ACTIONS": "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}, WORKSPACE),
    ],
)
def test_another_store_and_another_login_are_left_alone(
    job: Job, variables: Mapping[str, str], store: Mapping[str, str]
) -> None:
    """
    Nothing is asked, and a child has what it had.
    """
    given = {"DATABRICKS_CLIENT_ID": "a", "PATH": "/usr/bin"}

    assert given == job.login(**variables).given(given, store)
    assert ([], []) == (job.network.sent, job.concealed)


@pytest.mark.parametrize(
    ("lasts_s", "passed_s", "tokens"),
    [(3600, 2699, 1), (3600, 2701, 2), (8, 3, 1), (8, 5, 2), (None, 299, 1), (None, 301, 2)],
)
def test_a_token_is_exchanged_again_before_it_ends(job: Job, lasts_s: Any, passed_s: float, tokens: int) -> None:
    """
    A quarter of an hour before, or after half of a short life; one of unknown life counts as one of ten minutes.
    """
    job.workspace.lasts_s = lasts_s
    if lasts_s is None:
        reply = {"access_token": "issued"}
        original = job.workspace.answer
        job.workspace.answer = lambda *request: (original(*request)[0], json.dumps(reply).encode())  # type: ignore[method-assign]
        job.workspace.lasts_s = 600
    login = job.login()

    first = login.token(WORKSPACE)
    job.clock.wait(passed_s)
    login.token(WORKSPACE)

    assert tokens == len(job.concealed)
    assert first is not None
    job.clock.wait(4000)
    assert login.has_ended(first)


@pytest.mark.parametrize("fault", ["client", "subject", "audience", "expired"])
def test_an_identity_that_is_not_trusted_is_an_error_with_the_policy_that_trusts_it(job: Job, fault: str) -> None:
    """
    The error shows what the workspace was shown, but no signature of it; its fix lets the job log in.
    """
    workspace, variables = job.workspace, {}
    match fault:
        case "client":
            variables = {"DATABRICKS_CLIENT_ID": "another"}
        case "subject":
            workspace.identity.subject = "repo:org/wine:ref:refs/heads/it's $(odd)"
        case "audience":
            variables = {"DATABRICKS_TOKEN_AUDIENCE": "1234-account"}
        case "expired":
            workspace.identity.lasts_s = -1
    with pytest.raises(LoginRefused) as caught:
        job.login(**variables).token(WORKSPACE)
    error, sent = caught.value, list(job.network.sent)

    fix = worded(error.fix, CommandLine())
    words = shlex.split(fix[fix.index("databricks account") :])
    policy = json.loads(words[words.index("--json") + 1])["oidc_policy"]
    workspace.trust(policy)  # what that command does, by the published API
    if fault == "client":
        variables = {"DATABRICKS_CLIENT_ID": workspace.principal[0]}
        assert "set DATABRICKS_CLIENT_ID to the application id of a service principal" in fix
    workspace.identity.lasts_s = 300

    assert (28, 2) == (error.exit_code, len(sent)), "no refusal is tried again"
    assert ["databricks", "account", "service-principal-federation-policy", "create"] == words[:4]
    assert {"issuer": ISSUER, "audiences": [workspace.identity.audiences[0]],
            "subject": workspace.identity.subject} == policy  # fmt: skip
    assert [] == [proof for proof in workspace.identity.issued if proof.rpartition(".")[2] in error.text]
    assert job.login(**variables).token(WORKSPACE)


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_a_job_without_the_permission_is_an_error_that_says_so(job: Job, tmp_path: Path, event: str) -> None:
    """
    GitHub gives none to pull requests from forks; with the permission the job logs in.
    """
    payload = tmp_path / "event.json"
    payload.write_text(
        json.dumps({"pull_request": {"head": {"repo": {"full_name": "fork/wine", "id": 2}},
                                     "base": {"repo": {"full_name": "org/wine", "id": 1}}}})
    )  # fmt: skip
    away = {"ACTIONS_ID_TOKEN_REQUEST_URL": "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "",
            "GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(payload)}  # fmt: skip

    with pytest.raises(LoginRefused, match="this job has no identity to log in to Databricks with") as caught:
        job.login(**away).token(WORKSPACE)

    fixes = {
        "push": "add `id-token: write` to `permissions` of the job",
        "pull_request": "leave out --tracking-uri and set --embedded for such pull requests",
    }
    assert fixes[event] == caught.value.fix
    assert [] == job.network.sent
    assert None is job.login(**away).token({"MLFLOW_TRACKING_URI": "embedded:/store"})
    assert job.login().token(WORKSPACE)


def test_a_right_that_github_refuses_is_an_error_of_its_own(job: Job) -> None:
    """
    As in a job that ended; one that has the right asks again.
    """
    with pytest.raises(LoginRefused, match="GitHub does not issue an identity of this job: status 401") as caught:
        job.login(ACTIONS_ID_TOKEN_REQUEST_TOKEN="of-another-job").token(WORKSPACE)

    assert "run the job again, with the permission `id-token: write`" == caught.value.fix
    assert job.login().token(WORKSPACE)


@pytest.mark.parametrize("number", [2, 3])
def test_a_service_that_is_busy_is_asked_three_times(job: Job, number: int) -> None:
    """
    After that the store is unreachable, which is no refusal.
    """
    busy = WebReply(status=503, headers={}, body=b"")
    faults: list[Exception | WebReply] = [WebUnreachable("it is away"), busy, busy]
    job.network.faults = faults[:number]
    login = job.login()

    if number == 2:
        assert login.token(WORKSPACE)
    else:
        with pytest.raises(StoreUnreachable, match="status 503"):
            login.token(WORKSPACE)
