"""Runs the standalone program that signs and verifies, in an environment with sigstore and model-signing."""

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from ...command.errors import BadInput, ToolFailed
from ...command.host import Host
from ...core.security.child_environment import for_server
from ...core.security.documents import parse_json
from ...core.security.kept_variables import of_machine
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner

SIGNING = Path(__file__).parents[2] / "signing"
PUBLIC_SIGSTORE = "public"
_TIMEOUT_S = 600.0
_UNUSABLE = "a trusted key cannot be used"
# Of a private key; `openssl x509 -pubkey` is the one for a certificate.
_PUBLIC_KEY = "openssl pkey -in KEY.pem -pubout -out KEY.pub"


@lazy_dataclass
class SigningKey:
    """
    A private key and the certificates for it, both in PEM; `shown` is where it comes from, for messages.

    `timestamp_authority` is the URL of an authority (RFC 3161) that says when a signature was made; empty for none. Its
    timestamps must lead to one of `timestamp_roots`, certificates in PEM, if there are any.
    """

    shown: str
    pem: str = field(repr=False)
    certificates: str = ""
    timestamp_authority: str = ""
    timestamp_roots: tuple[str, ...] = ()


class KeyElsewhere(Protocol):
    """What signs with a key that this program does not have."""

    @property
    def shown(self) -> str:
        """Where the key is, for messages."""

    def signatures(self, contents: tuple[str, ...]) -> tuple[str, ...]:
        """A signature of each text in Base64, as ASN.1 in DER for ECDSA. Raises ToolFailed, ToolMissing."""


@lazy_dataclass
class ExternalKey:
    """What signs, the public key to which its key must belong, and the certificates for it, both in PEM."""

    signer: KeyElsewhere
    public_key: str
    certificates: str = ""
    timestamp_authority: str = ""
    timestamp_roots: tuple[str, ...] = ()


@lazy_dataclass
class WorkflowIdentity:
    """
    A token that says who signs, and the Sigstore that gives a certificate for it.

    `sigstore` is `public`, or a client trust configuration as JSON; `shown` is where the token comes from.
    """

    shown: str
    token: str = field(repr=False)
    sigstore: str


@lazy_dataclass
class KeptSignatures:
    """The bundles of a version, and the signature of its model; both empty for a version without any."""

    bundles: tuple[str, ...]
    model_signature: str


@lazy_dataclass
class SignedStatements:
    """
    The signer, a bundle for each statement, and the signature of the model's files.

    The last is empty for a key that OpenSSF Model Signing does not take, such as Ed25519.
    """

    signer: str
    bundles: tuple[str, ...]
    model_signature: str


@lazy_dataclass
class TrustedKeys:
    """
    Keys and certificates in PEM, names of signers, and ids of revoked keys.

    `sigstore` is `public`, or a trusted root or client trust configuration as JSON; it is empty without one. Its
    certificates count for the issuers, and for `identities` or the repositories with these refs and workflows.
    `timestamp_authorities` are root certificates in PEM of authorities that say when something was signed. `shown` is
    where each text in PEM comes from, for messages.
    """

    keys: tuple[str, ...]
    authorities: tuple[str, ...]
    identities: tuple[str, ...]
    revoked: tuple[str, ...]
    sigstore: str = ""
    issuers: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    timestamp_authorities: tuple[str, ...] = ()
    shown: Mapping[str, str] = field(default_factory=dict)


@lazy_dataclass
class PublicKey:
    """A public key in PEM, without anything beside it, and its id."""

    id: str
    pem: str


@lazy_dataclass
class VerifiedBundle:
    """
    The statement of a bundle, its signer, and why it is not trusted; empty for one that is.

    `statement` is the SHA-256 of its statement, also where nobody is known to have signed it; empty if it has none.
    `untrusted` says that nobody verified the signature, because the signer is not trusted.
    """

    payload: str
    signer: str
    problem: str
    statement: str = ""
    untrusted: bool = False


class RefusedRequest(Exception):
    """The program does not do what it is asked to do; the message says why."""


@lazy_dataclass
class SigningInterpreter:
    """An interpreter with the packages of a request, and the variables that it gets."""

    python: Path
    runner: Runner
    variables: Mapping[str, str] = field(repr=False)

    def ask(self, request: Mapping[str, object], *, secrets: tuple[str, ...]) -> Mapping[str, Any]:
        """
        Return the answer to a request, which is on standard input alone; `secrets` are masked in what is printed.

        Raises RefusedRequest, ToolFailed.
        """
        with TemporaryDirectory(prefix="mlflow-uv-signing-") as scratch:
            response = Path(scratch) / "response.json"
            command = Command(
                argv=(str(self.python), "-I", "-B", str(SIGNING), str(response)),
                folder=Path(scratch),
                variables=self.variables,
                stdin=json.dumps(request),
                timeout_s=_TIMEOUT_S,
                secrets=secrets,
            )
            done = self.runner.run(command)
            if done.code != 0 or not response.is_file():
                raise ToolFailed(what="the program that signs and verifies failed", why=done.last_line)
            answer = parse_json(response.read_bytes())
        if "refused" in answer:
            raise RefusedRequest(str(answer["refused"]))
        value: Mapping[str, Any] = answer["value"]
        return value


