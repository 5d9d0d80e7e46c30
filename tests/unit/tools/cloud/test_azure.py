"""The login for Azure: what proves who asks, and to which cloud it goes."""

import json
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.tools.cloud.azure import connect_azure
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest
from tests.unit.ops.deploy.worlds import QuickClock

CLIENT = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
SECRET = {"AZURE_CLIENT_SECRET": "hush-hush-hush"}
JOB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://ids.example.com/t", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-secret"}


class Service:
    """A web client that issues tokens and identities."""

    def __init__(self) -> None:
        self.sent: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.sent.append(request)
        document: dict[str, Any] = {"value": "signed", "access_token": "issued"}
        return WebReply(status=200, headers={}, body=json.dumps(document).encode())


def test_the_login_that_says_most_is_used(tmp_path: Path) -> None:
    """
    A secret, else the token in a file, else the identity of the job, all for the management of one cloud.
    """
    (tmp_path / "token").write_text("from-a-file\n")
    file = {"AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token")}
    proofs = []
    for variables in ({**SECRET, **file, **JOB}, {**file, **JOB}, JOB):
        service = Service()
        api = connect_azure(cast("Web", service), QuickClock(), {**CLIENT, **variables})
        assert "Bearer issued" == api.authorization
        form = parse_qs((service.sent[-1].form or b"").decode())
        assert ["https://management.azure.com/.default"] == form["scope"]
        assert "https://login.microsoftonline.com/tenant/oauth2/v2.0/token" == service.sent[-1].url
        proofs.append(form.get("client_secret") or form["client_assertion"])

    assert [["hush-hush-hush"], ["from-a-file"], ["signed"]] == proofs


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (CLIENT, "there is no login for Azure"),
        (SECRET, "there is no login for Azure"),
        ({**CLIENT, **SECRET, "AZURE_TENANT_ID": "../x"}, "there is no login for Azure"),
        ({**CLIENT, **SECRET, "AZURE_AUTHORITY_HOST": "https://login.example.com"}, "the cloud of Azure is unknown"),
    ],
)
def test_a_login_that_is_missing_or_goes_elsewhere_is_refused(variables: dict[str, str], message: str) -> None:
    """
    Before anything is sent.
    """
    with pytest.raises(BadInput, match=message):
        connect_azure(cast("Web", Service()), QuickClock(), variables)


def test_a_file_without_a_token_is_an_error(tmp_path: Path) -> None:
    """
    Its content is not in the message.
    """
    variables = {**CLIENT, "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "absent")}

    with pytest.raises(ToolFailed, match="cannot be read: FileNotFoundError"):
        _ = connect_azure(cast("Web", Service()), QuickClock(), variables).authorization
