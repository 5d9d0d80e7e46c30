"""Reads which identities may sign the model of a server, and verifies a bundle by sigstore if the image has it."""

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

GITHUB = "https://token.actions.githubusercontent.com"
LISTS = ("identities", "issuers", "refs", "repositories", "workflows")  # the names that trust settings have, too


class InvalidPolicy(ValueError):
    """A text that is not a policy about identities, or one that would trust everybody."""


class UntrustedSigner(Exception):
    """A bundle of somebody who is not trusted; the message says why, and may be empty."""


def identity_policy(text: str) -> "Mapping[str, Any]":
    """The policy in a JSON text, with the trusted root of its Sigstore. Raises InvalidPolicy."""
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPolicy(f"it is not JSON: {error}") from error
    if unknown := sorted(content.keys() - {"sigstore", *LISTS}):
        raise InvalidPolicy(f"{unknown[0]!r} is not known: it has `sigstore`, {', '.join(map(repr, LISTS))}")
    policy: dict[str, Any] = {**{name: [] for name in LISTS}, "issuers": [GITHUB], **content}
    for name in LISTS:
        if not isinstance(policy[name], list) or not all(isinstance(value, str) for value in policy[name]):
            raise InvalidPolicy(f"{name!r} is not a list of texts")
    if not policy["identities"] and not policy["repositories"]:
        raise InvalidPolicy("it trusts everybody: it names neither 'identities' nor 'repositories'")
    if policy["repositories"] and not policy["refs"]:
        raise InvalidPolicy("it trusts every branch of its repositories: 'refs' is missing")
    return {**policy, "sigstore": _trusted_root(policy.get("sigstore"))}


def identity_verifier(text: str) -> "Callable[[bytes], tuple[str, str, bytes]]":
    """
    What returns the signer, the payload type and the payload of a bundle that a policy trusts; raises UntrustedSigner.

    Raises InvalidPolicy, also without sigstore.
    """
    policy = identity_policy(text)
    try:
        identities: Any = importlib.import_module(".identities", __package__)
    except ImportError as error:
        raise InvalidPolicy(
            f"identities need the package sigstore, which is not in the lock of the model ({error}): uv add sigstore"
        ) from error

    def verified(line: bytes) -> "tuple[str, str, bytes]":
        try:
            kind, payload, identity = identities.verified_by(line.decode(errors="replace"), policy["sigstore"], policy)
        except identities.Refused as error:
            raise UntrustedSigner(str(error)) from None
        return str(identity), kind, payload.encode()

    return verified


def _trusted_root(value: object) -> str:
    """The JSON of a trusted root, which may be in a file: no network is used, so the public one is not `public`."""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, str) and Path(value).is_absolute():
        try:
            return Path(value).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise InvalidPolicy(f"the trusted root {value} cannot be read: {error}") from error
    raise InvalidPolicy("'sigstore' is neither the JSON of a trusted root nor the absolute path of its file")
