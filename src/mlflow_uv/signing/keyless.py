"""Signs with certificates of a Sigstore instead of a key, and verifies such bundles with sigstore's library."""

import functools
import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jwt
import requests
from cryptography import x509
from cryptography.hazmat import asn1
from google.protobuf import json_format  # type: ignore[import-untyped]
from model_signing import hashing
from model_signing._signing.signing import Payload
from sigstore import dsse
from sigstore._internal.fulcio.client import ExpiredCertificate, FulcioClientError
from sigstore._internal.rekor import RekorClientError
from sigstore.errors import CertValidationError, Error
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.oidc import ExpiredIdentity, IdentityToken
from sigstore.sign import Signer, SigningContext
from sigstore.verify import Verifier
from sigstore_models.trustroot import v1 as trust_models

from .keys import UNPARSABLE, Refused, Stranger, names_of

PUBLIC = "public"
_GITHUB = "https://github.com/"
# What Fulcio writes into a certificate, by the names of its document oid-info.md.
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_REPOSITORY = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.12")
_REF = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.14")
# What sigstore raises for a bundle or a trusted root that it cannot parse.
_MALFORMED = (Error, LookupError, AttributeError, x509.ExtensionNotFound, *UNPARSABLE)
# What model-signing leaves out by default, too.
_IGNORED = (".git", ".gitignore", ".gitattributes", ".github")
_UNANSWERED = (FulcioClientError, RekorClientError, requests.RequestException)


class Identity:
    """Who a certificate of Fulcio is for: alternative names, issuer of the identity, and the repository and its ref."""

    def __init__(self, certificate: x509.Certificate) -> None:
        """Read the extensions of a certificate; one that it does not have is empty."""
        self.names = tuple(names_of(certificate))
        self.issuer, self.repository, self.ref = (_extension(certificate, oid) for oid in (_ISSUER, _REPOSITORY, _REF))

    def __eq__(self, other: object) -> bool:
        """Whether it is the same signer, in another run as well."""
        return isinstance(other, Identity) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it is compared only

    def __str__(self) -> str:
        """The signer, for messages; with the run if that of a reusable workflow was not in its own repository."""
        run = "" if self._names_its_run() or not self.repository else f" run by {self.repository} for {self.ref}"
        return f"{' '.join(self.names) or 'nobody'}{run} (identity of {self.issuer or 'nobody'})"

    def _names_its_run(self) -> bool:
        """Whether a name is that of a workflow in the repository and at the ref for which it ran."""
        start, end = f"{self.repository}/", f"@{self.ref}"
        return any(name.startswith(start) and name.endswith(end) for name in self.names)

    def require_trusted(self, trust: Mapping[str, Any]) -> None:
        """Raise Stranger for an issuer, a name, or a repository with its workflow and ref that is not trusted."""
        if self.issuer not in trust["issuers"]:
            raise Stranger(f"it is signed by {self}, and the issuer is not trusted")
        # The name of a reusable workflow is in the certificates of every repository that calls it.
        named = not set(self.names).isdisjoint(trust["identities"])
        if named and (not self.repository or self._names_its_run()):
            return
        if self.repository not in {_address(repository) for repository in trust["repositories"]}:
            why = "whose repository is not in `repositories`" if named else "whom the project does not trust"
            raise Stranger(f"it is signed by {self}, {why}")
        if not any(fnmatchcase(self.ref, pattern) for pattern in trust["refs"]):
            raise Stranger(f"it is signed by {self} for the ref {self.ref or 'of nothing'}, which is not trusted")
        if trust["workflows"] and not any(_is_workflow(name, one) for name in self.names for one in trust["workflows"]):
            raise Stranger(f"it is signed by {self}, and the workflow is not trusted")


class _Anybody:
    """A policy of sigstore's verifier that keeps the identity, for a caller who compares it."""

    def __init__(self, trust: Mapping[str, Any] | None) -> None:
        self.trust = trust
        self.identity: Identity | None = None

    def verify(self, cert: x509.Certificate) -> None:
        """Raise Stranger for an identity that is not trusted."""
        self.identity = Identity(cert)
        if self.trust is not None:
            self.identity.require_trusted(self.trust)


