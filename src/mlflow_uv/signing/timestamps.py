"""Gets timestamps (RFC 3161) of signatures from an authority, and verifies them."""

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response
from sigstore._internal.timestamp import TimestampAuthorityClient, TimestampError
from sigstore_models.bundle import v1 as bundle_models
from sigstore_models.common import v1 as common_models

from .keys import UNPARSABLE, Refused

_MOST = 8  # timestamps of one signature that are looked at


def timestamp_data(authority: str, signature: bytes) -> Any:
    """The part of a bundle with the timestamp that an authority, named by its URL, gives. Raises Refused."""
    try:
        response = TimestampAuthorityClient(authority).request_timestamp(signature)
    except TimestampError as error:
        why = " ".join(str(error).split())
        raise Refused(f"the authority for timestamps {authority} gives none: {why}") from None
    content = base64.b64encode(response.as_bytes())
    signed = common_models.RFC3161SignedTimestamp(signed_timestamp=content)
    return bundle_models.TimestampVerificationData(rfc3161_timestamps=[signed])


def verified_times(bundle: Any, signature: bytes, roots: Sequence[x509.Certificate]) -> Iterator[datetime]:
    """
    The times at which a signature existed, according to authorities whose roots are trusted.

    A timestamp of another authority, of another signature or that cannot be read says nothing.
    """
    data = bundle.verification_material.timestamp_verification_data
    for timestamp in data.rfc3161_timestamps[:_MOST] if data is not None else ():
        for root in roots:
            try:
                response = decode_timestamp_response(bytes(timestamp.signed_timestamp))
                # Its certificate is in the response: it must be for timestamps alone, and valid at that time.
                VerifierBuilder(roots=[root]).build().verify_message(response, signature)
            except (VerificationError, *UNPARSABLE):
                continue
            yield response.tst_info.gen_time
