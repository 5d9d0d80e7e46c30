"""Composes the configuration and the manifest of a serving image from those of its base and a list of layers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.digests import sha256
from ..security.documents import parse_json
from .dockerfile import (
    ENTRY_POINT,
    FOLDER,
    HEALTH_CHECK,
    HEALTH_INTERVAL_S,
    HEALTH_START_S,
    HEALTH_TIMEOUT_S,
    PORT,
    SERVER_VARIABLES,
    USER,
    VARIABLES,
    VENV,
    verifying_variables,
)
from .labels import LAYER_KEY, LAYER_LIST

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
GZIP_TYPE, ZSTD_TYPE = f"{LAYER_TYPE}+gzip", f"{LAYER_TYPE}+zstd"
LARGEST_LIST = 32 << 20  # bytes of the list at the end of a blob
# The name of the lowest layer above those of the base.
BASE_LIBRARY = "standard library"
CREATED = "org.opencontainers.image.created"
# The date of an image whose commit has none, the same as that of its files.
EARLIEST = "1980-01-01T00:00:00Z"
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECOND_NS = 1_000_000_000


class Compression(Enum):
    """How the layers of an image are compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def media_type(self) -> str:
        """The media type of a layer."""
        return GZIP_TYPE if self is Compression.GZIP else ZSTD_TYPE


