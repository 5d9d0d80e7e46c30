"""What is said of images for platforms that nothing here starts."""

from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.core.release.record import CompositionLink, ImageLink
from mlflow_uv.ops.image.platforms import untested_platforms
from mlflow_uv.tools.toolbox import Tools


def link(*architectures: str, engine: str = "") -> ImageLink:
    composition = CompositionLink(
        program="1", uv="1", python="3.12.1", architectures=architectures, layers_of_base="registry",
        version="", created="", source="",
    )  # fmt: skip
    return ImageLink(
        kind="image", id="i", tag="r/wine:1", base="b", base_digest="d", engine=engine, composition=composition
    )


@pytest.mark.parametrize(
    ("image", "untested"),
    [
        (link("amd64", "arm64"), ["the image for linux/arm64 was not started"]),
        (link("amd64", "arm64", engine="docker"), ["the image for linux/amd64 was not started"]),
        (link("amd64"), []),
        (None, []),
        (ImageLink(kind="image", id="i", tag="wine:1", base="b", base_digest="d"), []),
    ],
    ids=["no engine", "an engine of another machine", "one platform", "no image", "built"],
)
def test_images_that_were_not_started_are_named(image: ImageLink | None, untested: list[str]) -> None:
    """
    By the architecture of the engine that started one, else by that of this machine.
    """
    remote = SimpleNamespace(architecture=lambda: "arm64")
    engines = SimpleNamespace(named=lambda _: remote)
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(machine="x86_64"), engines=engines))

    assert untested == [finding.what for finding in untested_platforms(image, tools)]
