"""What is the same? The digests of the release record, each over one normal form."""

import hashlib
from collections.abc import Iterable
from pathlib import PurePosixPath

# What MLflow adds to a model when it is downloaded through a registered version: not part of what was logged.
REGISTERED = "registered_model_meta"
ADDED_ON_DOWNLOAD = frozenset({REGISTERED})


def sha256(data: bytes) -> str:
    """Hex digest, without a prefix."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no white space: the same value gives the same bytes."""
    import json  # noqa: PLC0415  # 2 ms that hooks do not pay

    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def lock_digest(data: bytes) -> str:
    """Digest of uv.lock's bytes, line ends normalised to LF (a checkout may rewrite them)."""
    return sha256(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def tree_digest(files: Iterable[tuple[PurePosixPath, str]]) -> str:
    """Digest over the sorted list of (posix path, sha256 of the bytes) of every file of a model."""
    kept = sorted((path.as_posix(), digest) for path, digest in files if path.as_posix() not in ADDED_ON_DOWNLOAD)
    return sha256(canonical(kept))
