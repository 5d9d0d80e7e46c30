"""The workspace of a run: where it is, and which of the logins is used."""

import json
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.cloud.databricks import connect_workspace
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest
from tests.unit.ops.deploy.worlds import QuickClock

HOST = {"DATABRICKS_HOST": "workspace.example.com/"}
CLIENT = {"DATABRICKS_CLIENT_ID": "client", "DATABRICKS_CLIENT_SECRET": "hush-hush-hush"}
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


def forms(service: Service) -> list[tuple[str, str]]:
    """The kinds of the logins that were sent, and where."""
    return [
        (sent.url, parse_qs(sent.form.decode())["grant_type"][0].rpartition(":")[2])
        for sent in service.sent
        if sent.form
    ]


@pytest.mark.parametrize(
    ("variables", "authorization", "logins"),
    [
        ({"DATABRICKS_TOKEN": "given", **CLIENT, **JOB}, "Bearer given", []),
        ({**CLIENT, **JOB}, "Bearer issued", ["client_credentials"]),
        ({"DATABRICKS_CLIENT_ID": "client", **JOB}, "Bearer issued", ["token-exchange"]),
    ],
)
def test_the_login_that_says_most_is_used(variables: dict[str, str], authorization: str, logins: list[str]) -> None:
    """
    A token, else the secret of a service principal, else the identity of the job.
    """
    service = Service()
    workspace = connect_workspace(cast("Web", service), QuickClock(), {**HOST, **variables})

    assert authorization == workspace.api.authorization
    assert [("https://workspace.example.com/oidc/v1/token", login) for login in logins] == forms(service)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DATABRICKS_TOKEN": "t"}, "DATABRICKS_HOST is not set"),
        ({"DATABRICKS_HOST": "http://workspace.example.com", "DATABRICKS_TOKEN": "t"}, "not an HTTPS address"),
        ({"DATABRICKS_HOST": "https://u:p@workspace.example.com", "DATABRICKS_TOKEN": "t"}, "not an HTTPS address"),
        (HOST, "there is no login for Databricks"),
        ({**HOST, "DATABRICKS_CLIENT_ID": "client"}, "there is no login for Databricks"),
        ({**HOST, **JOB}, "there is no login for Databricks"),
    ],
)
def test_a_workspace_or_a_login_that_is_missing_is_named(variables: dict[str, str], message: str) -> None:
    """
    Before anything is sent; a token is not sent without encryption.
    """
    with pytest.raises(BadInput, match=message):
        connect_workspace(cast("Web", Service()), QuickClock(), variables)


def test_predictions_are_requested_with_the_login_which_is_never_shown() -> None:
    """
    The platform has formats of its own, so only examples are sent.
    """
    variables = {**HOST, "DATABRICKS_TOKEN": "given-token-value"}
    endpoint = connect_workspace(cast("Web", Service()), QuickClock(), variables).server(
        "/serving-endpoints/a/invocations"
    )

    assert ("https://workspace.example.com/serving-endpoints/a/invocations", True) == (
        endpoint.address.shown,
        endpoint.examples_only,
    )
    assert "given-token-value" not in repr(endpoint.headers)
    assert "***" == endpoint.headers.masked("given-token-value")
