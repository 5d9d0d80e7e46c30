"""Attaches documents to an image in a registry as referrers, and lists them (OCI distribution specification 1.1)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...core.image.composition import INDEX_TYPE, MANIFEST_TYPE, Blob, digest_of
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .repository import RegistryUnanswered, Repository
from .uploads import BlobUploads

# The configuration of a manifest that is not an image.
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
# The most referrers of one image that are read.
_MOST = 64
_DIGEST = lazy_pattern(r"sha256:[0-9a-f]{64}")


@lazy_dataclass
class Attachment:
    """A document of a media type, and annotations of its manifest."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str]


def attach(repository: Repository, image: str, attachment: Attachment) -> int:
    """
    Attach a document to the image with a digest, if it is not there yet; return the number of bytes that were sent.

    A registry without the API for referrers gets an index with the tag that the specification names. Raises
    RegistryUnanswered.
    """
    subject = repository.manifest(image)
    if subject is None:
        raise RegistryUnanswered(f"the registry has no image {image}")
    manifest = _manifest(image, subject, attachment)
    if repository.manifest(digest_of(manifest)) == manifest and digest_of(manifest) in _listed(repository, image):
        return 0
    kinds = {_EMPTY: _EMPTY_TYPE, attachment.content: attachment.media_type}
    blobs = {
        Blob(media_type=kind, digest=digest_of(content), size=len(content)): content for content, kind in kinds.items()
    }
    sent = BlobUploads(repository, {}).send(blobs).sent
    reply = repository.put_manifest(digest_of(manifest), manifest, kind=MANIFEST_TYPE)
    if "oci-subject" not in reply:
        _list_under_tag(repository, image, manifest, attachment)
    return sent + len(manifest)


def attached(repository: Repository, image: str, media_type: str) -> tuple[bytes, ...]:
    """The documents of a media type that are attached to the image with a digest. Raises RegistryUnanswered."""
    documents = []
    for digest in _listed(repository, image):
        body = repository.manifest(digest)
        for layer in _layers(body):
            if layer.get("mediaType") == media_type and _is_digest(layer.get("digest")):
                content = repository.blob(layer["digest"])
                if content is not None:
                    documents.append(content)
    return tuple(dict.fromkeys(documents))


def _manifest(image: str, subject: bytes, attachment: Attachment) -> bytes:
    content = attachment.content
    kind = parse_json(subject).get("mediaType", MANIFEST_TYPE)
    empty = Blob(media_type=_EMPTY_TYPE, digest=digest_of(_EMPTY), size=len(_EMPTY))
    layer = Blob(media_type=attachment.media_type, digest=digest_of(content), size=len(content))
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": attachment.media_type,
        "config": empty.descriptor,
        "layers": [layer.descriptor],
        "subject": {"mediaType": kind, "digest": image, "size": len(subject)},
        "annotations": dict(attachment.annotations),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _listed(repository: Repository, image: str) -> tuple[str, ...]:
    """The digests of the manifests that refer to an image, by the API and by the tag."""
    bodies = (repository.referrers(image), repository.manifest(_tag(image)))
    return tuple(dict.fromkeys(digest for body in bodies for digest in _members(body)))[:_MOST]


def _list_under_tag(repository: Repository, image: str, manifest: bytes, attachment: Attachment) -> None:
    """
    Add a manifest to the index of referrers.

    The specification has no way to do so at once: of two clients at the same time, one may lose its entry.
    """
    body = repository.manifest(_tag(image))
    entries = [entry for entry in _entries(body) if entry.get("digest") != digest_of(manifest)]
    blob = Blob(media_type=MANIFEST_TYPE, digest=digest_of(manifest), size=len(manifest))
    entry = {
        **blob.descriptor,
        "artifactType": attachment.media_type,
        "annotations": dict(attachment.annotations),
    }
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*entries, entry]}
    content = json.dumps(index, sort_keys=True, separators=(",", ":")).encode()
    repository.put_manifest(_tag(image), content, kind=INDEX_TYPE)


def _tag(image: str) -> str:
    return image.replace(":", "-")


def _members(body: bytes | None) -> Iterator[str]:
    for entry in _entries(body):
        if _is_digest(entry.get("digest")):
            yield entry["digest"]


def _is_digest(value: object) -> bool:
    """Whether it is a digest, and not a path that leads elsewhere in the registry."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _entries(body: bytes | None) -> list[dict[str, Any]]:
    return _objects(body, "manifests")


def _layers(body: bytes | None) -> list[dict[str, Any]]:
    return _objects(body, "layers")


def _objects(body: bytes | None, name: str) -> list[dict[str, Any]]:
    """The objects in a list of a document; none of a document that is missing or is another one."""
    try:
        content = parse_json(body) if body is not None else {}
    except ValueError:
        return []
    listed = content.get(name) if isinstance(content, dict) else None
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
