"""Signs in-toto statements as Sigstore bundles, and verifies such bundles with keys and certificates."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from model_signing import hashing, signing
from sigstore_models import intoto
from sigstore_models.bundle import v1 as bundle_models
from sigstore_models.common import v1 as common_models

from .keyless import sign_keyless, signed_files, verified_keyless
from .keys import (
    UNPARSABLE,
    Refused,
    Stranger,
    certificates,
    is_elliptic,
    key_id,
    names_of,
    pem_of,
    private_key,
    public_key,
    require_signing_certificate,
    sign,
    verify,
    verify_certificate,
)

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_NO_STATEMENT = "it has no in-toto statement with one signature"
# What model-signing leaves out by default, too.
_IGNORED = (".git", ".gitignore", ".gitattributes", ".github")


def sign_statements(request: Mapping[str, Any]) -> dict[str, Any]:
    """Sign statements, and the files of a model by OpenSSF Model Signing if the key is one that it takes."""
    key = private_key(request["key"])
    chain = certificates(request["certificates"]) if request["certificates"] else []
    if chain and key_id(chain[0].public_key()) != key_id(key.public_key()):
        raise Refused("the first certificate is not that of the key")
    if chain:
        require_signing_certificate(chain[0], datetime.now(UTC))
    material = _material(key, chain)
    earlier = dict(_earlier(request["earlier"], key.public_key(), material))
    new = [
        _bundle(key, statement.encode(), material).to_json()
        for statement in request["statements"]
        if statement not in earlier
    ]
    bundles = [*(earlier[statement] for statement in request["statements"] if statement in earlier), *new]
    model = _model_signature(request, key, chain) if is_elliptic(key) else ""
    return {"signer": _signer(chain, key.public_key()), "bundles": bundles, "model_signature": model}


def verify_bundles(request: Mapping[str, Any]) -> dict[str, Any]:
    """Verify each bundle: its payload, the signer, and the problem, which is empty for one that is trusted."""
    trusted = {key_id(key): key for key in map(public_key, request["keys"])}
    roots = [certificate for pem in request["authorities"] for certificate in certificates(pem)]
    trust = {**request, "trusted": trusted, "roots": roots}
    return {"results": [_result(text, trust) for text in request["bundles"]]}


def describe_keys(request: Mapping[str, Any]) -> dict[str, Any]:
    """The id of each public key in PEM."""
    return {"ids": [key_id(public_key(pem)) for pem in request["keys"]]}


VERBS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "sign": sign_statements,
    "sign-keyless": lambda request: sign_keyless({**request, "all_ignored": (*_IGNORED, *request["ignored"])}),
    "verify": verify_bundles,
    "describe": describe_keys,
}


def _pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: the pre-authentication encoding of DSSE 1.0.0."""
    return f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload


def _bundle(key: Any, statement: bytes, material: Any) -> Any:
    signature = base64.b64encode(sign(key, _pae(_PAYLOAD_TYPE, statement)))
    envelope = intoto.Envelope(
        payload=base64.b64encode(statement),
        payload_type=_PAYLOAD_TYPE,
        signatures=[intoto.Signature(sig=signature, keyid="")],
    )
    return bundle_models.Bundle(media_type=_MEDIA_TYPE, verification_material=material, dsse_envelope=envelope)


def _earlier(bundles: Sequence[str], key: Any, material: Any) -> Iterator[tuple[str, str]]:
    """Yield the statements that this signer signed before, with their bundles: they are not signed again."""
    for text in bundles:
        try:
            bundle = bundle_models.Bundle.from_json(text)
            if bundle.verification_material == material:
                yield _verified_payload(bundle, key), text
        except (ValueError, Refused):  # of another program, or changed
            continue


def _material(key: Any, chain: Sequence[x509.Certificate]) -> Any:
    if not chain:
        identifier = common_models.PublicKeyIdentifier(hint=key_id(key.public_key()))
        return bundle_models.VerificationMaterial(public_key=identifier, tlog_entries=[])
    listed = [
        common_models.X509Certificate(raw_bytes=base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)))
        for certificate in chain
    ]
    certificate_chain = common_models.X509CertificateChain(certificates=listed)
    return bundle_models.VerificationMaterial(x509_certificate_chain=certificate_chain, tlog_entries=[])


def _signer(chain: Sequence[x509.Certificate], key: Any) -> str:
    names = " ".join(names_of(chain[0])) if chain else ""
    return f"{names} (key {key_id(key)})" if names else f"key {key_id(key)}"