def sign_keyless(request: Mapping[str, Any]) -> dict[str, Any]:
    """Sign statements and the files of a model by the identity in a token; what it signed before is kept."""
    try:
        context = SigningContext.from_trust_config(_client_config(request["sigstore"]))
        token = IdentityToken(request["token"])
    except _MALFORMED as error:
        raise Refused(_token_problem(error.__cause__) or _shown(error)) from None
    try:
        with context.signer(token) as signer:
            return _signed(signer, request)
    except _UNANSWERED as error:
        raise Refused(f"Sigstore does not sign: {_shown(error.__cause__ or error)}") from None
    except (ExpiredIdentity, ExpiredCertificate):
        raise Refused("the identity token or the certificate for it has expired") from None
    except _MALFORMED as error:
        raise Refused(f"Sigstore answers something else than its trusted root says: {_shown(error)}") from None


def verified_keyless(text: str, trust: Mapping[str, Any]) -> tuple[str, str, str]:
    """The payload type, the payload and the signer of a bundle with a certificate of Fulcio. Raises Refused."""
    if not trust["sigstore"]:
        raise Stranger("it is signed without a key, and no Sigstore is trusted")
    kind, payload, identity = _verified(text, trust["sigstore"], _Anybody(trust))
    return kind, payload, str(identity)


def _signed(signer: Signer, request: Mapping[str, Any]) -> dict[str, Any]:
    # The certificate, which the signer keeps for what it signs: whose signatures of before count depends on it.
    identity = Identity(signer._signing_cert())  # noqa: SLF001  # sign_dsse returns it too late
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


def _earlier(bundles: list[str], sigstore: str, identity: Identity) -> Iterator[tuple[str, str]]:
    for text in bundles:
        try:
            _, payload, signer = _verified(text, sigstore, _Anybody(None))
        except Refused:  # of another signer, or changed
            continue
        if signer == identity:
            yield payload, text


def _verified(text: str, sigstore: str, policy: _Anybody) -> tuple[str, str, Identity]:
    try:
        verifier = _verifier(sigstore)
    except _MALFORMED as error:
        raise Refused(f"the trusted Sigstore cannot be used: {_shown(error)}") from None
    try:
        kind, payload = verifier.verify_dsse(Bundle.from_json(text), policy)
    except CertValidationError as error:
        raise Stranger(f"its certificate is not one of the trusted Sigstore at that time: {_shown(error)}") from None
    except _MALFORMED as error:
        raise Refused(f"Sigstore's library refuses it: {_shown(error)}") from None
    assert policy.identity is not None  # noqa: S101  # the verifier asked it
    return kind, bytes(payload).decode(errors="replace"), policy.identity


@functools.cache
def _verifier(sigstore: str) -> Verifier:
    """The verifier of a trusted root, or of a client trust configuration, which has one."""
    if sigstore == PUBLIC or '"signingConfig"' in sigstore:
        return Verifier(trusted_root=_client_config(sigstore).trusted_root)
    return Verifier(trusted_root=TrustedRoot(trust_models.TrustedRoot.from_json(sigstore)))


@functools.cache
def _client_config(sigstore: str) -> ClientTrustConfig:
    if sigstore != PUBLIC:
        return ClientTrustConfig.from_json(sigstore)
    try:
        return ClientTrustConfig.production()
    except Error:  # without a network, the one that sigstore brings along or got last
        return ClientTrustConfig.production(offline=True)


def _extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return ""
    return str(asn1.decode_der(str, value.value))


def _address(repository: str) -> str:
    return repository if "://" in repository else f"{_GITHUB}{repository}"


def _is_workflow(name: str, workflow: str) -> bool:
    """Whether a name is that of a workflow: OWNER/NAME/PATH of any ref, or of one behind an @."""
    address = _address(workflow)
    return name in (address, f"{address}@{name.rpartition('@')[2]}")


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


def _shown(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
