"""A base image in an OCI layout: found by its name and platform, and compared with its digests."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, StepError, ToolFailed
from mlflow_uv.core.image.composition import ComposedImage, ImageIndex, digest_of, indexed
from mlflow_uv.tools.oci.layout_reader import read_layout
from tests.image_layouts import write_layout
from tests.unit.tools.oci.test_image_layout import image_in


@pytest.fixture
def image(tmp_path: Path) -> tuple[ComposedImage, dict[str, Path]]:
    return image_in(tmp_path / "layers")


@pytest.fixture
def layout(tmp_path: Path, image: tuple[ComposedImage, dict[str, Path]]) -> Path:
    write_layout(tmp_path / "layout", image[0], image[1], tag="7")
    return tmp_path / "layout"


def of_other(image: ComposedImage) -> ImageIndex:
    """An index of an image and one for another architecture."""
    config = image.config.replace(b'"amd64"', b'"arm64"')
    first = replace(image.blobs[0], digest=digest_of(config), size=len(config))
    manifest = json.loads(image.manifest)
    manifest["config"] = first.descriptor
    other = ComposedImage(config=config, manifest=json.dumps(manifest).encode(), blobs=(first, *image.blobs[1:]))
    return indexed([image, other])


@pytest.mark.parametrize("tag", ["7", "latest"], ids=["by its tag", "the only one"])
def test_an_image_is_read_with_its_layers(image: tuple[ComposedImage, dict[str, Path]], layout: Path, tag: str) -> None:
    """
    A layout with one image needs no tag.
    """
    found = read_layout(layout, tag, "amd64")

    assert found is not None
    assert (image[0].digest, image[0].config) == (found.digest, found.image.config)
    assert image[0].blobs[1:] == found.image.layers
    assert all(found.archives[blob.digest].read_bytes() for blob in found.image.layers)


def test_the_image_of_a_platform_is_read_from_an_index(
    image: tuple[ComposedImage, dict[str, Path]], tmp_path: Path
) -> None:
    """
    The digest is that of the index, as in a registry.
    """
    index = of_other(image[0])
    write_layout(tmp_path / "both", index, image[1], tag="7")

    found = {name: read_layout(tmp_path / "both", "7", name) for name in ("amd64", "arm64", "s390x")}

    assert found["s390x"] is None
    assert {index.digest} == {each.digest for each in found.values() if each}
    assert [each.config for each in index.images] == [each.image.config for each in found.values() if each]


def several(layout: Path) -> None:
    """Two names for the image."""
    index = json.loads((layout / "index.json").read_text())
    index["manifests"] *= 2
    (layout / "index.json").write_text(json.dumps(index))


def linked(layout: Path) -> None:
    """An index elsewhere."""
    (layout / "index.json").rename(layout / "elsewhere")
    (layout / "index.json").symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda layout: (layout / "index.json").unlink(), "no OCI image layout"),
        (lambda layout: (layout / "index.json").write_text("[" * 100_000), "no OCI image layout"),
        (lambda layout: (layout / "index.json").write_text('{"manifests": [7]}'), "no OCI image layout"),
        (lambda layout: (layout / "index.json").write_text('{"config": {}}'), "no OCI image layout"),
        (several, "has no single image"),
        (linked, "no OCI image layout"),
    ],
    ids=["no index", "deep", "no list", "no manifests", "twice", "a link"],
)
def test_what_is_no_layout_is_refused(layout: Path, spoil: Callable[[Path], None], why: str) -> None:
    """
    Before any layer is read.
    """
    spoil(layout)

    with pytest.raises(BadInput, match=why):
        read_layout(layout, "7", "amd64")


@pytest.mark.parametrize("at", [0, 1, 2], ids=["configuration", "first layer", "last layer"])
@pytest.mark.parametrize("how", ["changed", "gone", "a link"])
def test_a_blob_with_other_content_is_refused(
    image: tuple[ComposedImage, dict[str, Path]], layout: Path, at: int, how: str
) -> None:
    """
    Also a link to the right content: what it leads to could change.
    """
    blob = layout / "blobs" / image[0].blobs[at].digest.replace(":", "/")
    content = blob.read_bytes()
    blob.unlink()
    if how == "changed":
        blob.write_bytes(content[:-1] + b"x")
    elif how == "a link":
        (layout / "real").write_bytes(content)
        blob.symlink_to(layout / "real")

    with pytest.raises(ToolFailed, match="cannot be read"):
        read_layout(layout, "7", "amd64")


def test_a_swapped_manifest_is_refused(image: tuple[ComposedImage, dict[str, Path]], layout: Path) -> None:
    """
    The index names its digest.
    """
    manifest = layout / "blobs" / image[0].digest.replace(":", "/")
    manifest.write_bytes(manifest.read_bytes() + b"\n")

    with pytest.raises(StepError, match="cannot be read"):
        read_layout(layout, "7", "amd64")
