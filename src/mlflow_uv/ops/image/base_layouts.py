"""Reads a base image from a folder that somebody wrote as an OCI image layout."""

from pathlib import Path

from ...command.errors import BaseImageMissing
from ...command.wording import option
from ...core.image.reference import image_reference
from ...tools.oci.layout_reader import read_layout
from ...tools.oci.registries import RegistryImage


def base_in_layout(name: str, layout: Path, architecture: str) -> RegistryImage:
    """Return a base image of an OCI image layout. Raises BadInput, BaseImageMissing, ToolFailed."""
    image = read_layout(layout, image_reference(name).served_tag, architecture)
    if image is None:
        raise absent_from_layout(name, layout, architecture)
    return image


def absent_from_layout(name: str, layout: Path, architecture: str) -> BaseImageMissing:
    """Return the error for an image that a layout does not have."""
    return BaseImageMissing(
        what=f"the base image `{name}` is not in `{layout}`",
        why=f"it has none for {architecture}",
        fix=option("base-layout", "FOLDER"),
    )