@lazy_dataclass
class Blob:
    """A blob of an image: media type, digest (`sha256:…`) and size in bytes."""

    media_type: str
    digest: str
    size: int

    @property
    def descriptor(self) -> dict[str, object]:
        """The descriptor of the OCI image specification."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@lazy_dataclass
class LayerList:
    """The end of a blob that lists what packages brought into the layer: its digest, and its size in bytes."""

    digest: str
    size: int

    @property
    def annotation(self) -> str:
        """Digest and size, as the annotation of a layer has them."""
        return f"{self.digest} {self.size}"


@lazy_dataclass
class LayerBlob:
    """
    A layer: its compressed blob, and the digest of the archive in it (`diff_id`); `name` is for the history.

    `key` is the digest of everything that its bytes depend on; empty if a digest cannot say that. `listed` is the list
    at its end, if it has one.
    """

    name: str
    blob: Blob
    diff_id: str
    key: str = ""
    listed: LayerList | None = None

    @property
    def descriptor(self) -> dict[str, object]:
        """The descriptor of the blob, with the key and the list as annotations; a layer without a key has neither."""
        if not self.key:
            return self.blob.descriptor
        listed = {} if self.listed is None else {LAYER_LIST: self.listed.annotation}
        return {**self.blob.descriptor, "annotations": {LAYER_KEY: self.key, **listed}}


@lazy_dataclass
class BaseLayers:
    """The configuration document of a base image, and its layers as the registry or the engine holds them."""

    config: Mapping[str, Any]
    layers: tuple[Blob, ...]


@lazy_dataclass
class ComposedImage:
    """An image as two documents, and every blob that its manifest names, in its order: configuration first."""

    config: bytes
    manifest: bytes
    blobs: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        """The digest of the manifest, by which a registry holds the image."""
        return digest_of(self.manifest)

    @property
    def document(self) -> bytes:
        """What a tag names: the manifest."""
        return self.manifest

    @property
    def media_type(self) -> str:
        """The media type of `document`."""
        return MANIFEST_TYPE

    @property
    def images(self) -> "tuple[ComposedImage, ...]":
        """The images that `document` names, as in an index: this one."""
        return (self,)

    @property
    def architecture(self) -> str:
        """The architecture in its configuration (`amd64`)."""
        return str(parse_json(self.config).get("architecture", ""))

    @property
    def id(self) -> str:
        """The digest of the configuration, which an engine shows as the id of the image."""
        return digest_of(self.config)


@lazy_dataclass
class ImageIndex:
    """The images of several platforms, by architecture, and the document that lists them."""

    document: bytes
    images: tuple[ComposedImage, ...]

    @property
    def digest(self) -> str:
        """The digest by which a registry holds all of them."""
        return digest_of(self.document)

    @property
    def media_type(self) -> str:
        """The media type of `document`."""
        return INDEX_TYPE


def indexed(images: Sequence[ComposedImage]) -> ImageIndex:
    """List images by architecture; the order in which they are given does not change the digest."""
    described = sorted(((_platform(image), image) for image in images), key=lambda pair: pair[0]["architecture"])
    members = [
        {"mediaType": MANIFEST_TYPE, "digest": image.digest, "size": len(image.manifest), "platform": platform}
        for platform, image in described
    ]
    document = _document({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": members})
    return ImageIndex(document=document, images=tuple(image for _, image in described))


def _platform(image: ComposedImage) -> dict[str, str]:
    """The platform of an image as an index writes it."""
    config = parse_json(image.config)
    return {name: str(config[name]) for name in ("architecture", "os", "variant") if config.get(name)}


def composed(
    base: BaseLayers, layers: Sequence[LayerBlob], labels: Mapping[str, str], *, verify: str = ""
) -> ComposedImage:
    """
    Compose an image: a function of its arguments alone, so that equal ones give an equal digest; `verify` as in Recipe.

    Raises ValueError for a base whose configuration is not that of a Linux image, or has another number of layers.
    """
    config = _config(base, layers, labels, verify)
    if len(config["rootfs"]["diff_ids"]) != len(base.layers) + len(layers):
        raise ValueError("its configuration does not describe its layers")
    body = _document(config)
    blobs = (
        Blob(media_type=CONFIG_TYPE, digest=digest_of(body), size=len(body)),
        *base.layers,
        *(layer.blob for layer in layers),
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": blobs[0].descriptor,
        "layers": [*(blob.descriptor for blob in base.layers), *(layer.descriptor for layer in layers)],
    }
    return ComposedImage(config=body, manifest=_document(manifest), blobs=blobs)


def digest_of(data: bytes) -> str:
    """The digest of a blob as registries write it."""
    return f"sha256:{sha256(data)}"


def _document(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _config(base: BaseLayers, layers: Sequence[LayerBlob], labels: Mapping[str, str], verify: str) -> dict[str, Any]:
    document, settings = base.config, base.config.get("config") or {}
    rootfs = document.get("rootfs")
    if document.get("os") != "linux" or not isinstance(rootfs, dict) or not isinstance(settings, dict):
        raise ValueError("it is not the configuration of a Linux image")
    created = labels.get(CREATED) or EARLIEST
    history = [*(document.get("history") or ()), *({"created": created, "created_by": layer.name} for layer in layers)]
    composed_config = {
        "created": created,
        "architecture": document.get("architecture", ""),
        "os": "linux",
        "config": {
            "Entrypoint": list(ENTRY_POINT),
            "Env": list(_variables(settings.get("Env") or (), verify)),
            "ExposedPorts": {**(settings.get("ExposedPorts") or {}), f"{PORT}/tcp": {}},
            "Healthcheck": {
                "Test": ["CMD", *HEALTH_CHECK],
                "Interval": HEALTH_INTERVAL_S * _SECOND_NS,
                "Timeout": HEALTH_TIMEOUT_S * _SECOND_NS,
                "StartPeriod": HEALTH_START_S * _SECOND_NS,
            },
            "Labels": {**(settings.get("Labels") or {}), **labels},
            "StopSignal": "SIGTERM",
            "User": f"{USER}:{USER}",
            "WorkingDir": FOLDER,
            **({"Volumes": settings["Volumes"]} if settings.get("Volumes") else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [*rootfs["diff_ids"], *(layer.diff_id for layer in layers)]},
        "history": history,
    }
    if document.get("variant"):
        composed_config["variant"] = document["variant"]
    return composed_config


def _variables(inherited: Sequence[str], verify: str) -> Iterator[str]:
    """The variables of the base, without effect on the server, and then those that it lacks."""
    values = dict(entry.partition("=")[::2] for entry in inherited)
    values["PATH"] = f"{VENV}/bin:{values.get('PATH') or _DEFAULT_PATH}"
    values |= VARIABLES
    values |= dict.fromkeys(SERVER_VARIABLES & values.keys(), "")
    values |= verifying_variables(verify)
    yield from (f"{name}={value}" for name, value in values.items())
