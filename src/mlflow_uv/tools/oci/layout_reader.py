"""Reads a base image from an OCI image layout folder; nothing in it is trusted before its digest was compared."""

from pathlib import Path

from ...command.errors import BadInput, StepError, ToolFailed
from ...command.wording import option
from ...core.image.composition import Blob, digest_of
from ...core.image.oci_manifest import ImageManifest, PulledImage, member_for, named_images, read_layers, read_manifest
from ..system.untrusted_file import read_untrusted
from .registries import RegistryImage, holds_blob

_MOST = 4 << 20  # bytes of an index, a manifest or a configuration


def read_layout(folder: Path, tag: str, architecture: str) -> RegistryImage | None:
    """
    Return the image of a layout for an architecture, with the blobs of the folder as archives; None if it has none.

    Of several images, that with the tag is meant. Raises BadInput for a folder that is no layout, or has no such tag,
    and ToolFailed for a blob that is missing or has other content.
    """
    try:
        named = named_images(read_untrusted(folder / "index.json", limit=_MOST))
    except (StepError, ValueError) as error:
        why = error.why if isinstance(error, StepError) else str(error)
        raise BadInput(
            what=f"`{folder}` is no OCI image layout", why=why, fix=option("base-layout", "FOLDER")
        ) from error
    digests = [digest for name, digest in named if len(named) == 1 or name == tag]
    if len(digests) != 1:
        names = ", ".join(sorted(name or "one without a name" for name, _ in named))
        raise BadInput(
            what=f"`{folder}` has no single image `{tag}`",
            why=f"its images are {names}"[:200],
            fix=option("base-image", "NAME:TAG"),
        )
    manifest = _content(folder, digests[0])
    parsed = _parsed(folder, manifest)
    if parsed.images:
        member = member_for(manifest, architecture)
        if member is None:
            return None
        manifest = _content(folder, member)
        parsed = _parsed(folder, manifest)
    if not parsed.config:
        raise _unreadable(folder, "it is an index of indexes")
    try:
        layers = read_layers(manifest)
    except ValueError as error:
        raise _unreadable(folder, str(error)) from error
    archives = {blob.digest: _place(folder, blob.digest) for blob in layers}
    for blob in dict.fromkeys(layers):
        _require(folder, archives[blob.digest], blob)
    image = PulledImage(config=_content(folder, parsed.config), layers=layers)
    return RegistryImage(digest=digests[0], image=image, archives=archives)


def _content(folder: Path, digest: str) -> bytes:
    """A document of a layout, by its digest."""
    try:
        body = read_untrusted(_place(folder, digest), limit=_MOST)
    except BadInput as error:
        raise _unreadable(folder, f"{digest}: {error.why}") from error
    if digest_of(body) != digest:
        raise _unreadable(folder, f"{digest} has other content")
    return body


def _parsed(folder: Path, body: bytes) -> ImageManifest:
    try:
        return read_manifest(body)
    except ValueError as error:
        raise _unreadable(folder, str(error)) from error


def _require(folder: Path, archive: Path, blob: Blob) -> None:
    if not holds_blob(archive, blob):
        raise _unreadable(folder, f"the layer {blob.digest} is missing, or has other content")


def _place(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def _unreadable(folder: Path, why: str) -> ToolFailed:
    return ToolFailed(what=f"the base image in `{folder}` cannot be read", why=why)
