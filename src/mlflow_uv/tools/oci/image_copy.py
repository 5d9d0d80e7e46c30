"""Copies an image from one repository of a registry to another, without a container engine."""

import tempfile
from pathlib import Path
from typing import Any

from ...core.image.composition import MANIFEST_TYPE, Blob
from ...core.image.oci_manifest import MOST, TYPES
from ...core.security.documents import parse_json
from .repository import RegistryUnanswered, Repository
from .uploads import BlobUploads

_INDEX_TYPE = TYPES[1]
_MOST_BLOBS = 512


def copy_image(source: Repository, target: Repository, digest: str) -> int:
    """
    Copy the manifest or index with a digest and what it names; return the number of bytes of the blobs that were sent.

    Every byte is verified by its digest. A blob that the target has is not sent, and what names others is sent after
    them. A tag made of the digest keeps the image from rules that delete images without one. Raises RegistryUnanswered.
    """
    sent = _copied(source, target, digest, names=(digest, digest.replace(":", "-")), depth=1)
    if target.manifest(digest) is None:
        raise RegistryUnanswered(f"the registry does not return {digest} after it was pushed", reached=True)
    return sent


def _copied(source: Repository, target: Repository, digest: str, *, names: tuple[str, ...], depth: int) -> int:
    manifest = source.manifest(digest)
    if manifest is None:
        raise RegistryUnanswered(f"the registry has no {digest}", reached=True)
    try:
        content: Any = parse_json(manifest)
        members = [str(entry["digest"]) for entry in content.get("manifests", ())]
        blobs = [_blob(part) for part in (*content.get("layers", ()), *filter(None, (content.get("config"),)))]
        media_type = str(content.get("mediaType") or (_INDEX_TYPE if members else MANIFEST_TYPE))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryUnanswered(f"{digest} is not the manifest of an image", reached=True) from error
    if len(members) > MOST or len(blobs) > _MOST_BLOBS or (members and not depth) or media_type not in TYPES:
        raise RegistryUnanswered(f"{digest} is not an image that can be copied", reached=True)
    sent = sum(_copied(source, target, member, names=(member,), depth=depth - 1) for member in members)
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as folder:
        for blob in dict.fromkeys(blobs):
            if not target.has_blob(blob.digest):
                file = Path(folder) / "blob"
                source.download(blob, file)
                sent += BlobUploads(target, {}).send({blob: file}).sent
    for name in names:
        if target.manifest(name) != manifest:  # a registry with immutable tags refuses one that is there
            target.put_manifest(name, manifest, kind=media_type)
    return sent


def _blob(descriptor: Any) -> Blob:
    size = descriptor["size"]
    if not isinstance(size, int) or not str(descriptor["digest"]).startswith("sha256:"):
        raise ValueError("it has no size or no digest")
    return Blob(media_type=str(descriptor.get("mediaType")), digest=str(descriptor["digest"]), size=size)
