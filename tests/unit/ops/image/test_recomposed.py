"""What is said of an image that is composed again; tests/cases/test_recomposed.py does so."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, BaseLayers, Blob, LayerBlob, composed
from mlflow_uv.core.image.oci_manifest import PulledImage
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.core.release.record import CompositionLink, ImageLink
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.recomposed import differences, from_parts
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.unit.core.release.test_record import BARE

LINK = ImageLink(kind="image", id="sha256:5", tag="wine:7", base="python:3.11-slim", base_digest="sha256:6")
COMPOSITION = CompositionLink(
    program="0.1.0+1", uv="0.9", python="3.11.7", architectures=("amd64",), layers_of_base="registry",
    version="7", created="", source="",
)  # fmt: skip
BASE = BaseLayers(
    config={"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:0"]}},
    layers=(Blob(media_type=GZIP_TYPE, digest="sha256:b0", size=1),),
)


def layer(name: str, digest: str) -> LayerBlob:
    return LayerBlob(name=name, blob=Blob(media_type=GZIP_TYPE, digest=digest, size=1), diff_id=digest)


LAYERS = (layer("numpy", "sha256:1"), layer("model", "sha256:2"))
IMAGE = ComposedServingImage(
    image=composed(BASE, LAYERS, {"of": "wine"}),
    archives={},
    packages=PackagesAsLayers(layers=(), reused=0, python="3.11.7"),
    own_layers=2,
)


def held(digests: tuple[str, ...] = ("sha256:b0", "sha256:1", "sha256:2"), **changes: Any) -> PulledImage:
    """What a registry has, with changes to the configuration."""
    config = json.loads(IMAGE.image.config)
    config["config"] |= changes
    blobs = tuple(Blob(media_type=GZIP_TYPE, digest=digest, size=1) for digest in digests)
    return PulledImage(config=json.dumps(config).encode(), layers=blobs)


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (held(), []),
        (held(("sha256:b0", "sha256:9", "sha256:2")), ["the layer `numpy`", "layers that the release does not have"]),
        (held(("sha256:b0", "sha256:1")), ["the layer `model`"]),
        (held(("sha256:b1", "sha256:1", "sha256:2")), ["the base image", "layers that the release does not have"]),
        (held(("sha256:1", "sha256:2")), ["the base image"]),
        (held(("sha256:b0", "sha256:2", "sha256:1")), ["the order of its layers"]),
        (
            held(("sha256:b0", "sha256:1", "sha256:2", "sha256:9")),
            ["layers that the release does not have"],
        ),
        (held(Labels={"of": "beer"}), ["the label `of`"]),
        (held(Labels=None), ["the label `of`"]),
        (held(User="0"), ["the settings"]),
        (held(Env=["VERIFY=another key"]), ["the settings"]),
        (None, ["parts that are not known, because no registry returns the image"]),
    ],
    ids=[
        "none", "layer", "model", "base", "no base", "order", "more", "label", "no labels", "user", "policy", "unknown",
    ],
)  # fmt: skip
def test_each_part_that_differs_is_named(image: PulledImage | None, named: list[str]) -> None:
    """
    Layers by what is in them, labels by their names.
    """
    assert named == list(differences(IMAGE, image))


def checks(image: ImageLink | None, folder: Path) -> list[tuple[LinkState, str]]:
    release = RecomputedRelease(
        record=replace(BARE, image=image), client=cast("Any", None), project=None, model=folder, checks=()
    )
    tools = cast("Tools", SimpleNamespace(console=KeptConsole()))
    return [(check.state, check.reason) for check in from_parts(release, tools).checks]


def test_an_image_that_an_engine_built_has_no_parts_to_compose(tmp_path: Path) -> None:
    """
    Its digest differs from build to build.
    """
    assert [] == checks(None, tmp_path) == checks(LINK, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"serving": "all"}, {"python": "/tmp/python"}, {"python": "3.11"}, {"python": "--help"}, {"python": "3.11.7 "}],
    ids=lambda changes: "".join(changes.values()),
)
def test_a_record_does_not_choose_what_is_started(tmp_path: Path, changes: dict[str, str]) -> None:
    """
    Its words are a set of packages and a release of Python, never a path or a flag.
    """
    python = changes.get("python", COMPOSITION.python)
    image = replace(LINK, composition=replace(COMPOSITION, python=python), serving=changes.get("serving", "locked"))

    ((state, reason),) = checks(image, tmp_path)

    assert (LinkState.BROKEN, True) == (state, reason.endswith("which does not exist"))


def test_a_model_without_requirements_cannot_be_composed_again(tmp_path: Path) -> None:
    """
    Unverified, with what the image was composed with.
    """
    ((state, reason),) = checks(replace(LINK, composition=COMPOSITION), tmp_path)

    assert (LinkState.UNVERIFIED, True) == (state, reason.startswith("it cannot be composed again: the model does not"))
    assert "composed with mlflow-uv 0.1.0+1, uv 0.9 and Python 3.11.7" in reason
