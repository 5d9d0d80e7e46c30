"""Tests the verification of signatures without cryptography, against keys and signatures that cryptography makes."""

import base64
import hashlib
import json
import subprocess

import pytest

from mlflow_uv.serving.model.public_keys import CURVES, InvalidKey, key_id, public_keys
from tests.sharing import SharedFolder
from tests.signers import Signers, make_signers

SIGN = """
import base64, hashlib, json, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
made = []
for name, curve, algorithm in (
    ("P-256", ec.SECP256R1(), hashes.SHA256()), ("P-384", ec.SECP384R1(), hashes.SHA384()),
    ("P-521", ec.SECP521R1(), hashes.SHA512()), ("Ed25519", None, None),
):
    key = ec.generate_private_key(curve) if curve else ed25519.Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    contents = [b"content %d" % at for at in range(8)]
    signatures = [key.sign(one, ec.ECDSA(algorithm)) if curve else key.sign(one) for one in contents]
    encoded = [base64.b16encode(one).decode() for one in signatures]
    made.append({"name": name, "pem": pem.decode(), "signatures": encoded})
print(json.dumps(made))
"""


@pytest.fixture(scope="module")
def signers(shared: SharedFolder) -> Signers:
    """See make_signers."""
    return make_signers(shared)


@pytest.mark.installs
def test_signatures_of_cryptography_are_verified_and_others_refused(signers: Signers) -> None:
    """
    Each key with eight signatures: those of another content, with one bit changed, longer or empty are none.
    """
    python = str(signers.program.python)
    done = subprocess.run((python, "-I", "-c", SIGN), capture_output=True, text=True, check=True)
    for made in json.loads(done.stdout):
        (key,) = public_keys(made["pem"])
        signatures = [bytes.fromhex(one) for one in made["signatures"]]
        contents = [b"content %d" % at for at in range(8)]

        valid = [key.verifies(one, content) for one, content in zip(signatures, contents, strict=True)]
        first = signatures[0]
        changed = [bytes((*first[:at], first[at] ^ 1, *first[at + 1 :])) for at in range(0, len(first), 3)]
        odd = (b"", b"0", first[:-1], first + b"\0", b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\x30\x81" + first[1:])

        assert [True] * 8 == valid, made["name"]
        assert not key.verifies(first, contents[1])
        assert [] == [one.hex() for one in (*changed, *odd) if key.verifies(one, contents[0])], made["name"]


@pytest.mark.installs
def test_the_id_of_a_key_is_that_which_sign_prints(signers: Signers) -> None:
    """
    Also of keys that are listed one after the other.
    """
    texts = [signers.text(f"{name}.pub") for name in ("first", "edwards")]

    found = [key_id(key) for key in public_keys("".join(texts))]

    assert [hashlib.sha256(text.encode()).hexdigest() for text in texts] == found


def test_the_base_points_are_on_their_curves_and_have_their_orders() -> None:
    """
    A mistake in a constant could accept a signature that is none.
    """
    for curve in CURVES:
        x, y = curve.base

        assert 0 == (y * y - x**3 + 3 * x - curve.b) % curve.p
        assert curve.times(curve.n, curve.base) is None


@pytest.mark.parametrize("pem", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_something_else_is_no_key(pem: str) -> None:
    """
    Nothing is trusted then.
    """
    with pytest.raises(InvalidKey):
        public_keys(pem)


def test_a_point_that_is_not_on_its_curve_is_no_key() -> None:
    """
    Nor is a key on another curve.
    """
    off = CURVES[0].prefix + (1).to_bytes(32, "big") + (1).to_bytes(32, "big")
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(off).decode()}\n-----END PUBLIC KEY-----\n"

    with pytest.raises(InvalidKey, match="neither ECDSA"):
        public_keys(pem)
