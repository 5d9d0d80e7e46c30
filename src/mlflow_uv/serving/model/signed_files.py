"""Compares the files of a model with what a trusted key signed, before anything of the model is loaded."""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    Public keys in PEM or the file of them, the file with attestations, and the version that must have been signed.

    An empty name or version is that of any signed one.
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
        return f"The model in {self.folder} is {self.name} version {self.version}, as the key {self.signer} signed it."


def require_signed(folder: Path, trust: SignedModelTrust) -> SignedModel:
    """
    Compare every file in a folder, and its name and version, with what one of the keys signed.

    Raises NotSigned, also for keys and attestations that cannot be read.
    """
    keys = _keys(trust.keys)
    try:
        if Path(trust.attestations).stat().st_size > LIMIT:
            raise NotSigned(f"ATTESTATIONS={trust.attestations!r} has more than {LIMIT >> 20} MB.")
        lines = Path(trust.attestations).read_bytes().splitlines()
    except OSError as error:
        raise NotSigned(f"ATTESTATIONS={trust.attestations!r} cannot be read: {error.strerror or error}.") from error
    chains = [chain for line in lines if line.strip() for chain in _signed_chains(line, keys)]
    if not chains:
        raise NotSigned(f"No key in VERIFY signed a model in ATTESTATIONS={trust.attestations!r}.")
    files = dict(_digests(folder))
    problem = ""
    for signer, name, version, signed in chains:
        shown = f"{name} version {version}"
        if (trust.name or name, trust.version or version) != (name, version):
            expected = f"{trust.name or 'any name'} version {trust.version or 'any'}"
            problem = (
                f"The key {signer} signed {shown}, and not {expected}, as MODEL_NAME and MODEL_VERSION or the model's"
                f" {REGISTERED} say."
            )
        elif differing := sorted(path for path in {*signed, *files} if signed.get(path) != files.get(path)):
            some = ", ".join((*differing[:SHOWN], *("…" for _ in differing[SHOWN : SHOWN + 1])))
            problem = f"The model in {folder} is not {shown} as the key {signer} signed it: {some}."
        else:
            return SignedModel(folder=folder, name=name, version=version, signer=signer)
    raise NotSigned(problem)


def _keys(given: str) -> "tuple[EllipticKey | EdwardsKey, ...]":
    try:
        return public_keys(given if PEM in given else Path(given).read_text(encoding="utf-8"))
    except OSError as error:
        raise NotSigned(f"VERIFY={given!r} cannot be read: {error.strerror or error}.") from error
    except (InvalidKey, UnicodeError) as error:
        shown = "VERIFY" if PEM in given else f"VERIFY={given!r}"
        raise NotSigned(f"{shown} cannot be used: {error}.") from error


def _signed_chains(
    line: bytes, keys: "tuple[EllipticKey | EdwardsKey, ...]"
) -> "Iterator[tuple[str, str, str, dict[str, str]]]":
    """The id of the key, name, version and files in a bundle with a statement about a chain that a key signed."""
    try:
        envelope: Any = json.loads(line)["dsseEnvelope"]
        (signature,) = (base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"])
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
        statement = json.loads(payload)
        if kind != PAYLOAD_TYPE or statement["predicateType"] != CHAIN:
            return
        predicate = statement["predicate"]
        version, files = predicate["record"]["version"], predicate["files"]
        read = str(version["name"]), str(version["version"]), {str(path): str(files[path]) for path in files}
    except (ValueError, KeyError, TypeError, RecursionError):  # of another program, or changed
        return
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    for key in keys:
        if key.verifies(signature, signed):
            yield (key_id(key), *read)
            return


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