def _model_signature(request: Mapping[str, Any], key: Any, chain: Sequence[x509.Certificate]) -> str:
    """The earlier signature of the model's files if this signer made it of the same files, else a new one."""
    new = _sign_model(request, chain)
    bundle = bundle_models.Bundle.from_json(new)
    files = signed_files(_verified_payload(bundle, key.public_key()))
    earlier = _earlier([request["earlier_model"]], key.public_key(), bundle.verification_material)
    return next((text for payload, text in earlier if signed_files(payload) == files), new)


def _sign_model(request: Mapping[str, Any], chain: Sequence[x509.Certificate]) -> str:
    """The signature of a model's files; its key is passed through a pipe, because the library takes only a path."""
    with tempfile.TemporaryDirectory() as scratch:
        # Only the key: the text around it may be longer than what a pipe holds.
        signature, path = Path(scratch) / "model.sig", _piped(pem_of(private_key(request["key"])))
        config = signing.Config()
        if chain:
            parts = [Path(scratch) / f"{at}.pem" for at in range(len(chain))]
            for part, certificate in zip(parts, chain, strict=True):
                part.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
            # An empty chain is refused by the library.
            others = parts[1:] or parts
            config.use_certificate_signer(private_key=path, signing_certificate=parts[0], certificate_chain=others)
        else:
            config.use_elliptic_key_signer(private_key=path)
        hashed = hashing.Config().set_ignored_paths(paths=(*_IGNORED, *request["ignored"]), ignore_git_paths=False)
        config.set_hashing_config(hashed).sign(Path(request["model"]), signature)
        return signature.read_text(encoding="utf-8")


def _piped(content: bytes) -> Path:
    """The path of a pipe with this content, which is shorter than what a pipe holds."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return Path(f"/dev/fd/{reading}")


def _result(text: str, trust: Mapping[str, Any]) -> dict[str, Any]:
    """What is known about one bundle; one that cannot be parsed says nothing about those beside it."""
    result: dict[str, Any] = {"payload": "", "signer": "", "problem": "", "statement": "", "stranger": False}
    try:
        bundle = bundle_models.Bundle.from_json(text)
    except ValueError:  # of pydantic
        return {**result, "problem": "it is not a Sigstore bundle"}
    if bundle.dsse_envelope is not None:
        result["statement"] = hashlib.sha256(bytes(bundle.dsse_envelope.payload)).hexdigest()
    try:
        if bundle.verification_material.certificate is not None:
            kind, result["payload"], result["signer"] = verified_keyless(text, trust)
            if kind != _PAYLOAD_TYPE:
                raise Refused(_NO_STATEMENT)
        else:
            key, result["signer"] = _trusted_key(bundle.verification_material, trust)
            result["payload"] = _verified_payload(bundle, key)
    except Refused as refused:
        result["problem"], result["stranger"] = str(refused), isinstance(refused, Stranger)
    except UNPARSABLE as error:
        result["problem"] = f"it has a certificate or a key that cannot be read: {' '.join(str(error).split())}"
    return result


def _verified_payload(bundle: Any, key: Any) -> str:
    envelope = bundle.dsse_envelope
    if envelope is None or envelope.payload_type != _PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise Refused(_NO_STATEMENT)
    verify(key, envelope.signatures[0].sig, _pae(envelope.payload_type, envelope.payload))
    return bytes(envelope.payload).decode(errors="replace")


def _trusted_key(material: Any, trust: Mapping[str, Any]) -> tuple[Any, str]:
    """The key of a bundle, and the name of the signer. Raises Refused for one that is not trusted."""
    if material.x509_certificate_chain is not None:
        chain = [x509.load_der_x509_certificate(one.raw_bytes) for one in material.x509_certificate_chain.certificates]
        return _certified_key(chain, trust)
    if material.public_key is None:
        raise Refused("it has neither the id of a key nor a chain of certificates")
    identifier = str(material.public_key.hint)
    if identifier in trust["revoked"]:
        raise Stranger(f"the key {identifier} is revoked")
    if identifier not in trust["trusted"]:
        raise Stranger(f"the key {identifier} is not trusted")
    return trust["trusted"][identifier], f"key {identifier}"


def _certified_key(chain: Sequence[x509.Certificate], trust: Mapping[str, Any]) -> tuple[Any, str]:
    if not chain:
        raise Refused("its chain has no certificate")
    key = chain[0].public_key()
    if not trust["roots"]:
        raise Stranger("it has a certificate, and no authority is trusted")
    verify_certificate(chain, trust["roots"], datetime.now(UTC))
    if key_id(key) in trust["revoked"]:
        raise Stranger(f"the key {key_id(key)} is revoked")
    names = names_of(chain[0])
    if not set(names) & set(trust["identities"]):
        shown = ", ".join(names) or "nobody"
        raise Stranger(f"its certificate is for {shown}, whom the project does not trust")
    return key, _signer(chain, key)
