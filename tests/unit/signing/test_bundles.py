"""Tests that bundles are signed and verified, with sigstore's models and model-signing's own command."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from mlflow_uv.tools.signing.signer import TrustedKeys
from tests.signers import Signers

pytestmark = pytest.mark.installs

STATEMENT = json.dumps({
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "wine", "digest": {"sha256": "0" * 64}}],
    "predicateType": "https://example.com/größe",
    "predicate": {},
})  # fmt: skip
# sigstore's own classes read the bundle, and its own function verifies the envelope of an ECDSA key.
READ = """
import sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sigstore import dsse
from sigstore_models.bundle.v1 import Bundle
bundle = Bundle.from_json(sys.stdin.read())
envelope = dsse.Envelope(bundle.dsse_envelope)
payload = dsse._verify(load_pem_public_key(open(sys.argv[1], "rb").read()), envelope)
dsse.Statement(payload)
print(bundle.media_type, bundle.verification_material.public_key.hint)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model, with a file that MLflow adds on download."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_text("weights")
    (folder / "registered_model_meta").write_text("added")
    return folder


def problems(signers: Signers, trusted: TrustedKeys, *bundles: str) -> list[str]:
    """Why each bundle is not trusted."""
    return [found.problem for found in signers.program.verify(bundles, trusted)]


def der(signers: Signers, name: str) -> str:
    """A certificate as a bundle has it."""
    return "".join(signers.text(f"{name}.crt").splitlines()[1:-1])


@pytest.mark.parametrize("name", ["first", "edwards"])
def test_a_signed_statement_is_verified_with_its_key(signers: Signers, model: Path, name: str) -> None:
    """
    Its payload is the statement, byte by byte, and its signer the id of the key.
    """
    signed = signers.sign(signers.private(name), model, STATEMENT)

    (found,) = signers.program.verify(signed.bundles, signers.trusting("first", "edwards"))

    identifier = hashlib.sha256((signers.folder / f"{name}.pub").read_bytes()).hexdigest()
    assert (STATEMENT, f"key {identifier}", "") == (found.payload, signed.signer, found.problem)
    assert signed.signer == found.signer
    assert (name == "first") == bool(signed.model_signature)


def test_sigstore_and_model_signing_accept_what_is_signed(signers: Signers, model: Path, tmp_path: Path) -> None:
    """
    The bundle by sigstore's library; the model's signature by model-signing's command, which refuses a changed file.
    """
    signed = signers.sign(signers.private("first"), model, STATEMENT)
    python, key = signers.program.python, str(signers.folder / "first.pub")
    (tmp_path / "model.sig").write_text(signed.model_signature)
    verify = (python.with_name("model_signing"), "verify", "key", "--public_key", key, "--signature")

    read = subprocess.run(
        (python, "-I", "-c", READ, key), input=signed.bundles[0], capture_output=True, text=True, check=False
    )
    valid = subprocess.run((*verify, tmp_path / "model.sig", model), capture_output=True, text=True, check=False)
    (model / "model.pkl").write_text("others")
    changed = subprocess.run((*verify, tmp_path / "model.sig", model), capture_output=True, text=True, check=False)

    assert signed.signer.removeprefix("key ") == read.stdout.split()[-1], read.stderr
    assert (0, 1) == (valid.returncode, changed.returncode), valid.stderr
    assert "model.pkl" in changed.stdout + changed.stderr


def test_another_signer_another_content_and_a_revoked_key_are_refused(signers: Signers, model: Path) -> None:
    """
    Also where the bundle claims to be of a trusted key.
    """
    first, second = (signers.sign(signers.private(name), model, STATEMENT) for name in ("first", "second"))
    (bundle,), (others,) = first.bundles, second.bundles
    identifier, other_id = (signed.signer.removeprefix("key ") for signed in (first, second))
    changed = json.loads(bundle)
    changed["dsseEnvelope"]["payload"] = base64.b64encode(STATEMENT.replace("wine", "vine").encode()).decode()
    claiming = others.replace(other_id, identifier)
    odd = bundle.replace("vnd.in-toto+json", "vnd.other+json")
    trusted = signers.trusting("first")

    found = problems(signers, trusted, bundle, others, json.dumps(changed), claiming, odd, "{}", "[1")

    wrong, no_bundle = "its signature is not that of its content", "it is not a Sigstore bundle"
    no_statement = "it has no in-toto statement with one signature"
    assert ["", f"the key {other_id} is not trusted", wrong, wrong, no_statement, no_bundle, no_bundle] == found
    assert [f"the key {identifier} is revoked"] == (
        problems(signers, signers.trusting("first", revoked=(identifier,)), bundle)
    )


def test_certificates_are_those_of_an_authority_valid_now_and_for_somebody_trusted(
    signers: Signers, model: Path
) -> None:
    """
    An expired certificate, one of another authority or for another person, and one that may not sign are refused.
    """
    keys = [signers.private(name, certificate=name) for name in ("leaf", "other")]
    keys.append(signers.private("leaf", certificate="forged"))
    valid, other, forged = (signers.sign(key, model, STATEMENT).bundles[0] for key in keys)
    # Nothing is signed with these two: they take the place of the valid one, and are refused before the signature.
    expired, mute = (valid.replace(der(signers, "leaf"), der(signers, name)) for name in ("expired", "mute"))
    bundles = [valid, expired, mute, other, forged]

    found = problems(signers, signers.trusting(authorities=("authority",)), *bundles)
    unknown = problems(signers, signers.trusting("leaf"), bundles[0])

    assert "" == found[0]
    assert found[1].startswith("its certificate is valid from ")
    assert "its certificate is not one for signatures (key usage digitalSignature)" == found[2]
    assert "its certificate is for intern@example.com, whom the project does not trust" == found[3]
    assert "its certificate leads to no authority that is trusted" == found[4]
    assert ["it has a certificate, and no authority is trusted"] == unknown


def test_an_authority_needs_no_key_usage(signers: Signers, model: Path) -> None:
    """
    RFC 5280 lets it be absent, as `openssl req -x509` does; one that excludes certificates is refused.
    """
    keys = [signers.private(name, certificate=name) for name in ("of-plain", "of-muted")]
    bundles = [signers.sign(key, model, STATEMENT).bundles[0] for key in keys]

    found = problems(signers, signers.trusting(authorities=("plain", "muted")), *bundles)

    assert ["", "its certificate leads to no authority that is trusted"] == found


def test_a_bundle_that_cannot_be_read_says_nothing_about_those_beside_it(signers: Signers, model: Path) -> None:
    """
    It is one that is not trusted: a writer could add one to those of every version.
    """
    (bundle,) = signers.sign(signers.private("leaf", certificate="leaf"), model, STATEMENT).bundles
    content = json.loads(bundle)
    (listed,) = content["verificationMaterial"]["x509CertificateChain"]["certificates"]
    der = base64.b64decode(listed["rawBytes"])
    spoilt = [
        bundle.replace(listed["rawBytes"], base64.b64encode(other).decode())
        for other in (b"garbage", der[:-9], der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"))
    ]
    trusted = signers.trusting(authorities=("authority",))

    found = problems(signers, trusted, *spoilt, bundle)

    assert [True, True, True, False] == [problem.startswith("it has a certificate or a key that") for problem in found]
    assert "" == found[-1]
