"""Signs with certificates of a Sigstore instead of a key, and verifies such bundles with sigstore's library."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import requests
from google.protobuf import json_format
from model_signing import hashing
from model_signing._signing.signing import Payload
from sigstore import dsse
from sigstore._internal.fulcio.client import ExpiredCertificate, FulcioClientError
from sigstore._internal.rekor import RekorClientError
from sigstore.oidc import ExpiredIdentity, IdentityToken
from sigstore.sign import Signer, SigningContext

from .keys import Refused, Untrusted, identities

# What model-signing leaves out by default, too.
_IGNORED = (".git", ".gitignore", ".gitattributes", ".github")
_UNANSWERED = (FulcioClientError, RekorClientError, requests.RequestException)


def sign_keyless(request: Mapping[str, Any]) -> dict[str, Any]:
    """Sign statements and the files of a model by the identity in a token; what it signed before is kept."""
    try:
        context = SigningContext.from_trust_config(identities.client_config(request["sigstore"]))
        token = IdentityToken(request["token"])
    except identities.MALFORMED as error:
        raise Refused(_token_problem(error.__cause__) or identities.shown(error)) from None
    try:
        with context.signer(token) as signer:
            return _signed(signer, request)
    except _UNANSWERED as error:
        raise Refused(f"Sigstore does not sign: {identities.shown(error.__cause__ or error)}") from None
    except (ExpiredIdentity, ExpiredCertificate):
        raise Refused("the identity token or the certificate for it has expired") from None
    except identities.MALFORMED as error:
        raise Refused(
            f"Sigstore answers something else than its trusted root says: {identities.shown(error)}"
        ) from None


def verified_keyless(text: str, trust: Mapping[str, Any]) -> tuple[str, str, str]:
    """The payload type, the payload and the signer of a bundle with a certificate of Fulcio. Raises Refused."""
    if not trust["sigstore"]:
        raise Untrusted("it is signed without a key, and no Sigstore is trusted")
    kind, payload, identity = identities.verified_by(text, trust["sigstore"], trust)
    return kind, payload, str(identity)


def _signed(signer: Signer, request: Mapping[str, Any]) -> dict[str, Any]:
    # The certificate, which the signer keeps for what it signs: whose signatures of before count depends on it.
    identity = identities.Identity(signer._signing_cert())  # noqa: SLF001  # sign_dsse returns it too late
    earlier = dict(_earlier(request["earlier"], request["sigstore"], identity))
    bundles = [
        earlier.get(statement) or signer.sign_dsse(dsse.Statement(statement.encode())).to_json()
        for statement in request["statements"]
    ]
    # The same order as with a key: what was signed before comes first.
    bundles.sort(key=lambda text: text not in earlier.values())
    files = statement_of_files(request)
    kept = _earlier([request["earlier_model"]], request["sigstore"], identity)
    same = (text for payload, text in kept if signed_files(payload) == signed_files(files))
    model = next(same, "") or signer.sign_dsse(dsse.Statement(files.encode())).to_json()
    return {"signer": str(identity), "bundles": bundles, "model_signature": model}


def signed_files(payload: str) -> tuple[Any, ...]:
    """What a statement says about the files of a model, without the ignored paths, which are in no order."""
    statement = json.loads(payload)
    return statement["predicateType"], statement["subject"], statement["predicate"].get("resources")


def statement_of_files(request: Mapping[str, Any]) -> str:
    """The statement of OpenSSF Model Signing about a model, which its own signer would sign, too."""
    paths = (*_IGNORED, *request["ignored"])
    config = hashing.Config().set_ignored_paths(paths=paths, ignore_git_paths=False)
    return str(json_format.MessageToJson(Payload(config.hash(Path(request["model"]))).statement.pb))


def _earlier(bundles: list[str], sigstore: str, identity: Any) -> Iterator[tuple[str, str]]:
    for text in bundles:
        try:
            _, payload, signer = identities.verified_by(text, sigstore, None)
        except Refused:  # of another signer, or changed
            continue
        if signer == identity:
            yield payload, text


def _token_problem(cause: BaseException | None) -> str:
    """What is wrong with an identity token that can be read, which sigstore does not tell; empty for another error."""
    match cause:
        case jwt.ExpiredSignatureError():
            return "the identity token has expired"
        case jwt.InvalidAudienceError():
            return "the identity token is for another audience than `sigstore`"
        case jwt.ImmatureSignatureError():
            return "the identity token is not valid yet"
        case jwt.MissingRequiredClaimError():
            return f"the identity token has no claim `{cause.claim}`"
    return ""
