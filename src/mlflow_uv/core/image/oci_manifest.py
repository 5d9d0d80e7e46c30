"""Parses manifests, indexes and configurations of images (OCI image specification)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.documents import parse_json
from .composition import GZIP_TYPE, LARGEST_LIST, LAYER_TYPE, ZSTD_TYPE, Blob, LayerList
from .labels import LAYER_KEY, LAYER_LIST

# The media types of layers in Docker's own manifests, and those of the specification that are the same.
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_LAYER_TYPES = {
    **{kind: kind for kind in (LAYER_TYPE, GZIP_TYPE, ZSTD_TYPE)},
    _DOCKER_LAYER: LAYER_TYPE,
    f"{_DOCKER_LAYER}.gzip": GZIP_TYPE,
    f"{_DOCKER_LAYER}.zstd": ZSTD_TYPE,
}
TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# The annotation by which tools select an image of a layout (OCI image specification).
REF_NAME = "org.opencontainers.image.ref.name"
# The most images that an index may list.
MOST = 16


@lazy_dataclass
class ImageManifest:
    """The digest of an image's configuration, or the digests of the manifests in an index."""

    config: str = ""
    images: tuple[str, ...] = ()


@lazy_dataclass
class PulledImage:
    """
    The configuration of an image in a registry, and its layers, lowest first, each with its key or an empty one.

    `lists` are the lists at the ends of layers, None for a layer without one; empty if nobody looked for them.
    """

    config: bytes
    layers: tuple[Blob, ...]
    keys: tuple[str, ...] = ()
    lists: tuple[LayerList | None, ...] = ()


def read_manifest(body: bytes) -> ImageManifest:
    """Parse a manifest or an index. Raises ValueError for any other content."""
    content = _object(body)
    if "manifests" in content:
        listed = content["manifests"]
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise ValueError("it lists no manifests")
        images = tuple(_digest(entry) for entry in listed if not _is_attestation(entry))
        if not 0 < len(images) <= MOST:
            raise ValueError(f"it lists {len(images)} images")
        return ImageManifest(images=images)
    return ImageManifest(config=_digest(content.get("config")))


def named_images(body: bytes) -> tuple[tuple[str, str], ...]:
    """
    The names and digests of the images that the index of a layout lists; a name may be empty.

    Raises ValueError for any other content.
    """
    digests = read_manifest(body).images
    entries = [entry for entry in _object(body).get("manifests", ()) if not _is_attestation(entry)]
    if not digests:
        raise ValueError("it lists no manifests")
    notes = [entry.get("annotations") for entry in entries]
    names = [str(each.get(REF_NAME, "")) if isinstance(each, dict) else "" for each in notes]
    return tuple(zip(names, digests, strict=True))


def member_for(body: bytes, architecture: str) -> str | None:
    """
    The digest of an index's Linux image for an architecture (`amd64`); None if it has none.

    Of several variants of an architecture, the first is taken. Raises ValueError for any other content.
    """
    content = _object(body)
    listed = content.get("manifests")
    for entry in listed if isinstance(listed, list) else ():
        platform = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(platform, dict) and (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return _digest(entry)
    return None


def read_layers(body: bytes) -> tuple[Blob, ...]:
    """
    The layers of a manifest, lowest first, with the media types of the OCI image specification.

    Raises ValueError for any other content, and for layers of another kind, such as those that are not distributed.
    """
    layers = _object(body).get("layers")
    if not isinstance(layers, list):
        raise ValueError("it lists no layers")  # noqa: TRY004  # the content is wrong, not a caller
    return tuple(map(_layer, layers))


def read_image(manifest: bytes, config: bytes) -> PulledImage:
    """The image of a manifest and its configuration. Raises ValueError."""
    layers = read_layers(manifest)
    return PulledImage(
        config=config,
        layers=layers,
        keys=read_layer_keys(manifest),
        lists=tuple(map(_list_in, layers, _annotations(manifest, LAYER_LIST))),
    )


def read_layer_keys(body: bytes) -> tuple[str, ...]:
    """The key of each layer of a manifest, lowest first; empty for one without a key. Raises ValueError."""
    keys = _annotations(body, LAYER_KEY)
    return tuple(key if re.fullmatch(r"[0-9a-f]{64}", key) else "" for key in keys)


def _list_in(layer: Blob, annotation: str) -> LayerList | None:
    """The list at the end of a layer; None for anything else, which comes from a registry."""
    match = re.fullmatch(r"(sha256:[0-9a-f]{64}) ([1-9][0-9]{0,8})", annotation)
    if match is None or int(match[2]) > min(LARGEST_LIST, layer.size):
        return None
    return LayerList(digest=match[1], size=int(match[2]))


def _annotations(body: bytes, name: str) -> Iterator[str]:
    """Yield the annotation with a name of each layer of a manifest, or an empty text. Raises ValueError."""
    layers = _object(body).get("layers")
    for entry in layers if isinstance(layers, list) else ():
        notes = entry.get("annotations") if isinstance(entry, dict) else None
        yield str(notes.get(name, "")) if isinstance(notes, dict) else ""


def _layer(descriptor: object) -> Blob:
    digest = _digest(descriptor)
    entry: Mapping[str, Any] = descriptor if isinstance(descriptor, dict) else {}
    kind, size = _LAYER_TYPES.get(str(entry.get("mediaType"))), entry.get("size")
    if kind is None:
        raise ValueError(f"it has a layer of the type {str(entry.get('mediaType'))[:80]}")
    if not isinstance(size, int) or size < 0:
        raise ValueError("it has a layer without a size")
    return Blob(media_type=kind, digest=digest, size=size)


def read_labels(body: bytes) -> Mapping[str, str]:
    """The labels in an image's configuration. Raises ValueError for content that is not a JSON object."""
    config = _object(body).get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is a BuildKit attestation (provenance, SBOM), which has the platform `unknown`."""
    platform = entry.get("platform")
    return isinstance(platform, dict) and platform.get("os") == "unknown"


def _digest(descriptor: object) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError("it names no configuration")
    return digest


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = parse_json(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(content, dict):
        raise ValueError("it is not an object")  # noqa: TRY004  # the content is wrong, not a caller
    return content
