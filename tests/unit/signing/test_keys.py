"""Tests which keys are taken; no message repeats a part of one."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.signing.signer import SigningKey, TrustedKeys
from tests.signers import Signers

pytestmark = pytest.mark.installs


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("locked.pem", "the key is encrypted with a password"),
        ("first.pub", "it is not a private key in PEM"),
        ("odd.pem", "the key is not supported: it is neither ECDSA on the curves P-256, P-384 and P-521 nor Ed25519"),
    ],
)
def test_a_key_that_cannot_sign_is_named_with_its_reason(signers: Signers, tmp_path: Path, file: str, why: str) -> None:
    """
    And the message has nothing of its content.
    """
    key = SigningKey(shown="`release.pem`", pem=signers.text(file))

    with pytest.raises(BadInput) as raised:
        signers.sign(key, tmp_path, "{}")

    assert ("`release.pem` cannot sign", why) == (raised.value.what, raised.value.why)


def test_text_around_a_key_is_left_out(signers: Signers, tmp_path: Path) -> None:
    """
    However long it is.
    """
    key = SigningKey(shown="`release.pem`", pem="# a remark\n" * 10_000 + signers.text("first.pem"))

    signed = signers.sign(key, tmp_path, "{}")

    assert signers.sign(signers.private("first"), tmp_path, "{}").signer == signed.signer
    assert bool(signed.model_signature)


def test_a_certificate_of_another_key_is_refused(signers: Signers, tmp_path: Path) -> None:
    """
    Before anything is signed.
    """
    key = signers.private("first", certificate="leaf")

    with pytest.raises(BadInput, match="cannot sign") as raised:
        signers.sign(key, tmp_path, "{}")

    assert "the first certificate is not that of the key" == raised.value.why


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("expired", "its certificate is valid from "),
        ("early", "its certificate is valid from "),
        ("mute", "its certificate is not one for signatures (key usage digitalSignature)"),
    ],
)
def test_a_certificate_that_verification_would_refuse_signs_nothing(
    signers: Signers, tmp_path: Path, name: str, why: str
) -> None:
    """
    One that has expired, is not valid yet, or may not sign: else the version would be called signed, and be refused.
    """
    key = signers.private(name, certificate=name)

    with pytest.raises(BadInput, match="cannot sign") as raised:
        signers.sign(key, tmp_path, "{}")

    assert raised.value.why.startswith(why)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("first.pem", "it is not a public key in PEM, but a private key"),
        ("leaf.crt", "it is not a public key in PEM, but a certificate"),
    ],
)
def test_a_trusted_key_that_is_none_is_named_with_where_it_comes_from(signers: Signers, file: str, why: str) -> None:
    """
    Also for the policy of an image, which verifies nothing yet.
    """
    text = signers.text(file)
    trusted = TrustedKeys(keys=(text,), authorities=(), identities=(), revoked=(), shown={text: f"`{file}`"})

    with pytest.raises(BadInput) as verifying:
        signers.program.verify(("{}",), trusted)
    with pytest.raises(BadInput) as describing:
        signers.program.public_keys(trusted)

    assert [f"`{file}`: {why}"] * 2 == [verifying.value.why, describing.value.why]
    assert {"a trusted key cannot be used"} == {verifying.value.what, describing.value.what}


def test_the_fix_of_a_private_key_makes_the_public_one(signers: Signers, tmp_path: Path) -> None:
    """
    The command that is printed, with the name of the file.
    """
    (tmp_path / "KEY.pem").write_text(signers.text("first.pem"))
    trusted = TrustedKeys(keys=(signers.text("first.pem"),), authorities=(), identities=(), revoked=())

    with pytest.raises(BadInput) as refused:
        signers.program.verify(("{}",), trusted)
    subprocess.run(shlex.split(refused.value.fix), check=True, cwd=tmp_path)
    repaired = replace(trusted, keys=((tmp_path / "KEY.pub").read_text(),))

    assert signers.program.public_keys(signers.trusting("first")) == signers.program.public_keys(repaired)
