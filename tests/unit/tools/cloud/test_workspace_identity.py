"""The exchange of a job's identity: what is sent where, and which claims of an identity an error shows."""

import json
from base64 import urlsafe_b64encode
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from mlflow_uv.command.errors import BadInput, LoginRefused
from mlflow_uv.tools.cloud.workspace_identity import WorkspaceAccount, exchange_identity, workspace_root
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest
from tests.unit.ops.deploy.worlds import QuickClock

ROOT = "https://workspace.example.com"
JOB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://ids.example.com/t",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "right-of-the-job",
}


class Services:
    """GitHub's service, which issues one identity, and that of a workspace, with one status."""

    def __init__(self, identity: str, status: int) -> None:
        self.identity, self.status = identity, status
        self.sent: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.sent.append(request)
        document = {"value": self.identity, "access_token": "issued", "expires_in": 60}
        status = self.status if request.form else 200
        return WebReply(status=status, headers={}, body=json.dumps(document if status == 200 else {}).encode())

    def exchange(self, **variables: str) -> Any:
        """Ask both."""
        account = WorkspaceAccount(root=ROOT, client="client", variables={**JOB, **variables})
        return exchange_identity(cast("Web", self), QuickClock(), account)


def identity_of(claims: object) -> str:
    """A signed identity with these claims."""
    return f"head.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"


def test_the_exchange_is_the_documented_one() -> None:
    """
    The identity is for the token service of the workspace unless another audience is named, and is sent there alone.
    """
    services = Services("signed", 200)

    issued = services.exchange()
    services.exchange(DATABRICKS_TOKEN_AUDIENCE="account")

    asked, exchanged, named, _ = services.sent
    assert ("issued", 60) == (issued.value, issued.lasts_s)
    assert "https://ids.example.com/t?audience=https%3A%2F%2Fworkspace.example.com%2Foidc%2Fv1%2Ftoken" == asked.url
    assert (f"{ROOT}/oidc/v1/token", {}) == (exchanged.url, exchanged.secret)
    assert "https://ids.example.com/t?audience=account" == named.url
    assert {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "subject_token_type": ["urn:ietf:params:oauth:token-type:jwt"],
        "subject_token": ["signed"],
        "scope": ["all-apis"],
        "client_id": ["client"],
    } == parse_qs((exchanged.form or b"").decode())


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        (identity_of({"iss": "i", "sub": "repo:a/b", "aud": "w"}), "the job is `repo:a/b` for the audience `w`"),
        (identity_of({"sub": ["a"], "aud": "a\n::error::b"}), "the job is `` for the audience ``"),
        (identity_of([1]), "the job is `` for"),
        ("head.%%%.signature", "the job is `` for"),
        ("a" * 40, "the job is `` for"),
        (f"head.{'A' * 100_000}.signature", "the job is `` for"),
    ],
    ids=["claims", "odd claims", "no claims", "no Base64", "no parts", "no JSON"],
)
def test_a_refusal_shows_the_claims_that_the_workspace_was_shown(identity: str, shown: str) -> None:
    """
    As far as they can be read: whatever GitHub issued, the error is the refusal, without the proof.
    """
    with pytest.raises(LoginRefused, match="Databricks does not accept the identity of this job") as caught:
        Services(identity, 401).exchange()

    assert shown in caught.value.why
    assert "\n" not in caught.value.text
    assert identity not in caught.value.text


@pytest.mark.parametrize(
    "host", ["", "http://workspace.example.com", "https://u:p@w.example.com", "https://w\\@x", "w/ a"]
)
def test_an_address_that_is_none_is_refused(host: str) -> None:
    """
    Before an identity is issued.
    """
    with pytest.raises(BadInput, match="the Databricks workspace is unknown"):
        workspace_root({"DATABRICKS_HOST": host})

    assert "https://w.example.com" == workspace_root({"DATABRICKS_HOST": " w.example.com/ "})


@pytest.mark.parametrize("rest", ["/?o=123", "/browse/folders/1?o=123#x"])
def test_the_address_of_a_page_is_that_of_its_workspace(rest: str) -> None:
    """
    A browser shows it so; the identity of the job is exchanged at the token service and not at the page.
    """
    assert "https://w.example.com:8443" == workspace_root({"DATABRICKS_HOST": f"https://w.example.com:8443{rest}"})
