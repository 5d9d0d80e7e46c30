"""OCI image layouts that tests write at once."""

from collections.abc import Mapping
from pathlib import Path

from mlflow_uv.core.image.composition import ComposedImage, ImageIndex
from mlflow_uv.tools.oci.image_layout import written_layout


def write_layout(folder: Path, image: ComposedImage | ImageIndex, archives: Mapping[str, Path], *, tag: str) -> None:
    """Write an image as `written_layout` does, with nothing between its writing and its name."""
    with written_layout(folder, image, archives, tag=tag):
        pass
