"""Gets timestamps (RFC 3161) of signatures from an authority, and verifies them."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from sigstore_models.bundle import v1 as bundle_models
from sigstore_models.common import v1 as common_models

from .keys import UNPARSABLE, Refused

_MOST = 8  # timestamps of one signature that are looked at
_TIMEOUT_S = 5.0
# How far the clocks of an authority and of this machine may differ.
_SKEW = timedelta(minutes=5)
# Those that rfc3161-client verifies, by their object identifiers.
_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512",
}  # fmt: skip


def timestamp_data(
    authority: str, signature: bytes, roots: Sequence[x509.Certificate], chain: Sequence[x509.Certificate]
) -> Any:
    """
    The part of a bundle with the timestamp that an authority, named by its URL, gives for a signature.

    Raises Refused without one, and for one that would not count once the first certificate of the chain has expired.
    Without roots nobody knows whether the timestamp is by the authority, only what it says.
    """
    query = TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(signature).build()
    headers = {"Content-Type": "application/timestamp-query"}
    try:
        answer = requests.post(authority, data=query.as_bytes(), headers=headers, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        response = decode_timestamp_response(answer.content)
    except (requests.RequestException, *UNPARSABLE) as error:
        why = " ".join(str(error).split())
        raise Refused(f"the authority for timestamps {authority} gives none: {why}") from None
    try:
        time = _stated_time(response, signature, roots)
        if response.tst_info.nonce != query.nonce:
            raise Refused("it is the answer to another request")
        if abs(time - datetime.now(UTC)) > _SKEW:
            minutes = _SKEW // timedelta(minutes=1)
            raise Refused(
                f"its time, {time:%Y-%m-%d %H:%M} UTC, is more than {minutes} minutes from that of this machine"
            )
        _require_within(chain, time)
    except Refused as refused:
        raise Refused(f"the authority for timestamps {authority} gives one that does not count: {refused}") from None
    content = base64.b64encode(response.as_bytes())
    signed = common_models.RFC3161SignedTimestamp(signed_timestamp=content)
    return bundle_models.TimestampVerificationData(rfc3161_timestamps=[signed])


def has_timestamp(bundle: Any, roots: Sequence[x509.Certificate], chain: Sequence[x509.Certificate]) -> bool:
    """Whether the signature of a bundle has a timestamp that `timestamp_data` would have taken at that time."""
    signature = bytes(bundle.dsse_envelope.signatures[0].sig)
    for timestamp in _timestamps(bundle):
        try:
            time = _stated_time(decode_timestamp_response(timestamp), signature, roots)
            _require_within(chain, time)
        except (Refused, *UNPARSABLE):
            continue
        if time <= datetime.now(UTC) + _SKEW:
            return True
    return False


def states_time(bundle: Any) -> bool:
    """Whether a bundle has a timestamp, whoever made it."""
    return any(_timestamps(bundle))


def verified_times(bundle: Any, signature: bytes, roots: Sequence[x509.Certificate]) -> Iterator[datetime]:
    """
    The times at which a signature existed, according to authorities whose roots are trusted.

    A timestamp of another authority, of another signature or that cannot be read says nothing.
    """
    for timestamp in _timestamps(bundle) if roots else ():
        try:
            yield _stated_time(decode_timestamp_response(timestamp), signature, roots)
        except (Refused, *UNPARSABLE):
            continue


def _timestamps(bundle: Any) -> Iterator[bytes]:
    data = bundle.verification_material.timestamp_verification_data
    for timestamp in data.rfc3161_timestamps[:_MOST] if data is not None else ():
        yield bytes(timestamp.signed_timestamp)


def _stated_time(response: Any, signature: bytes, roots: Sequence[x509.Certificate]) -> datetime:
    """The time that an authority states for a signature; by one of the roots, if there are any. Raises Refused."""
    if response.status != PKIStatus.GRANTED:
        status_text = " ".join(" ".join(response.status_string).split())[:200]
        raise Refused(f"its status is {response.status} and not 0, granted{f' ({status_text})' if status_text else ''}")
    try:
        imprint = response.tst_info.message_imprint
        stated: datetime = response.tst_info.gen_time
    except UNPARSABLE as error:
        raise Refused(f"it cannot be read: {' '.join(str(error).split())}") from None
    name = _HASHES.get(imprint.hash_algorithm.dotted_string)
    if name is None or imprint.message != hashlib.new(name, signature).digest():
        raise Refused("it is that of another signature")
    if roots and not any(_is_by(root, response, signature) for root in roots):
        raise Refused("it leads to none of the `timestamp-authorities` that are trusted")
    return stated


def _is_by(root: x509.Certificate, response: Any, signature: bytes) -> bool:
    try:
        # Its certificate is in the response: it must be for timestamps alone, and valid at that time.
        return bool(VerifierBuilder(roots=[root]).build().verify_message(response, signature))
    except (VerificationError, *UNPARSABLE):
        return False


def _require_within(chain: Sequence[x509.Certificate], time: datetime) -> None:
    if chain and not chain[0].not_valid_before_utc <= time <= chain[0].not_valid_after_utc:
        raise Refused(f"its time, {time:%Y-%m-%d %H:%M} UTC, is not within the validity of the certificate of the key")
