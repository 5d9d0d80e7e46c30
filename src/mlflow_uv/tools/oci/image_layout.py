"""Writes an image as an OCI layout folder, which other tools read, and as an archive, which engines load."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.image.composition import INDEX_TYPE, Blob, ComposedImage, ImageIndex
from ...core.image.oci_manifest import REF_NAME
from ..project.output_folder import output_folder
from ..system.disk_errors import disk_errors

_PIECE = 1 << 20
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


@contextmanager
def written_layout(
    folder: Path, image: ComposedImage | ImageIndex, archives: Mapping[str, Path], *, tag: str
) -> Iterator[None]:
    """
    Write an image, or those of an index, for a new or empty folder; `archives` are the layers by their digests.

    Each blob is verified while it is copied. Everything is on the disk when the block begins, and the folder gets its
    name when the block ends without an error. Raises BadInput for a folder that cannot be new, NoSpace, and ToolFailed
    for an archive that is missing or has another digest.
    """
    with output_folder(folder, "oci-layout", "the image") as layout:
        blobs = layout / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        documents = (part for each in image.images for part in (each.config, each.manifest))
        for content in (image.document, *documents):
            (blobs / hashlib.sha256(content).hexdigest()).write_bytes(content)
        for blob in dict.fromkeys(blob for each in image.images for blob in each.blobs[1:]):
            _copy(blob, archives.get(blob.digest), blobs / blob.digest.removeprefix("sha256:"))
        (layout / "oci-layout").write_bytes(_VERSION)
        (layout / "index.json").write_bytes(_index(image, tag))
        yield


def write_archive(target: Path, image: ComposedImage, archives: Mapping[str, Path], *, held: int) -> None:
    """
    Write an image as the archive that `docker load` and `podman load` take, without a name.

    It is an OCI layout and has the older manifest of `docker save`, for engines that read only that. The lowest `held`
    layers are left out: Docker takes those that it has. Raises NoSpace, and ToolFailed for an archive that is missing.
    """
    layers = image.blobs[1:]
    named = [{"Config": _place(image.id), "RepoTags": None, "Layers": [_place(blob.digest) for blob in layers]}]
    contents = {
        "oci-layout": _VERSION,
        "index.json": _index(image, ""),
        "manifest.json": json.dumps(named).encode(),
        _place(image.digest): image.manifest,
        _place(image.id): image.config,
    }
    with disk_errors("the image", target), tarfile.open(target, "w") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for digest in dict.fromkeys(blob.digest for blob in layers[held:]):
            tar.add(archives[digest], _place(digest))


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _index(image: ComposedImage | ImageIndex, tag: str) -> bytes:
    """The document that names what a layout holds: an image, or an index of images."""
    manifest = Blob(media_type=image.media_type, digest=image.digest, size=len(image.document))
    entry = {**manifest.descriptor, **({"annotations": {REF_NAME: tag}} if tag else {})}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}
    return json.dumps(index, sort_keys=True, separators=(",", ":")).encode()


def _copy(blob: Blob, source: Path | None, target: Path) -> None:
    """Copy a blob, and compare its digest with that in the manifest."""
    if source is None:
        raise ToolFailed(what="the image cannot be written", why=f"the layer {blob.digest} is missing")
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as write:
        while piece := read.read(_PIECE):
            digest.update(piece)
            write.write(piece)
    if f"sha256:{digest.hexdigest()}" != blob.digest:
        raise ToolFailed(what="the image cannot be written", why=f"the layer {blob.digest} has other content")
    shutil.copymode(source, target)
