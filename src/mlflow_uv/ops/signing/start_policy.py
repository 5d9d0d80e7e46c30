"""Writes whom a project trusts as the value of VERIFY, which the server of an image reads when it starts."""

import json
from collections.abc import Callable

from ...command.errors import BadInput
from ...core.image.dockerfile import LONGEST_VARIABLE
from ...core.security.documents import parse_json
from ...core.signing.trust_policy import TrustLevel
from ...tools.signing.signer import PUBLIC_SIGSTORE, SigningProgram
from ...tools.toolbox import Tools
from ..image.environment import Needs
from ..lineage.recompute import RecomputedRelease
from .trust import NOWHERE, TrustSettings, trust_of
from .verification import signing_program

_LISTS = ("identities", "issuers", "repositories", "refs", "workflows")
_UNVERIFIABLE = "the server of the image cannot verify the model"
_PACKAGE = "sigstore"  # verifies identities in the image


def start_policy(release: RecomputedRelease, needs: Needs, tools: Tools) -> str:
    """Return the value of VERIFY for the image of a release. Raises as `verify_value`."""
    return verify_value(trust_of(release.project, tools), needs, lambda: signing_program(tools))


def verify_value(trust: TrustSettings, needs: Needs, program: Callable[[], SigningProgram]) -> str:
    """
    Return the keys of trust settings in PEM that are not revoked, or their policy about identities in JSON.

    It is one line, the same for the same settings. Raises BadInput for settings that trust nobody, or somebody whom the
    server could not verify; ToolFailed.
    """
    _require_verifiable(trust)
    if trust.keys.sigstore:
        _require_package(needs)
        text = _policy(trust)
    else:
        text = _keys(trust, program())
    if len(text) > LONGEST_VARIABLE:
        why = f"it would have {len(text)} characters, and a variable of a container at most {LONGEST_VARIABLE}"
        raise BadInput(what=f"the policy of {trust.origin} cannot be kept in an image", why=why)
    return text


def _require_verifiable(trust: TrustSettings) -> None:
    keys, what = trust.keys, _UNVERIFIABLE
    if trust.policy.policy is TrustLevel.OFF:
        is_missing = trust.origin == NOWHERE
        raise BadInput(
            what=what,
            why=f"{trust.origin} names whom it trusts" if is_missing else f"`policy` in {trust.origin} is `off`",
            fix='[tool.mlflow-uv.trust] with keys = ["FILE.pub"]',
        )
    if keys.authorities or (keys.keys and keys.sigstore):
        both = "keys together with a Sigstore" if keys.sigstore else "certificates of `authorities`"
        raise BadInput(
            what=what,
            why=f"{trust.origin} trusts {both}, and a server knows either keys or the identities of one Sigstore",
            fix="MLFLOW_UV_TRUST with one of them where the image is built",
        )
    if keys.sigstore == PUBLIC_SIGSTORE:
        raise BadInput(
            what=what,
            why=f"the root of `sigstore` in {trust.origin} is read over the network, which a server does not use",
            fix='sigstore = "trusted_root.json"',
        )


def _require_package(needs: Needs) -> None:
    pins = () if needs.requirements is None else needs.requirements.pins
    if all(pin.name != _PACKAGE for pin in pins):
        raise BadInput(
            what=_UNVERIFIABLE,
            why=f"for signers without a key it needs the package `{_PACKAGE}`, which the image does not have",
            fix=f"uv add {_PACKAGE}",
        )


def _policy(trust: TrustSettings) -> str:
    try:
        root = parse_json(trust.keys.sigstore)
    except ValueError as error:
        raise _no_sigstore(trust, str(error)) from None
    if not isinstance(root, dict):
        raise _no_sigstore(trust, "it is not an object")
    lists = {name: list(getattr(trust.keys, name)) for name in _LISTS}
    policy = {
        "sigstore": root.get("trustedRoot", root),  # of a client trust configuration, which has addresses beside it
        **{name: value for name, value in lists.items() if value},
    }
    return json.dumps(policy, sort_keys=True, separators=(",", ":"))


def _no_sigstore(trust: TrustSettings, why: str) -> BadInput:
    return BadInput(what=f"`sigstore` in {trust.origin} is not the JSON of a Sigstore", why=why)


def _keys(trust: TrustSettings, program: SigningProgram) -> str:
    """The keys in PEM on one line, which a Dockerfile needs; line ends are spaces."""
    keys = program.public_keys(trust.keys)
    pems = [" ".join(key.pem.split()) for key in keys if key.id not in trust.keys.revoked]
    if not pems:
        raise BadInput(what=_UNVERIFIABLE, why=f"{trust.origin} revokes every key that it names")
    return " ".join(pems)
