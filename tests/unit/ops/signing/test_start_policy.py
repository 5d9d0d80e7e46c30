"""Tests what an image knows of whom the project trusts, as its own server reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.signing.trust_policy import TrustLevel, TrustPolicy
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.ops.signing.start_policy import verify_value
from mlflow_uv.ops.signing.trust import TrustSettings
from mlflow_uv.serving.model.identity_policy import identity_policy
from mlflow_uv.serving.model.public_keys import key_id, public_keys
from mlflow_uv.tools.signing.signer import PublicKey, SigningProgram, TrustedKeys

ROOT = {"tlogs": [{"baseUrl": "https://rekor.example"}]}
CONFIGURATION = json.dumps({"trustedRoot": ROOT, "signingConfig": {"caUrls": []}}, indent=1)
KEYS = [
    f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{point}\n-----END PUBLIC KEY-----\n"
    for point in ("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=")
]  # the first two of RFC 8032, 7.1


class Program(SigningProgram):
    """Reads keys as the program that signs does, which needs an environment of its own."""

    def public_keys(self, trusted: TrustedKeys) -> tuple[PublicKey, ...]:
        """See SigningProgram."""
        return tuple(PublicKey(id=key_id(*public_keys(pem)), pem=pem) for pem in trusted.keys)


def value(needs: tuple[str, ...] = (), policy: TrustLevel = TrustLevel.REQUIRE, **trusted: Any) -> str:
    """The value for trust in these keys or identities, and an image with these packages."""
    nobody: dict[str, Any] = {"keys": (), "authorities": (), "identities": (), "revoked": ()}
    settings = TrustSettings(
        policy=TrustPolicy(policy=policy, revoked=trusted.get("revoked", ())),
        keys=TrustedKeys(**{**nobody, **trusted}),
        origin="MLFLOW_UV_TRUST",
    )
    pins = parse_requirements("".join(f"{name}==1\n" for name in ("six", *needs)))
    needed = Needs(model=Path("model"), requirements=pins, wheels=(), python="3.12.1")
    program = Program(runner=None, host=None, python=Path())  # type: ignore[arg-type]  # nothing is started
    return verify_value(settings, needed, lambda: program)


def test_the_server_reads_the_keys_that_are_trusted_now() -> None:
    """
    On one line, as a Dockerfile needs it, without what was revoked.
    """
    ids = [key_id(*public_keys(pem)) for pem in KEYS]

    both, left = value(keys=tuple(KEYS)), value(keys=tuple(KEYS), revoked=(ids[0],))

    assert [ids, ids[1:]] == [[key_id(key) for key in public_keys(text)] for text in (both, left)]
    assert "\n" not in both + left


def test_the_server_reads_the_identities_that_are_trusted() -> None:
    """
    With the root alone: the addresses of a client trust configuration are for those who sign.
    """
    trusted: dict[str, Any] = {
        "repositories": ("org/wine",),
        "refs": ("refs/heads/main",),
        "issuers": ("https://idp.example",),
    }

    text = value(("sigstore",), sigstore=CONFIGURATION, **trusted)

    policy = identity_policy(text)
    assert ROOT == json.loads(policy["sigstore"])
    assert trusted == {name: tuple(policy[name]) for name in trusted}
    assert ([], [], False) == (policy["identities"], policy["workflows"], "\n" in text)
    assert text == value(("sigstore",), sigstore=json.dumps({"trustedRoot": ROOT}), **trusted)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"policy": TrustLevel.OFF}, "`policy` in MLFLOW_UV_TRUST is `off`"),
        ({"keys": tuple(KEYS), "authorities": ("PEM",)}, "certificates of `authorities`"),
        ({"keys": tuple(KEYS), "sigstore": CONFIGURATION}, "keys together with a Sigstore"),
        ({"sigstore": "public", "needs": ("sigstore",)}, "read over the network"),
        ({"sigstore": CONFIGURATION}, "the package `sigstore`, which the image does not have"),
        ({"sigstore": "{", "needs": ("sigstore",)}, "is not the JSON of a Sigstore"),
        ({"sigstore": "[]", "needs": ("sigstore",)}, "is not the JSON of a Sigstore"),
        ({"keys": tuple(KEYS[:1]), "revoked": (key_id(*public_keys(KEYS[0])),)}, "revokes every key"),
        ({"sigstore": json.dumps({"a": "x" * 120_000}), "needs": ("sigstore",)}, "cannot be kept in an image"),
    ],
    ids=["nobody", "authorities", "both", "public", "no package", "no JSON", "no object", "revoked", "long"],
)
def test_whom_the_server_could_not_verify_is_refused_before_the_image_is_built(given: dict[str, Any], why: str) -> None:
    """
    Otherwise no server of the image would ever start.
    """
    with pytest.raises(BadInput) as refused:
        value(**given)

    assert why in f"{refused.value.what} {refused.value.why}"
