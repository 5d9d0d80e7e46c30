"""Copies of images between repositories: everything is sent, once, and nothing that is no image."""

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.core.image.composition import Blob
from mlflow_uv.tools.oci.image_copy import copy_image
from mlflow_uv.tools.oci.repository import BlobPart, RegistryUnanswered, Repository
from mlflow_uv.tools.system.web import WebReply

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class KeptRepository:
    """A repository in memory, which refuses what names something that it does not have."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.sent: list[str] = []

    def add(self, content: Any, *, blob: bool = False) -> dict[str, Any]:
        """Keep something; its descriptor."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        (self.blobs if blob else self.manifests)[digest] = body
        return {"digest": digest, "size": len(body), "mediaType": "application/x"}

    def manifest(self, which: str) -> bytes | None:
        """See Repository."""
        return self.manifests.get(which)

    def has_blob(self, digest: str) -> bool:
        """See Repository."""
        return digest in self.blobs

    def download(self, blob: Blob, target: Path) -> None:
        """See Repository."""
        target.write_bytes(self.blobs[blob.digest])

    def begin(self) -> str:
        """See Repository."""
        return "upload"

    def finish(self, _place: str, digest: str, rest: BlobPart) -> WebReply:
        """See Repository."""
        self.blobs[digest] = rest.file.read_bytes()
        self.sent.append(digest)
        return WebReply(status=201, headers={}, body=b"")

    def put_manifest(self, which: str, manifest: bytes, *, kind: str) -> None:
        """See Repository."""
        content = json.loads(manifest)
        for part in content.get("layers", []):
            assert part["digest"] in self.blobs
        for part in content.get("manifests", []):
            assert part["digest"] in self.manifests
        if which in self.manifests:
            raise RegistryUnanswered(f"{which} exists, and the repository is immutable")
        self.manifests[which], self.types[which] = manifest, kind


def image(repository: KeptRepository, *layers: bytes, media_type: str = DOCKER) -> dict[str, Any]:
    """An image of some layers; its descriptor."""
    config = repository.add({"architecture": "amd64"}, blob=True)
    parts = [repository.add(layer, blob=True) for layer in layers]
    return repository.add({"mediaType": media_type, "config": config, "layers": parts})


def copied(source: KeptRepository, target: KeptRepository, digest: str) -> int:
    """Copy an image."""
    return copy_image(cast("Repository", source), cast("Repository", target), digest)


def test_an_image_has_the_same_digest_there_and_a_tag_that_keeps_it() -> None:
    """
    A layer that is there is not sent again; the media type is that of the manifest.
    """
    source, target = KeptRepository(), KeptRepository()
    digest = image(source, b"one", b"two", b"two")["digest"]
    target.add(b"one", blob=True)

    sent = copied(source, target, digest)

    assert source.manifests[digest] == target.manifests[digest] == target.manifests[digest.replace(":", "-")]
    assert (DOCKER, 2, len(b"two") + len(b'{"architecture": "amd64"}')) == (
        target.types[digest],
        len(target.sent),
        sent,
    )


def test_a_copy_that_is_there_is_complete() -> None:
    """
    A repository with immutable tags refuses a manifest that it has; one that only lacks the tag gets that.
    """
    source, target = KeptRepository(), KeptRepository()
    digest = image(source, b"one")["digest"]
    copied(source, target, digest)
    sent = copied(source, target, digest)

    del target.manifests[digest.replace(":", "-")]
    copied(source, target, digest)

    assert (0, source.manifests[digest]) == (sent, target.manifests[digest.replace(":", "-")])


def test_an_index_is_copied_with_its_images() -> None:
    """
    They are there before it is.
    """
    source, target = KeptRepository(), KeptRepository()
    index = source.add({"mediaType": INDEX, "manifests": [image(source, b"a"), image(source, b"b")]})

    copied(source, target, index["digest"])

    assert source.manifests.keys() <= target.manifests.keys()


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        [],
        {"mediaType": "text/html", "layers": []},
        {"layers": [{"size": 1}]},
        {"layers": [{"digest": "sha256:1", "size": "1"}]},
        {"layers": [{"digest": "../../etc", "size": 1}]},
        {"manifests": [{"digest": f"sha256:{number}"} for number in range(17)]},
    ],
)
def test_what_is_no_image_is_not_copied(content: Any) -> None:
    """
    The target gets nothing.
    """
    source, target = KeptRepository(), KeptRepository()
    digest = source.add(content)["digest"]

    with pytest.raises(RegistryUnanswered):
        copied(source, target, digest)
    with pytest.raises(RegistryUnanswered, match="has no sha256:absent"):
        copied(source, target, "sha256:absent")

    assert ({}, {}) == (target.blobs, target.manifests)


def test_an_index_of_indexes_ends() -> None:
    """
    A registry cannot keep it busy for ever.
    """
    source = KeptRepository()
    inner = source.add({"mediaType": INDEX, "manifests": [image(source, b"a")]})
    middle = source.add({"mediaType": INDEX, "manifests": [inner]})

    with pytest.raises(RegistryUnanswered, match="not an image that can be copied"):
        copied(source, KeptRepository(), middle["digest"])
