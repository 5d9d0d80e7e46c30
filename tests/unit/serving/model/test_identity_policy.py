"""Tests which policies about identities a server takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.signing.trust_policy import GITHUB as DEFAULT_ISSUER
from mlflow_uv.core.signing.trust_policy import TrustPolicy
from mlflow_uv.serving.model.identity_policy import (
    GITHUB,
    LISTS,
    InvalidPolicy,
    identity_policy,
    identity_verifier,
)

ROOT = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
TRUST: dict[str, Any] = {"sigstore": ROOT, "repositories": ["org/wine"], "refs": ["refs/heads/main"]}


def test_a_policy_has_the_names_and_the_default_issuer_of_the_trust_settings(tmp_path: Path) -> None:
    """
    Its trusted root is in it, or in a file.
    """
    (tmp_path / "root ü.json").write_text(json.dumps(ROOT))

    inline, file = (
        identity_policy(json.dumps({**TRUST, "sigstore": value})) for value in (ROOT, str(tmp_path / "root ü.json"))
    )

    default = TrustPolicy()
    assert (GITHUB,) == (DEFAULT_ISSUER,) == default.issuers
    assert {"sigstore", *LISTS} <= set(TrustPolicy.__dataclass_fields__)
    assert {**TRUST, "sigstore": json.dumps(ROOT), "issuers": [GITHUB], "identities": [], "workflows": []} == inline
    assert json.loads(inline["sigstore"]) == json.loads(file["sigstore"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        (json.dumps({"sigstore": ROOT}), "it trusts everybody"),
        (json.dumps({"sigstore": ROOT, "repositories": ["org/wine"]}), "it trusts every branch"),
        (json.dumps({**TRUST, "repositories": "org/wine"}), "'repositories' is not a list of texts"),
        (json.dumps({**TRUST, "refs": [1]}), "'refs' is not a list of texts"),
        (json.dumps({**TRUST, "keys": []}), "'keys' is not known"),
        (json.dumps({**TRUST, "sigstore": "public"}), "'sigstore' is neither the JSON"),
        (json.dumps({**TRUST, "sigstore": "root.json"}), "'sigstore' is neither the JSON"),
        (json.dumps({**TRUST, "sigstore": "/nowhere/root.json"}), "the trusted root /nowhere/root.json cannot be read"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_a_policy_that_would_trust_everybody_is_an_error(text: str, why: str) -> None:
    """
    And so is one that needs a network, or that nobody can read.
    """
    with pytest.raises(InvalidPolicy, match=why):
        identity_policy(text)


def test_a_server_without_sigstore_names_the_package() -> None:
    """
    It does not start without having verified anything.
    """
    with pytest.raises(InvalidPolicy, match="uv add sigstore"):
        identity_verifier(json.dumps(TRUST))