@lazy_dataclass
class SigningProgram:
    """The program, and the interpreter that runs it, without credentials and variables of the caller."""

    runner: Runner
    host: Host
    python: Path

    def sign(
        self,
        statements: tuple[str, ...],
        key: SigningKey,
        model: Path,
        *,
        ignored: tuple[str, ...],
        earlier: KeptSignatures,
    ) -> SignedStatements:
        """
        Sign statements, and the files in the folder of a model without those that are `ignored`.

        What this signer signed `earlier` is not signed again. The key is on standard input alone. Raises BadInput for a
        key that cannot be used, ToolFailed.
        """
        request = {
            "verb": "sign",
            "key": key.pem,
            "certificates": key.certificates,
            "timestamp_authority": key.timestamp_authority,
            "timestamp_roots": key.timestamp_roots,
            **_subject(statements, model, ignored, earlier),
        }
        return _signed(self._ask(request, what=f"{key.shown} cannot sign", secrets=_lines_of(key.pem)))

    def sign_elsewhere(
        self,
        statements: tuple[str, ...],
        key: ExternalKey,
        model: Path,
        *,
        ignored: tuple[str, ...],
        earlier: KeptSignatures,
    ) -> SignedStatements:
        """
        Sign as `sign` does, with a key that is elsewhere; each signature must be one of its public key.

        Raises BadInput for a key that cannot be used, ToolFailed, ToolMissing.
        """
        what = f"{key.signer.shown} cannot sign"
        known = {
            "public_key": key.public_key,
            "certificates": key.certificates,
            "timestamp_authority": key.timestamp_authority,
            "timestamp_roots": key.timestamp_roots,
        }
        draft_request = {"verb": "draft", **known, **_subject(statements, model, ignored, earlier)}
        draft = self._ask(draft_request, what=what, secrets=())
        contents = tuple(map(str, draft["contents"]))
        signatures = key.signer.signatures(contents) if contents else ()
        return _signed(
            self._ask({"verb": "complete", **known, "draft": draft, "signatures": signatures}, what=what, secrets=())
        )

    def sign_keyless(
        self,
        statements: tuple[str, ...],
        identity: WorkflowIdentity,
        model: Path,
        *,
        ignored: tuple[str, ...],
        earlier: KeptSignatures,
    ) -> SignedStatements:
        """Sign as `sign` does, with a certificate of Sigstore for an identity. Raises BadInput, ToolFailed."""
        request = {
            "verb": "sign-keyless",
            "token": identity.token,
            "sigstore": identity.sigstore,
            **_subject(statements, model, ignored, earlier),
        }
        what = f"the identity of {identity.shown} cannot sign"
        return _signed(self._ask(request, what=what, secrets=(identity.token, *identity.token.split("."))))

    def verify(self, bundles: tuple[str, ...], trusted: TrustedKeys) -> tuple[VerifiedBundle, ...]:
        """Verify bundles, each by itself. Raises BadInput for a trusted key that cannot be read, ToolFailed."""
        request = {
            "verb": "verify",
            "bundles": bundles,
            "keys": trusted.keys,
            "authorities": trusted.authorities,
            "identities": trusted.identities,
            "revoked": trusted.revoked,
            "sigstore": trusted.sigstore,
            "issuers": trusted.issuers,
            "repositories": trusted.repositories,
            "refs": trusted.refs,
            "workflows": trusted.workflows,
            "timestamp_authorities": trusted.timestamp_authorities,
            "shown": trusted.shown,
        }
        answer = self._ask(request, what=_UNUSABLE, secrets=(), fix=_PUBLIC_KEY)
        return tuple(
            VerifiedBundle(
                payload=str(one["payload"]),
                signer=str(one["signer"]),
                problem=str(one["problem"]),
                statement=str(one["statement"]),
                untrusted=one["untrusted"] is True,
            )
            for one in answer["results"]
        )

    def public_keys(self, trusted: TrustedKeys) -> tuple[PublicKey, ...]:
        """Read the public keys. Raises BadInput for something else, also for a private key; ToolFailed."""
        request = {"verb": "describe", "keys": trusted.keys, "shown": trusted.shown}
        answer = self._ask(request, what=_UNUSABLE, secrets=(), fix=_PUBLIC_KEY)
        return tuple(PublicKey(id=str(one["id"]), pem=str(one["pem"])) for one in answer["keys"])

    def _variables(self, request: Mapping[str, object]) -> Mapping[str, str]:
        """Those of a program without a network, or those of the machine, with its proxies and authorities."""
        base = for_server(self.host.variables).variables
        return {**of_machine(self.host.variables), **base} if _online(request) else base

    def _ask(
        self, request: Mapping[str, object], *, what: str, secrets: tuple[str, ...], fix: str = ""
    ) -> Mapping[str, Any]:
        program = SigningInterpreter(python=self.python, runner=self.runner, variables=self._variables(request))
        try:
            return program.ask(request, secrets=secrets)
        except RefusedRequest as refused:
            raise BadInput(what=what, why=str(refused), fix=fix) from None


def _subject(
    statements: tuple[str, ...], model: Path, ignored: tuple[str, ...], earlier: KeptSignatures
) -> dict[str, object]:
    """The part of a request that says what is to be signed."""
    return {
        "statements": statements,
        "model": str(model),
        "ignored": ignored,
        "earlier": earlier.bundles,
        "earlier_model": earlier.model_signature,
    }


def _signed(answer: Mapping[str, Any]) -> SignedStatements:
    return SignedStatements(
        signer=str(answer["signer"]),
        bundles=tuple(map(str, answer["bundles"])),
        model_signature=str(answer["model_signature"]),
    )


def _online(request: Mapping[str, object]) -> bool:
    """Whether Sigstore or an authority for timestamps is contacted, for a certificate, a time or the trusted root."""
    keyless = request["verb"] == "sign-keyless" or request.get("sigstore") == PUBLIC_SIGSTORE
    return keyless or bool(request.get("timestamp_authority"))


def _lines_of(pem: str) -> tuple[str, ...]:
    """The lines of a key that say something about it."""
    return tuple(line.strip() for line in pem.splitlines() if line.strip() and not line.startswith("-----"))
