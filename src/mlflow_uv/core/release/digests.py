"""Computes the digests of the release record, each over a normal form."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import PurePosixPath

# The file that MLflow adds to a model when it is downloaded as a registered version; not part of the logged model.
REGISTERED = "registered_model_meta"
ADDED_ON_DOWNLOAD = frozenset({REGISTERED})


def sha256(data: bytes) -> str:
    """SHA-256 in hex, without a prefix."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no white space, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def lock_digest(data: bytes) -> str:
    """SHA-256 of uv.lock's bytes with line ends normalised to LF, since git may convert them."""
    return sha256(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def tree_digest(files: Iterable[tuple[PurePosixPath, str]]) -> str:
    """SHA-256 over the sorted list of (POSIX path, SHA-256 of the content) of every file of a model."""
    kept = sorted((path.as_posix(), digest) for path, digest in files if path.as_posix() not in ADDED_ON_DOWNLOAD)
    return sha256(canonical(kept))
