"""
Verifies bundles that a workflow or a person signed without a key, by sigstore's own library, and whom they are from.

The program that signs and verifies loads this module, too: what a server trusts is what the steps trust. Everything
else of the server does without sigstore, which an image has only if the model's lock has it.
"""

import functools
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from sigstore.errors import CertValidationError, Error
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.trustroot import v1 as trust_models

PUBLIC = "public"
_GITHUB = "https://github.com/"
# What Fulcio writes into a certificate, by the names of its document oid-info.md.
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_REPOSITORY = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.12")
_REF = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.14")
# What cryptography raises for keys and certificates that it cannot parse; several of these are no ValueError.
UNPARSABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
# What sigstore raises for a bundle or a trusted root that it cannot parse.
MALFORMED = (Error, LookupError, AttributeError, x509.ExtensionNotFound, *UNPARSABLE)


class Refused(Exception):
    """A key, a certificate or a signature that is not accepted, and why."""


class Untrusted(Refused):
    """A signer who is not trusted, so that the signature is not verified."""


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

    def require_trusted(self, trust: "Mapping[str, Any]") -> None:
        """Raise Untrusted for an issuer, a name, or a repository with its workflow and ref that is not trusted."""
        if self.issuer not in trust["issuers"]:
            raise Untrusted(f"it is signed by {self}, and the issuer is not trusted")
        # The name of a reusable workflow is in the certificates of every repository that calls it.
        named = not set(self.names).isdisjoint(trust["identities"])
        if named and (not self.repository or self._names_its_run()):
            return
        if self.repository not in {_address(repository) for repository in trust["repositories"]}:
            why = "whose repository is not in `repositories`" if named else "whom the project does not trust"
            raise Untrusted(f"it is signed by {self}, {why}")
        if not any(fnmatchcase(self.ref, pattern) for pattern in trust["refs"]):
            raise Untrusted(f"it is signed by {self} for the ref {self.ref or 'of nothing'}, which is not trusted")
        if trust["workflows"] and not any(_is_workflow(name, one) for name in self.names for one in trust["workflows"]):
            raise Untrusted(f"it is signed by {self}, and the workflow is not trusted")


class _Anybody:
    """A policy of sigstore's verifier that keeps the identity, for a caller who compares it."""

    def __init__(self, trust: "Mapping[str, Any] | None") -> None:
        self.trust = trust
        self.identity: Identity | None = None

    def verify(self, cert: x509.Certificate) -> None:
        """Raise Untrusted for an identity that is not trusted."""
        self.identity = Identity(cert)
        if self.trust is not None:
            self.identity.require_trusted(self.trust)


def verified_by(text: str, sigstore: str, trust: "Mapping[str, Any] | None") -> "tuple[str, str, Identity]":
    """
    The payload type, the payload and the signer of a bundle with a certificate of a Sigstore.

    `sigstore` is `public`, or the JSON of a trusted root or of a client trust configuration. With `trust`, its issuers
    and repositories or identities are required. Raises Refused.
    """
    policy = _Anybody(trust)
    try:
        verifier = _verifier(sigstore)
    except MALFORMED as error:
        raise Refused(f"the trusted Sigstore cannot be used: {shown(error)}") from None
    try:
        kind, payload = verifier.verify_dsse(Bundle.from_json(text), policy)
    except CertValidationError as error:
        raise Untrusted(f"its certificate is not one of the trusted Sigstore at that time: {shown(error)}") from None
    except MALFORMED as error:
        raise Refused(f"Sigstore's library refuses it: {shown(error)}") from None
    assert policy.identity is not None  # noqa: S101  # the verifier asked it
    return kind, bytes(payload).decode(errors="replace"), policy.identity


@functools.cache
def client_config(sigstore: str) -> ClientTrustConfig:
    """The configuration of a Sigstore, or the public one, which is updated if there is a network."""
    if sigstore != PUBLIC:
        return ClientTrustConfig.from_json(sigstore)
    try:
        return ClientTrustConfig.production()
    except Error:  # without a network, the one that sigstore brings along or got last
        return ClientTrustConfig.production(offline=True)


def names_of(certificate: x509.Certificate) -> "list[str]":
    """The alternative names of a certificate: addresses, URIs and host names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    return [name for kind in kinds for name in names.get_values_for_type(kind)]


def shown(error: BaseException) -> str:
    """An error of a library in one line."""
    return " ".join(str(error).split())[:500] or type(error).__name__


@functools.cache
def _verifier(sigstore: str) -> Verifier:
    """The verifier of a trusted root, or of a client trust configuration, which has one."""
    if sigstore == PUBLIC or '"signingConfig"' in sigstore:
        return Verifier(trusted_root=client_config(sigstore).trusted_root)
    return Verifier(trusted_root=TrustedRoot(trust_models.TrustedRoot.from_json(sigstore)))


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
