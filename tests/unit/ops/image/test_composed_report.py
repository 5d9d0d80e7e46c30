"""What is reported about a composed image."""

from dataclasses import replace
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import Severity, TableKind
from mlflow_uv.core.image.composition import BaseLayers, composed
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_base import ComposableBase
from mlflow_uv.ops.image.composed_report import composed_findings, composed_sizes
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers


@pytest.fixture
def image() -> ComposedServingImage:
    """An image without layers."""
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    packages = PackagesAsLayers(layers=(), reused=0, python="3.11.2")
    return ComposedServingImage(
        image=composed(BaseLayers(config=config, layers=()), (), {}), archives={}, packages=packages
    )


def test_files_that_packages_do_not_agree_on_are_reported(image: ComposedServingImage) -> None:
    """
    An installer would leave any of them there, without a word.
    """
    base = cast("ComposableBase", SimpleNamespace(findings=()))
    paths = tuple(PurePosixPath(f"/opt/venv/{number}") for number in range(7))
    differing = replace(image, packages=replace(image.packages, replaced=paths))

    (finding,) = composed_findings(differing, base)

    assert ("image-files-differ", Severity.NOTICE) == (finding.rule, finding.severity)
    assert finding.what.endswith("/opt/venv/4 and 2 more")
    assert [] == list(composed_findings(image, base))


@pytest.mark.parametrize(
    ("taken", "words"), [(("a",), ("a layer", "is", "was")), (("a", "b"), ("2 layers", "are", "were"))]
)
def test_layers_of_another_image_are_reported(
    image: ComposedServingImage, taken: tuple[str, ...], words: tuple[str, str, str]
) -> None:
    """
    Who could push that image decided what is in them; the image is named by its digest.
    """
    base = cast("ComposableBase", SimpleNamespace(findings=()))
    name = f"registry.example/wine@sha256:{'0' * 64}"

    (finding,) = composed_findings(replace(image, taken=taken, taken_from=name), base)

    assert ("image-layers-taken", Severity.NOTICE) == (finding.rule, finding.severity)
    count, verb, past = words
    assert f"{count} of the image {verb} from {name}, and {past} not made here" == finding.what


def test_layers_that_could_not_be_read_are_reported(image: ComposedServingImage) -> None:
    """
    They were made; the reason is said.
    """
    base = cast("ComposableBase", SimpleNamespace(findings=()))

    (finding,) = composed_findings(replace(image, taken_from="x@y", not_taken="it does not answer"), base)

    assert ("image-layers-not-taken", "it does not answer") == (finding.rule, finding.why)


@pytest.mark.parametrize(("remade", "count"), [(1, "a changed layer was"), (2, "2 changed layers were")])
def test_layers_that_were_changed_in_the_cache_are_reported(
    image: ComposedServingImage, remade: int, count: str
) -> None:
    """
    Somebody, or a broken disk, wrote there.
    """
    base = cast("ComposableBase", SimpleNamespace(findings=()))

    (finding,) = composed_findings(replace(image, remade=remade), base)

    assert ("image-layers-changed", Severity.NOTICE) == (finding.rule, finding.severity)
    assert finding.what.startswith(f"{count} found in the cache")


def test_the_sizes_of_layers_are_details(image: ComposedServingImage) -> None:
    """
    The job summary folds them, as those of an image that an engine built.
    """
    base = cast("ComposableBase", SimpleNamespace(image=SimpleNamespace(base=SimpleNamespace(layers=()))))

    table = composed_sizes(image, base)

    assert TableKind.DETAILS is table.kind
    assert ("all", "0.0 MB") == table.rows[-1]
