"""Signs with a key in a key management service or a hardware security module, by securesystemslib."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.exceptions import Error
from securesystemslib.signer import Signer, SSlibKey

_LIBRARIES = ("azure", "boto3", "botocore", "google", "pkcs11", "securesystemslib")


class ServiceRefused(Exception):
    """What a service says instead of a signature."""


def sign_by_service(request: Mapping[str, Any]) -> dict[str, Any]:
    """The signatures of a key, named by a URI, over texts. Raises ServiceRefused for what the service says."""
    key, uri = load_pem_public_key(request["public_key"].encode()), request["uri"]
    try:
        signer = Signer.from_priv_key_uri(uri, SSlibKey.from_crypto(key), lambda _: request["pin"])
        signatures = [bytes.fromhex(signer.sign(text.encode()).signature) for text in request["contents"]]
    except Exception as error:  # each of the services' libraries has errors of its own
        if not _is_of_service(error):
            raise
        raise ServiceRefused(" ".join(str(error).split())[:500] or type(error).__name__) from None
    return {"signatures": [base64.b64encode(signature).decode() for signature in signatures]}


def _is_of_service(error: Exception) -> bool:
    """Whether an error is that of a service or of its library, and not one of this program."""
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, (Error, ValueError, OSError)) or module in _LIBRARIES


Refused = ServiceRefused  # as the module about bundles names it, whose packages are not in this environment
VERBS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"sign-by-service": sign_by_service}
