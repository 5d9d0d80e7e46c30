"""Compares the files of a model with what a trusted key signed, before anything of the model is loaded."""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .identity_policy import InvalidPolicy, UntrustedSigner, identity_verifier
from .model_location import REGISTERED
from .public_keys import EdwardsKey, EllipticKey, InvalidKey, key_id, public_keys

CHAIN = "https://github.com/org/mlflow-uv-action/attestation/chain/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
ADDED_ON_DOWNLOAD = frozenset({REGISTERED})  # nobody signs it: what it says is compared with what was signed
LIMIT = 64 << 20  # bytes of the file with attestations
SHOWN = 3
PEM = "-----BEGIN "


class NotSigned(Exception):
    """The model is not one that a trusted key signed; the message is one sentence."""


@dataclass(frozen=True)
class SignedModelTrust:
    """
    Public keys in PEM, a policy about identities in JSON or the file of either, and attestations or a file with them.

    Name and version are those that must have been signed; an empty one is that of any signed one.
    """

    keys: str
    attestations: str
    name: str
    version: str


@dataclass(frozen=True)
class SignedModel:
    """Which version a model in a folder is, according to the key that signed it."""

    folder: Path
    name: str
    version: str
    signer: str

    def __str__(self) -> str:
        """One sentence about it."""
        return f"The model in {self.folder} is {self.name} version {self.version}, as {self.signer} signed it."


def require_signed(folder: Path, trust: SignedModelTrust) -> SignedModel:
    """
    Compare every file in a folder, and its name and version, with what one of the keys signed.

    Raises NotSigned, also for keys and attestations that cannot be read.
    """
    verified = _verifier(trust.keys)
    shown, lines = _attestations(trust.attestations)
    untrusted: list[str] = []
    chains = [chain for line in lines if line.strip() for chain in _signed_chains(line, verified, untrusted)]
    if not chains:
        why = f": {untrusted[-1]}" if untrusted else ""
        raise NotSigned(f"Nobody whom VERIFY names signed a model in {shown}{why}.")
    files = dict(_digests(folder))
    problem = ""
    for signer, name, version, signed in chains:
        shown = f"{name} version {version}"
        if (trust.name or name, trust.version or version) != (name, version):
            expected = f"{trust.name or 'any name'} version {trust.version or 'any'}"
            problem = (
                f"{signer.replace('the key', 'The key', 1)} signed {shown}, and not {expected}, as MODEL_NAME and"
                f" MODEL_VERSION or the model's {REGISTERED} say."
            )
        elif differing := sorted(path for path in {*signed, *files} if signed.get(path) != files.get(path)):
            some = ", ".join((*differing[:SHOWN], *("…" for _ in differing[SHOWN : SHOWN + 1])))
            problem = f"The model in {folder} is not {shown} as {signer} signed it: {some}."
        else:
            return SignedModel(folder=folder, name=name, version=version, signer=signer)
    raise NotSigned(problem)


def _attestations(given: str) -> "tuple[str, list[bytes]]":
    """How messages name the attestations, and a bundle a line: the text itself, or that of the file that it names."""
    if given.lstrip().startswith("{"):
        return "ATTESTATIONS", given.encode(errors="replace").splitlines()
    shown = f"ATTESTATIONS={given!r}"
    try:
        if Path(given).stat().st_size > LIMIT:
            raise NotSigned(f"{shown} has more than {LIMIT >> 20} MB.")
        return shown, Path(given).read_bytes().splitlines()
    except OSError as error:
        raise NotSigned(f"{shown} cannot be read: {error.strerror or error}.") from error


def _verifier(given: str) -> "Callable[[bytes], tuple[str, str, bytes]]":
    """What returns the signer, the payload type and the payload of a bundle, or raises UntrustedSigner."""
    try:
        text = given if PEM in given or given.lstrip().startswith("{") else Path(given).read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return identity_verifier(text)
        keys = public_keys(text)
    except OSError as error:
        raise NotSigned(f"VERIFY={given!r} cannot be read: {error.strerror or error}.") from error
    except (InvalidKey, InvalidPolicy, UnicodeError) as error:
        shown = "VERIFY" if PEM in given or given.lstrip().startswith("{") else f"VERIFY={given!r}"
        raise NotSigned(f"{shown} cannot be used: {error}.") from error
    return lambda line: _signed_by_key(line, keys)


def _signed_by_key(line: bytes, keys: "tuple[EllipticKey | EdwardsKey, ...]") -> "tuple[str, str, bytes]":
    envelope: Any = json.loads(line)["dsseEnvelope"]
    (signature,) = (base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"])
    kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    for key in keys:
        if key.verifies(signature, signed):
            return f"the key {key_id(key)}", kind, payload
    raise UntrustedSigner("")


def _signed_chains(
    line: bytes, verified: "Callable[[bytes], tuple[str, str, bytes]]", untrusted: "list[str]"
) -> "Iterator[tuple[str, str, str, dict[str, str]]]":
    """The signer, name, version and files in a bundle with a statement about a chain, or why it does not count."""
    try:
        signer, kind, payload = verified(line)
        statement = json.loads(payload)
        if kind != PAYLOAD_TYPE or statement["predicateType"] != CHAIN:
            return
        predicate = statement["predicate"]
        version, files = predicate["record"]["version"], predicate["files"]
        read = str(version["name"]), str(version["version"]), {str(path): str(files[path]) for path in files}
    except UntrustedSigner as error:
        untrusted.extend(filter(None, [str(error)]))
        return
    except (ValueError, KeyError, TypeError, RecursionError):  # of another program, or changed
        return
    yield (signer, *read)


def _digests(folder: Path) -> "Iterator[tuple[str, str]]":
    """The SHA-256 of each file by its path. Raises NotSigned for links to folders, pipes and unreadable files."""

    def refuse(error: OSError) -> None:
        raise NotSigned(f"{error.filename} cannot be read: {error.strerror}.") from error

    for root, folders, names in os.walk(folder, onerror=refuse):
        for name in folders:
            if Path(root, name).is_symlink():
                raise NotSigned(f"{Path(root, name)} is a link to a folder, which nobody signed.")
        for name in names:
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            if relative in ADDED_ON_DOWNLOAD:
                continue
            try:
                if not stat.S_ISREG(path.stat().st_mode):
                    raise NotSigned(f"{path} is not a file.")
                digest = hashlib.sha256()
                with path.open("rb") as file:
                    while part := file.read(1 << 20):
                        digest.update(part)
            except OSError as error:
                raise NotSigned(f"{path} cannot be read: {error.strerror or error}.") from error
            yield relative, digest.hexdigest()
