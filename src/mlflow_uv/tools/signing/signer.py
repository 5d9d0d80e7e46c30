"""Runs the standalone program that signs and verifies, in an environment with sigstore and model-signing."""

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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


@lazy_dataclass
class SigningKey:
    """A private key and the certificates for it, both in PEM; `shown` is where it comes from, for messages."""

    shown: str
    pem: str = field(repr=False)
    certificates: str = ""


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


@lazy_dataclass
class VerifiedBundle:
    """
    The statement of a bundle, its signer, and why it is not trusted; empty for one that is.

    `statement` is the SHA-256 of its statement, also where nobody is known to have signed it; empty if it has none.
    `stranger` says that nobody verified the signature, because the signer is not trusted.
    """

    payload: str
    signer: str
    problem: str
    statement: str = ""
    stranger: bool = False


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
            "statements": statements,
            "model": str(model),
            "ignored": ignored,
            "earlier": earlier.bundles,
            "earlier_model": earlier.model_signature,
        }
        answer = self._ask(request, what=f"{key.shown} cannot sign", secrets=_lines_of(key.pem))
        return _signed(answer)

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
            "statements": statements,
            "model": str(model),
            "ignored": ignored,
            "earlier": earlier.bundles,
            "earlier_model": earlier.model_signature,
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
        }
        answer = self._ask(request, what="a trusted key cannot be used", secrets=())
        return tuple(
            VerifiedBundle(
                payload=str(one["payload"]),
                signer=str(one["signer"]),
                problem=str(one["problem"]),
                statement=str(one["statement"]),
                stranger=one["stranger"] is True,
            )
            for one in answer["results"]
        )

    def _variables(self, request: Mapping[str, object]) -> Mapping[str, str]:
        """Those of a program without a network, or those of the machine, with its proxies and authorities."""
        base = for_server(self.host.variables).variables
        return {**of_machine(self.host.variables), **base} if _online(request) else base

    def _ask(self, request: Mapping[str, object], *, what: str, secrets: tuple[str, ...]) -> Mapping[str, Any]:
        with TemporaryDirectory(prefix="mlflow-uv-signing-") as scratch:
            response = Path(scratch) / "response.json"
            command = Command(
                argv=(str(self.python), "-I", "-B", str(SIGNING), str(response)),
                folder=Path(scratch),
                variables=self._variables(request),
                stdin=json.dumps(request),
                timeout_s=_TIMEOUT_S,
                secrets=secrets,
            )
            done = self.runner.run(command)
            if done.code != 0 or not response.is_file():
                raise ToolFailed(what="the program that signs and verifies failed", why=done.last_line)
            answer = parse_json(response.read_bytes())
        if "refused" in answer:
            raise BadInput(what=what, why=str(answer["refused"]))
        value: Mapping[str, Any] = answer["value"]
        return value


def _signed(answer: Mapping[str, Any]) -> SignedStatements:
    return SignedStatements(
        signer=str(answer["signer"]),
        bundles=tuple(map(str, answer["bundles"])),
        model_signature=str(answer["model_signature"]),
    )


def _online(request: Mapping[str, object]) -> bool:
    """Whether Sigstore is contacted, for a certificate or for the public trusted root."""
    return request["verb"] == "sign-keyless" or request.get("sigstore") == PUBLIC_SIGSTORE


def _lines_of(pem: str) -> tuple[str, ...]:
    """The lines of a key that say something about it."""
    return tuple(line.strip() for line in pem.splitlines() if line.strip() and not line.startswith("-----"))
