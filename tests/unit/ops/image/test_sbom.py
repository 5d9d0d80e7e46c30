"""The table of an image's layers: what each of them is for, and how large it is."""

from types import SimpleNamespace
from typing import Any, cast

from mlflow_uv.core.image.layers import PackageLayer
from mlflow_uv.ops.image.sbom import layer_sizes, named_layers
from mlflow_uv.tools.engines.engine import BuiltImage, Engine, ImageLayer

MB = 1_000_000


def rows(*layers: tuple[str, float], parts: tuple[str, ...]) -> dict[str, str]:
    """The table of an image with these steps in its history, and these layers of packages."""
    history = tuple(ImageLayer(made_by=made_by, size=int(size * MB)) for made_by, size in layers)
    engine = cast("Engine", SimpleNamespace(layers=lambda _image: history))
    image = BuiltImage(id="sha256:1", labels={}, size=sum(layer.size for layer in history), digest="sha256:1")
    packages = [PackageLayer(folder=folder, requirements="", idle=frozenset()) for folder in parts]
    table: Any = layer_sizes(image, engine, packages)
    return dict(table.rows)


def test_each_layer_has_its_purpose() -> None:
    """
    The packages are the layers above the base; labels and settings add nothing, and are no layers.
    """
    found = rows(
        ("debian", 70), ("ADD python", 40), ("ENV PATH", 0), ("RUN large", 300), ("LABEL a=b", 0), ("RUN rest", 100),
        ("LABEL c=d", 0), ("ADD server", 0.1), ("ENV X", 0), ("ADD model", 2.5), ("CMD", 0),
        parts=("large", "packages"),
    )  # fmt: skip

    assert {
        "base": "110.0 MB", "large": "300.0 MB", "packages": "100.0 MB", "server": "0.1 MB", "model": "2.5 MB",
        "all": "512.6 MB",
    } == found  # fmt: skip


def test_packages_in_one_layer_are_one_row() -> None:
    """
    The order is that of the image.
    """
    found = rows(("base", 1), ("RUN packages", 2), ("ADD server", 3), ("ADD model", 4), parts=("packages",))

    assert ["base", "packages", "server", "model", "all"] == list(found)


def test_the_base_of_a_composed_image_has_a_name() -> None:
    """
    Its layers have the name that they have in any other image, as one; those above keep the names of the composition.
    """
    history = (("", 100), ("RUN apt-get", 20), ("ENV PATH", 0), ("standard library", 11), ("environment", 1),
               ("numpy", 62), ("server", 2), ("model", 3))  # fmt: skip

    found = named_layers(tuple(ImageLayer(made_by=made_by, size=size) for made_by, size in history))

    assert (
        ("base image", 120), ("standard library", 11), ("environment", 1), ("numpy", 62), ("server", 2), ("model", 3)
    ) == found  # fmt: skip
