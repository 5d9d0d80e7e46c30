"""Signs in-toto statements as Sigstore bundles, with a private key here or by a program or a service that has one."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sigstore_models import intoto
from sigstore_models.bundle import v1 as bundle_models
from sigstore_models.common import v1 as common_models

from .keyless import signed_files, statement_of_files
from .keys import (
    UNPARSABLE,
    Refused,
    certificates,
    is_elliptic,
    key_id,
    names_of,
    private_key,
    public_key,
    require_signing_certificate,
    sign,
    verify,
)
from .timestamps import has_timestamp, timestamp_data

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
NO_STATEMENT = "it has no in-toto statement with one signature"


def sign_statements(request: Mapping[str, Any]) -> dict[str, Any]:
    """Sign statements, and the files of a model as OpenSSF Model Signing does if the key is one that it takes."""
    key = private_key(request["key"])
    draft = _drafted(request, key.public_key())
    signatures = [sign(key, _pae(PAYLOAD_TYPE, text.encode())) for text in draft["unsigned"]]
    return _completed(draft, key.public_key(), request, signatures)


def draft_signatures(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a public key has signed before, and the texts that its private key has to sign, which is elsewhere."""
    draft = _drafted(request, public_key(request["public_key"]))
    return {**draft, "contents": [_pae(PAYLOAD_TYPE, text.encode()).decode() for text in draft["unsigned"]]}


def complete_signatures(request: Mapping[str, Any]) -> dict[str, Any]:
    """Put signatures, which were made elsewhere, into bundles; each is verified before."""
    signatures = [base64.b64decode(text) for text in request["signatures"]]
    return _completed(request["draft"], public_key(request["public_key"]), request, signatures)


def verified_payload(bundle: Any, key: Any) -> str:
    """The statement of a bundle that a key signed. Raises Refused."""
    envelope = bundle.dsse_envelope
    if envelope is None or envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise Refused(NO_STATEMENT)
    payload = bytes(envelope.payload)
    verify(key, bytes(envelope.signatures[0].sig), _pae(envelope.payload_type, payload))
    return payload.decode(errors="replace")


def signer_of(chain: Sequence[x509.Certificate], key: Any) -> str:
    """The signer in messages: the names of the certificate, and the id of the key."""
    names = " ".join(names_of(chain[0])) if chain else ""
    return f"{names} (key {key_id(key)})" if names else f"key {key_id(key)}"


def _drafted(request: Mapping[str, Any], key: Any) -> dict[str, Any]:
    """
    The bundles that the signer made before, and the statements that are to be signed.

    The statement about the files of the model is the last of these if `model_unsigned` is true.
    """
    chain = _chain(request, key)
    earlier = dict(_earlier(request["earlier"], key, chain, request))
    statements = request["statements"]
    draft: dict[str, Any] = {
        "kept": [earlier[statement] for statement in statements if statement in earlier],
        "unsigned": [statement for statement in statements if statement not in earlier],
        "model_kept": "",
        "model_unsigned": False,
    }
    if is_elliptic(key):
        files = statement_of_files(request)
        before = _earlier([request["earlier_model"]], key, chain, request)
        same = (text for payload, text in before if signed_files(payload) == signed_files(files))
        draft["model_kept"] = next(same, "")
        draft["model_unsigned"] = not draft["model_kept"]
        draft["unsigned"] += [files] if draft["model_unsigned"] else []
    return draft


def _completed(
    draft: Mapping[str, Any], key: Any, request: Mapping[str, Any], signatures: Sequence[bytes]
) -> dict[str, Any]:
    chain = _chain(request, key)
    if len(signatures) != len(draft["unsigned"]):
        raise Refused(f"there are {len(signatures)} signatures, and not {len(draft['unsigned'])}")
    new = []
    for statement, signature in zip(draft["unsigned"], signatures, strict=True):
        try:
            verify(key, signature, _pae(PAYLOAD_TYPE, statement.encode()))
        except Refused:
            form = ", as ASN.1 in DER" if is_elliptic(key) else ""
            raise Refused(f"what it returned is not a signature of the key {key_id(key)}{form}") from None
        new.append(_bundle(statement, signature, _timed(_material(key, chain), signature, chain, request)))
    model = new.pop() if draft["model_unsigned"] else draft["model_kept"]
    return {"signer": signer_of(chain, key), "bundles": [*draft["kept"], *new], "model_signature": model}


def _chain(request: Mapping[str, Any], key: Any) -> list[x509.Certificate]:
    """The certificates for a key, none without any. Raises Refused for one that verification would refuse."""
    chain = certificates(request["certificates"]) if request["certificates"] else []
    if chain and key_id(chain[0].public_key()) != key_id(key):
        raise Refused("the first certificate is not that of the key")
    if chain:
        require_signing_certificate(chain[0], datetime.now(UTC))
    return chain


def _pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: the pre-authentication encoding of DSSE 1.0.0."""
    return f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload


def _bundle(statement: str, signature: bytes, material: Any) -> str:
    envelope = intoto.Envelope(
        payload=base64.b64encode(statement.encode()),
        payload_type=PAYLOAD_TYPE,
        signatures=[intoto.Signature(sig=base64.b64encode(signature), keyid="")],
    )
    bundle = bundle_models.Bundle(media_type=MEDIA_TYPE, verification_material=material, dsse_envelope=envelope)
    return str(bundle.to_json())


def _earlier(
    bundles: Iterable[str], key: Any, chain: Sequence[x509.Certificate], request: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """
    Yield the statements that this signer signed before, with their bundles: they are not signed again.

    If an authority for timestamps is asked, those without a timestamp that counts do not count either.
    """
    material, timed, roots = _material(key, chain), bool(request["timestamp_authority"]), _timestamp_roots(request)
    for text in bundles:
        try:
            bundle = bundle_models.Bundle.from_json(text)
            found = bundle.verification_material.model_copy(update={"timestamp_verification_data": None})
            if found != material:
                continue
            payload = verified_payload(bundle, key)
            if not timed or has_timestamp(bundle, roots, chain):
                yield payload, text
        except (*UNPARSABLE, Refused):  # of another program, or changed
            continue


def _timed(material: Any, signature: bytes, chain: Sequence[x509.Certificate], request: Mapping[str, Any]) -> Any:
    authority = request["timestamp_authority"]
    if not authority:
        return material
    data = timestamp_data(authority, signature, _timestamp_roots(request), chain)
    return material.model_copy(update={"timestamp_verification_data": data})


def _timestamp_roots(request: Mapping[str, Any]) -> list[x509.Certificate]:
    return [root for pem in request["timestamp_roots"] for root in certificates(pem)]


def _material(key: Any, chain: Sequence[x509.Certificate]) -> Any:
    if not chain:
        identifier = common_models.PublicKeyIdentifier(hint=key_id(key))
        return bundle_models.VerificationMaterial(public_key=identifier, tlog_entries=[])
    listed = [
        common_models.X509Certificate(raw_bytes=base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)))
        for certificate in chain
    ]
    certificate_chain = common_models.X509CertificateChain(certificates=listed)
    return bundle_models.VerificationMaterial(x509_certificate_chain=certificate_chain, tlog_entries=[])
