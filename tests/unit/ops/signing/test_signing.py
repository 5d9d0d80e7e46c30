"""Tests where a private key is read from."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.signing.signing import KeyInputs, key_signer, workflow_signer
from mlflow_uv.tools.signing.signer import SigningKey
from mlflow_uv.tools.system.web import WebReply, WebRequest
from mlflow_uv.tools.toolbox import Tools

PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
CHAIN = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"


def given(**named: Any) -> KeyInputs:
    """Inputs about a key of which only these are given."""
    nothing = {
        "file": None, "signer": (), "public_key": None, "certificate": None, "timestamp_authority": "",
        "project": Path(),
    }  # fmt: skip
    return KeyInputs(**{**nothing, **named})


def test_the_authorities_for_timestamps_are_those_of_the_trust_settings(tmp_path: Path) -> None:
    """
    Of the variable, whose keys are texts; none without an authority that is asked, and none of a policy that is off.
    """
    trust = f'identities = ["a"]\nauthorities = ["""{CHAIN}"""]\ntimestamp-authorities = ["""{CHAIN}"""]\n'
    url = "https://tsa.example/tsr"

    def roots(authority: str, policy: str) -> tuple[str, ...]:
        variables = {
            "MLFLOW_UV_SIGNING_KEY": PEM.format("VARIABLE"),
            "MLFLOW_UV_TRUST": f'policy = "{policy}"\n{trust}',
        }
        tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(folder=tmp_path, variables=variables)))
        key = key_signer(given(timestamp_authority=authority, project=tmp_path), tools)
        assert isinstance(key, SigningKey)
        return key.timestamp_roots

    assert [(CHAIN,), (), ()] == [roots(url, "require"), roots("", "require"), roots(url, "off")]


def test_a_file_counts_before_the_variable(tmp_path: Path) -> None:
    """
    The certificates are read beside either; no representation has the key.
    """
    (tmp_path / "release.pem").write_text(PEM.format("FILE"))
    (tmp_path / "chain.pem").write_text(CHAIN)
    variables = {"MLFLOW_UV_SIGNING_KEY": PEM.format("VARIABLE")}
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(folder=tmp_path, variables=variables)))

    of_file = key_signer(given(file=Path("release.pem"), certificate=Path("chain.pem")), tools)
    of_variable = key_signer(given(), tools)

    assert isinstance(of_file, SigningKey)
    assert isinstance(of_variable, SigningKey)
    assert (PEM.format("FILE"), CHAIN, "`release.pem`") == (of_file.pem, of_file.certificates, of_file.shown)
    assert (PEM.format("VARIABLE"), "", "MLFLOW_UV_SIGNING_KEY") == (
        of_variable.pem, of_variable.certificates, of_variable.shown,
    )  # fmt: skip
    assert "BEGIN PRIVATE" not in repr((of_file, of_variable))


class GitHub:
    """A web in which GitHub gives the identity of a job; it keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.requests.append(request)
        return WebReply(status=200, body=json.dumps({"value": "header.claims.signature"}).encode(), headers={})


def test_the_identity_is_that_of_the_variable_else_of_the_job(tmp_path: Path) -> None:
    """
    GitHub is asked for the audience that Fulcio requires; no representation has the token.
    """
    (tmp_path / "sigstore.json").write_text('{"mediaType": "m"}')
    web = GitHub()
    job = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?api-version=2",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "r",
    }
    hosts = (SimpleNamespace(folder=tmp_path, variables=job | more) for more in ({}, {"MLFLOW_UV_IDENTITY_TOKEN": "t"}))
    of_job, of_variable = (cast("Tools", SimpleNamespace(host=host, web=web)) for host in hosts)

    asked = workflow_signer("public", of_job)
    given = workflow_signer("sigstore.json", of_variable)

    assert ("header.claims.signature", "public") == (asked.token, asked.sigstore)
    assert ("t", '{"mediaType": "m"}', "MLFLOW_UV_IDENTITY_TOKEN") == (given.token, given.sigstore, given.shown)
    assert ["https://token.example/?api-version=2&audience=sigstore"] == [request.url for request in web.requests]
    assert "claims" not in repr(asked)


@pytest.mark.parametrize(("content", "what"), [("{", "is not the JSON of a Sigstore"), ("{}", "there is no identity")])
def test_without_a_token_or_a_configuration_nothing_is_signed(tmp_path: Path, content: str, what: str) -> None:
    """
    Before anything is asked.
    """
    (tmp_path / "sigstore.json").write_text(content)
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(folder=tmp_path, variables={})))

    with pytest.raises(BadInput) as raised:
        workflow_signer("sigstore.json", tools)

    assert what in raised.value.what
