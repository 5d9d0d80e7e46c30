"""Verifies Sigstore bundles with keys and certificates, and lists what this program can be asked."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from sigstore_models.bundle import v1 as bundle_models

from .key_signing import (
    NO_STATEMENT,
    PAYLOAD_TYPE,
    complete_signatures,
    draft_signatures,
    sign_statements,
    signer_of,
    verified_payload,
)
from .keyless import sign_keyless, verified_keyless
from .keys import (
    UNPARSABLE,
    Refused,
    Untrusted,
    certificates,
    key_id,
    key_pem,
    names_of,
    public_key,
    verify_certificate,
)
from .timestamps import states_time, verified_times


def verify_bundles(request: Mapping[str, Any]) -> dict[str, Any]:
    """Verify each bundle: its payload, the signer, and the problem, which is empty for one that is trusted."""
    trusted = {key_id(key): key for key in _named(public_key, "keys", request)}
    roots = [certificate for found in _named(certificates, "authorities", request) for certificate in found]
    timestamps = [root for found in _named(certificates, "timestamp_authorities", request) for root in found]
    trust = {**request, "trusted": trusted, "roots": roots, "timestamp_roots": timestamps}
    return {"results": [_result(text, trust) for text in request["bundles"]]}


def describe_keys(request: Mapping[str, Any]) -> dict[str, Any]:
    """The id of each public key, and its PEM without anything beside it. Raises Refused for something else."""
    keys = _named(public_key, "keys", request)
    return {"keys": [{"id": key_id(key), "pem": key_pem(key)} for key in keys]}


def _named(read: Callable[[str], Any], name: str, request: Mapping[str, Any]) -> list[Any]:
    """What is read of each text in a list of the request. Raises Refused, with where the text comes from."""
    found = []
    for pem in request[name]:
        try:
            found.append(read(pem))
        except Refused as refused:
            shown = request["shown"].get(pem, "")
            raise Refused(f"{shown}: {refused}" if shown else str(refused)) from None
    return found


VERBS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "sign": sign_statements,
    "draft": draft_signatures,
    "complete": complete_signatures,
    "sign-keyless": sign_keyless,
    "verify": verify_bundles,
    "describe": describe_keys,
}


def _result(text: str, trust: Mapping[str, Any]) -> dict[str, Any]:
    """What is known about one bundle; one that cannot be parsed says nothing about those beside it."""
    result: dict[str, Any] = {"payload": "", "signer": "", "problem": "", "statement": "", "untrusted": False}
    try:
        bundle = bundle_models.Bundle.from_json(text)
    except ValueError:  # of pydantic
        return {**result, "problem": "it is not a Sigstore bundle"}
    if bundle.dsse_envelope is not None:
        result["statement"] = hashlib.sha256(bytes(bundle.dsse_envelope.payload)).hexdigest()
    try:
        if bundle.verification_material.certificate is not None:
            kind, result["payload"], result["signer"] = verified_keyless(text, trust)
            if kind != PAYLOAD_TYPE:
                raise Refused(NO_STATEMENT)
        else:
            key, result["signer"] = _trusted_key(bundle, trust)
            result["payload"] = verified_payload(bundle, key)
    except Refused as refused:
        result["problem"], result["untrusted"] = str(refused), isinstance(refused, Untrusted)
    except UNPARSABLE as error:
        result["problem"] = f"it has a certificate or a key that cannot be read: {' '.join(str(error).split())}"
    return result


def _trusted_key(bundle: Any, trust: Mapping[str, Any]) -> tuple[Any, str]:
    """The key of a bundle, and the name of the signer. Raises Refused for one that is not trusted."""
    material = bundle.verification_material
    if material.x509_certificate_chain is not None:
        chain = [x509.load_der_x509_certificate(one.raw_bytes) for one in material.x509_certificate_chain.certificates]
        return _certified_key(chain, bundle, trust)
    if material.public_key is None:
        raise Refused("it has neither the id of a key nor a chain of certificates")
    identifier = str(material.public_key.hint)
    if identifier in trust["revoked"]:
        raise Untrusted(f"the key {identifier} is revoked")
    if identifier not in trust["trusted"]:
        raise Untrusted(f"the key {identifier} is not trusted")
    return trust["trusted"][identifier], f"key {identifier}"


def _certified_key(chain: Sequence[x509.Certificate], bundle: Any, trust: Mapping[str, Any]) -> tuple[Any, str]:
    if not chain:
        raise Refused("its chain has no certificate")
    key = chain[0].public_key()
    if not trust["roots"]:
        raise Untrusted("it has a certificate, and no authority is trusted")
    try:
        verify_certificate(chain, trust["roots"], _time_of(chain[0], bundle, trust))
    except Untrusted as untrusted:
        if trust["timestamp_roots"] or not states_time(bundle) or datetime.now(UTC) <= chain[0].not_valid_after_utc:
            raise
        why = "it has a timestamp, which counts only with `timestamp-authorities`"
        raise Untrusted(f"{untrusted}, and {why}") from None
    if key_id(key) in trust["revoked"]:
        raise Untrusted(f"the key {key_id(key)} is revoked")
    names = names_of(chain[0])
    if not set(names) & set(trust["identities"]):
        shown = ", ".join(names) or "nobody"
        raise Untrusted(f"its certificate is for {shown}, whom the project does not trust")
    return key, signer_of(chain, key)


def _time_of(certificate: x509.Certificate, bundle: Any, trust: Mapping[str, Any]) -> datetime:
    """The time at which a certificate must have been valid: now, or a verified one of signing if it has expired."""
    now = datetime.now(UTC)
    envelope = bundle.dsse_envelope
    if now <= certificate.not_valid_after_utc or envelope is None or len(envelope.signatures) != 1:
        return now
    times = verified_times(bundle, bytes(envelope.signatures[0].sig), trust["timestamp_roots"])
    return min(times, default=now)
