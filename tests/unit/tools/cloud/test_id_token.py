"""Access tokens: what proves who asks, and what is said when that is not accepted."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from mlflow_uv.command.errors import LoginRefused, ToolFailed
from mlflow_uv.tools.cloud.id_token import (
    TokenRequest,
    access_token,
    has_workflow_identity,
    issued_token,
    workflow_identity,
)
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest, WebUnreachable

JOB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://ids.example.com/token?api-version=2.0",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-secret",
}


class OneAnswer(Web):
    """A web client with one answer."""

    def __init__(self, status: int, document: Any) -> None:
        super().__init__({})
        self._status, self._document = status, document
        self.sent: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.sent.append(request)
        if isinstance(self._document, WebUnreachable):
            raise self._document
        return WebReply(status=self._status, headers={}, body=json.dumps(self._document).encode())


def test_the_identity_of_a_job_is_for_one_audience() -> None:
    """
    Another service that gets it cannot use it elsewhere.
    """
    web = OneAnswer(200, {"value": "signed"})

    assert "signed" == workflow_identity(web, JOB, "api://Some Audience")

    assert "https://ids.example.com/token?api-version=2.0&audience=api%3A%2F%2FSome%20Audience" == web.sent[0].url
    assert {"Authorization": "Bearer job-secret"} == web.sent[0].secret
    assert (True, False) == (has_workflow_identity(JOB), has_workflow_identity({}))


def test_a_login_is_sent_as_a_form_and_its_proof_is_in_no_message() -> None:
    """
    Neither in an error nor in a `repr`; the service's own words may repeat it.
    """
    exchange = TokenRequest(title="Cloud", url="https://login.example.com", form={"client_secret": "hush hush"})
    refused = OneAnswer(401, {"error": "invalid_client", "error_description": "hush hush is wrong"})
    accepted = OneAnswer(200, {"access_token": "t"})

    assert "t" == access_token(accepted, exchange)
    with pytest.raises(LoginRefused) as caught:
        access_token(refused, exchange)

    assert {"client_secret": ["hush hush"]} == parse_qs((accepted.sent[0].form or b"").decode())
    assert "status 401, invalid_client" == caught.value.why
    assert "hush" not in f"{exchange!r} {caught.value}"


@pytest.mark.parametrize(
    ("status", "document"),
    [(200, {}), (200, {"access_token": ""}), (200, {"access_token": "a\nb"}), (200, []), (500, {"access_token": "t"})],
)
def test_what_is_no_token_is_not_used_as_one(status: int, document: Any) -> None:
    """
    A header with a line break would be two.
    """
    with pytest.raises(ToolFailed, match="Cloud does not accept the login"):
        access_token(OneAnswer(status, document), TokenRequest(title="Cloud", url="https://x.example.com", form={}))


def test_a_service_that_is_away_is_an_error() -> None:
    """
    It says whose service.
    """
    with pytest.raises(ToolFailed, match="GitHub does not issue an identity of this job: away"):
        workflow_identity(OneAnswer(0, WebUnreachable("away")), JOB, "a")


@pytest.mark.parametrize(
    ("said", "lasts_s"),
    [
        (3600, 3600),
        ("3600", 3600),
        (0.5, 0.5),
        (None, 600),
        (True, 600),
        (-1, 600),
        ("soon", 600),
        (1e9, 600),
        ([], 600),
    ],
)
def test_how_long_a_token_lasts_is_what_the_service_says(said: Any, lasts_s: float) -> None:
    """
    Azure says it as a text; what is no such number counts as ten minutes.
    """
    web = OneAnswer(200, {"access_token": "t", "expires_in": said})

    issued = issued_token(web, TokenRequest(title="Cloud", url="https://x.example.com", form={}))

    assert ("t", lasts_s) == (issued.value, issued.lasts_s)
    assert "'t'" not in repr(issued)
