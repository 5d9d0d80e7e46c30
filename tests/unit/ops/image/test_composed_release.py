"""How a composed image gets into an engine, and what is said where a registry refuses it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import BaseLayers, composed
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_release import handed_over
from mlflow_uv.tools.engines.engine import BuiltImage, Engine
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers


@dataclass
class LoadingEngine:
    """Loads images; refuses the first ones, and gives each an id of its own choice."""

    refuses: int = 0
    held: int = 1
    id: str = ""
    loaded: list[int] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    name: str = "docker"

    def held_layers(self, _diff_ids: Sequence[str]) -> int:
        return self.held

    def load(self, archive: Path) -> None:
        self.loaded.append(archive.stat().st_size)
        if len(self.loaded) <= self.refuses:
            raise ToolFailed(what="refused")

    def image(self, name: str) -> BuiltImage | None:
        return BuiltImage(id=name, labels={}, size=1, digest=name) if name == self.id else None

    def untag(self, image: str) -> None:
        self.removed.append(image)


@pytest.fixture
def image() -> ComposedServingImage:
    """An image without layers."""
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    packages = PackagesAsLayers(layers=(), reused=0, python="3.11.2")
    return ComposedServingImage(
        image=composed(BaseLayers(config=config, layers=()), (), {}), archives={}, packages=packages
    )


@pytest.mark.parametrize("known_by", ["id", "digest"])
def test_an_engine_knows_an_image_by_its_configuration_or_its_manifest(
    tmp_path: Path, image: ComposedServingImage, known_by: str
) -> None:
    """
    The second with a containerd store. The archive is gone before the image is used.
    """
    engine = LoadingEngine(id=getattr(image.image, known_by))

    with handed_over(image, cast("Engine", engine), tmp_path) as built:
        assert ([], engine.id) == (list(tmp_path.iterdir()), built.id)

    assert [] == engine.removed


def test_an_archive_without_held_layers_that_is_refused_is_sent_complete(
    tmp_path: Path, image: ComposedServingImage
) -> None:
    """
    Once: the image whose layers they were may have been removed meanwhile.
    """
    engine = LoadingEngine(id=image.image.id, refuses=1)
    other = LoadingEngine(id=image.image.id, refuses=2)
    whole = LoadingEngine(id=image.image.id, refuses=1, held=0)

    with handed_over(image, cast("Engine", engine), tmp_path):
        pass

    assert 2 == len(engine.loaded)
    for refusing in (other, whole):
        with pytest.raises(ToolFailed, match="refused"), handed_over(image, cast("Engine", refusing), tmp_path):
            pass
    assert [2, 1] == [len(other.loaded), len(whole.loaded)]


def test_an_image_that_is_refused_is_removed(tmp_path: Path, image: ComposedServingImage) -> None:
    """
    It never had a name.
    """
    engine = LoadingEngine(id=image.image.id)

    with pytest.raises(ToolFailed, match="another"), handed_over(image, cast("Engine", engine), tmp_path):
        raise ToolFailed(what="another model")

    assert [image.image.id] == engine.removed


def test_an_image_that_got_an_unknown_id_is_an_error(tmp_path: Path, image: ComposedServingImage) -> None:
    """
    Nothing else is tested in its place.
    """
    with (
        pytest.raises(ToolFailed, match="cannot be found"),
        handed_over(image, cast("Engine", LoadingEngine(id="sha256:x")), tmp_path),
    ):
        pass
