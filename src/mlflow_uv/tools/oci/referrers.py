"""Attaches documents to an image in a registry as referrers, and lists them (OCI distribution specification 1.1)."""

import json
from collections.abc import Mapping
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
# The most documents of a type that are read, and the most referrers of which a list does not say the type.
_MOST, _MOST_UNTYPED = 1_000, 64
_MOST_BYTES = 64 << 20
# The waits before the list of referrers is read again: somebody else may write it at the same time.
_WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0)
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

    A registry without the API for referrers gets an index with the tag that the specification names. The list is read
    again, until the document is in it. Raises RegistryUnanswered.
    """
    subject = repository.manifest(image)
    if subject is None:
        raise RegistryUnanswered(f"the registry has no image {image}", reached=True)
    manifest = _manifest(image, subject, attachment)
    digest = digest_of(manifest)
    if repository.manifest(digest) == manifest and digest in _listed(repository, image, attachment.media_type):
        return 0
    kinds = {_EMPTY: _EMPTY_TYPE, attachment.content: attachment.media_type}
    blobs = {
        Blob(media_type=kind, digest=digest_of(content), size=len(content)): content for content, kind in kinds.items()
    }
    sent = BlobUploads(repository, {}).send(blobs).sent
    reply = repository.put_manifest(digest, manifest, kind=MANIFEST_TYPE)
    for wait_s in _WAITS_S:
        if wait_s:
            repository.wait(wait_s)
        if "oci-subject" not in reply:
            _list_under_tag(repository, image, manifest, attachment)
        if digest in _listed(repository, image, attachment.media_type):
            return sent + len(manifest)
    raise RegistryUnanswered(f"the registry does not list what was attached to {image}", reached=True)


def attached(repository: Repository, image: str, media_type: str) -> tuple[bytes, ...]:
    """
    The documents of a media type that are attached to the image with a digest.

    Raises RegistryUnanswered, also for more documents or bytes than anybody attaches.
    """
    documents: list[bytes] = []
    for digest in _listed(repository, image, media_type):
        body = repository.manifest(digest)
        for layer in _layers(body):
            if layer.get("mediaType") == media_type and _is_digest(layer.get("digest")):
                content = repository.blob(layer["digest"])
                if content is not None:
                    documents.append(content)
        if sum(map(len, documents)) > _MOST_BYTES:
            raise RegistryUnanswered(
                f"more than {_MOST_BYTES >> 20} MB of documents are attached to {image}", reached=True
            )
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


def _listed(repository: Repository, image: str, media_type: str) -> tuple[str, ...]:
    """
    The digests of the manifests of a type that refer to an image, by the API and by the tag.

    Those of other types, of which there may be any number, are left out; of those without a type the first are read.
    """
    typed: list[str] = []
    untyped: list[str] = []
    for body in (*repository.referrers(image), repository.manifest(_tag(image))):
        for entry in _entries(body):
            kind = entry.get("artifactType")
            if _is_digest(entry.get("digest")) and kind in (media_type, None):
                (typed if kind else untyped).append(entry["digest"])
    typed = list(dict.fromkeys(typed))
    if len(typed) > _MOST:
        raise RegistryUnanswered(f"more than {_MOST} documents of {media_type} are attached to {image}", reached=True)
    return tuple(dict.fromkeys((*typed, *list(dict.fromkeys(untyped))[:_MOST_UNTYPED])))


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
