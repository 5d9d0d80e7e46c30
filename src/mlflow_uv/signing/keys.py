"""Reads keys and certificates, and makes and verifies raw signatures with them."""

import hashlib
import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

# The server's module about signers without a key, which is beside the modules here when this program runs: both have
# one rule. No other module of the server is loaded.
identities: Any = importlib.import_module(".identities", __package__)
Refused, Untrusted, UNPARSABLE, names_of = (
    identities.Refused, identities.Untrusted, identities.UNPARSABLE, identities.names_of,
)  # fmt: skip

# The hash of a signature by the size of the curve, as Sigstore's and OpenSSF's formats define it.
_HASHES = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_SUPPORTED = "it is neither ECDSA on the curves P-256, P-384 and P-521 nor Ed25519"
_MOST_INTERMEDIATES = 8


def private_key(pem: str) -> Any:
    """The private key in a PEM text. Raises Refused."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise Refused("the key is encrypted with a password") from None
    except ValueError:  # its message could repeat a part of the key
        raise Refused("it is not a private key in PEM") from None
    _require_supported(key.public_key())
    return key


def public_key(pem: str) -> Any:
    """The public key in a PEM text. Raises Refused."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except UNPARSABLE:
        label = next((kind for kind in ("PRIVATE KEY", "CERTIFICATE") if f"{kind}-----" in pem), "")
        what = f", but a {label.lower()}" if label else ""
        raise Refused(f"it is not a public key in PEM{what}") from None
    _require_supported(key)
    return key


def certificates(pem: str) -> list[x509.Certificate]:
    """The certificates in a PEM text. Raises Refused without one."""
    try:
        return [*x509.load_pem_x509_certificates(pem.encode())]
    except ValueError:
        raise Refused("it has no certificate in PEM") from None


def key_id(key: Any) -> str:
    """SHA-256 of the public key in PEM, in hex: the hint of a bundle, as OpenSSF Model Signing computes it."""
    return hashlib.sha256(key_pem(key).encode()).hexdigest()


def key_pem(key: Any) -> str:
    """A public key in PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_bytes(serialization.Encoding.PEM, form).decode())


def is_elliptic(key: Any) -> bool:
    """Whether it is an ECDSA key, which OpenSSF Model Signing requires."""
    return isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey))


def sign(key: Any, content: bytes) -> bytes:
    """The signature of a private key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return bytes(key.sign(content))
    return bytes(key.sign(content, ec.ECDSA(_HASHES[key.curve.key_size]())))


def verify(key: Any, signature: bytes, content: bytes) -> None:
    """Raise Refused unless it is the signature of the public key over the content."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, content)
        else:
            key.verify(signature, content, ec.ECDSA(_HASHES[key.curve.key_size]()))
    except InvalidSignature:
        raise Refused("its signature is not that of its content") from None


def verify_certificate(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime) -> None:
    """
    Raise Refused unless the first certificate leads to a root, may sign, and is valid now.

    There is no trusted time of signing, so a certificate that has expired is not accepted.
    """
    leaf, *others = chain
    require_signing_certificate(leaf, now)
    builder = PolicyBuilder().store(Store(roots)).time(now).max_chain_depth(_MOST_INTERMEDIATES)
    # RFC 5280, 4.2.1.3: a certificate without key usage is not limited, as that of `openssl req -x509`.
    ca_policy = ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.KeyUsage, Criticality.AGNOSTIC, _require_authority
    )
    verifier = builder.extension_policies(
        ca_policy=ca_policy, ee_policy=ExtensionPolicy.permit_all()
    ).build_client_verifier()
    try:
        verifier.verify(leaf, others)
    except VerificationError:
        raise Untrusted("its certificate leads to no authority that is trusted") from None
    _require_supported(leaf.public_key())


def require_signing_certificate(leaf: x509.Certificate, now: datetime) -> None:
    """Raise Refused for a certificate that is not valid now, or not one for signatures."""
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        when = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        raise Untrusted(f"its certificate is valid from {when}")
    if not _may_sign(leaf):
        raise Untrusted("its certificate is not one for signatures (key usage digitalSignature)")


def _require_authority(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("it may not sign certificates")


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature)
    except x509.ExtensionNotFound:
        return False


def _require_supported(key: Any) -> None:
    supported = isinstance(key, ed25519.Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    )
    if not supported:
        raise Refused(f"the key is not supported: {_SUPPORTED}")
