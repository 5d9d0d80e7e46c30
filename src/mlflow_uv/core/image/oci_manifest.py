"""Parses manifests, indexes and configurations of images (OCI image specification)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..security.documents import parse_json

TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# The most images that an index may list.
MOST = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageManifest:
    """The digest of an image's configuration, or the digests of the manifests in an index."""

    config: str = ""
    images: tuple[str, ...] = ()


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
