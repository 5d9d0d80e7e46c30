"""Layers that zstd compressed: the same bytes on each machine, and an error with a fix where they are refused."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.inputs import EngineChoice
from mlflow_uv.core.image.composition import GZIP_TYPE, ZSTD_TYPE, BaseLayers, Compression, composed
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.ops.image.composed_platforms import require_layers
from mlflow_uv.ops.image.composed_push import push_composed
from mlflow_uv.ops.image.composed_release import ReleaseImages, handed_over
from mlflow_uv.ops.image.recomposed import from_parts
from mlflow_uv.ops.image.unpacked import keep_packages, serving_place
from mlflow_uv.tools.layers.archive import compress_archive
from tests.image_layouts import write_layout
from tests.registries import digest_in, registry
from tests.unit.tools.layers.test_saved_image import saved

from .composed import HERE, MACHINE, TinyRelease, files_of, push_base, tiny_release


@dataclass(frozen=True, kw_only=True)
class Place:
    """A registry with a base, and machines."""

    host: str
    folder: Path
    opened: ExitStack

    def machine(self, name: str) -> TinyRelease:
        """A machine that has nothing."""
        (self.folder / name).mkdir()
        return self.opened.enter_context(tiny_release(self.folder / name))

    def composed(self, tiny: TinyRelease) -> ReleaseImages:
        """The image with layers that zstd compressed."""
        return tiny.compose_all(f"{self.host}/base:1", compression=Compression.ZSTD)


@pytest.fixture
def place(tmp_path: Path, registry_program: str) -> Iterator[Place]:
    """A registry with a base."""
    with ExitStack() as opened:
        host = opened.enter_context(registry(tmp_path, registry_program))
        made = Place(host=host, folder=tmp_path, opened=opened)
        push_base(f"{host}/base:1", tmp_path / "base", made.machine("pusher").tools)
        yield made


def test_two_machines_compute_one_digest_which_a_registry_takes_and_audit_computes(place: Place) -> None:
    """
    The base keeps its layers, and ours have the type of zstd; packages and model are read from them.
    """
    first, second = place.machine("first"), place.machine("second")
    images, again = place.composed(first), place.composed(second)
    name = f"{place.host}/wine:7"

    require_layers(images, first.release.record, first.needs, loaded=False)
    keep_packages(images.composed[0], images.compositions[0].python, first.tools)
    pushed = push_composed(name, images.image, images.archives, first.tools)
    release = first.with_images(name, images)
    link = release.record.image
    assert link is not None
    assert link.composition is not None
    place_of_server = serving_place(replace(link, digest="", engine=""), first.tools).image
    (check,) = from_parts(replace(second.release, record=release.record), second.tools).checks
    forged = replace(link, composition=replace(link.composition, compression="lz4"))
    (refused,) = from_parts(replace(second.release, record=replace(release.record, image=forged)), second.tools).checks

    assert [pushed, pushed] == [again.image.digest, digest_in(place.host, "wine", "7")[1]]
    types = [layer["mediaType"] for layer in json.loads(images.composed[0].image.manifest)["layers"]]
    own = images.composed[0].own_layers
    assert ({GZIP_TYPE}, {ZSTD_TYPE}) == ({*types[:-own]}, {*types[-own:]})
    assert list(Path(place_of_server.tag).glob("lib/*/site-packages/*/METADATA"))
    assert ("zstd", LinkState.HOLDS) == (link.composition.compression, check.state), check.reason
    assert LinkState.BROKEN == refused.state
    assert "a compression `lz4`, which does not exist" in refused.reason


def old_docker() -> bool:
    """Whether the version of Docker is before 23."""
    shown = ("docker", "version", "--format", "{{.Server.Version}}")
    version = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    return int(version.partition(".")[0]) < 23


@pytest.mark.extended
@pytest.mark.engine
@pytest.mark.parametrize("name", [EngineChoice.DOCKER, EngineChoice.PODMAN], ids=lambda choice: choice.value)
def test_an_engine_loads_it_or_the_error_names_the_fix(place: Place, name: EngineChoice) -> None:
    """
    Docker before 23.0 reads no zstd.
    """
    tiny = place.machine("first")
    (image,) = place.composed(tiny).composed
    engine = tiny.tools.engines.available(name)

    if name is EngineChoice.DOCKER and old_docker():
        with (
            pytest.raises(ToolFailed, match="whose layers are compressed by zstd") as refused,
            handed_over(image, engine, tiny.scratch),
        ):
            pass
        assert "--compression gzip" == str(refused.value.fix)
    else:
        with handed_over(image, engine, tiny.scratch) as loaded:
            subprocess.run((name.value, "image", "rm", loaded.id), check=True, capture_output=True)


@pytest.mark.extended
def test_other_tools_read_it(place: Place) -> None:
    """
    skopeo inspects the layout and copies it to a registry, with its digest.
    """
    tiny = place.machine("first")
    images = place.composed(tiny)
    layout = place.folder / "layout"
    write_layout(layout, images.image, images.archives, tag="7")

    copied = ("skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:7", f"docker://{place.host}/copied:7")
    subprocess.run(("skopeo", "inspect", f"oci:{layout}:7"), check=True, capture_output=True)
    subprocess.run(copied, check=True, capture_output=True)

    assert images.image.digest == digest_in(place.host, "copied", "7")[1]


@pytest.mark.extended
def test_a_base_whose_layers_zstd_compressed_is_read(place: Place) -> None:
    """
    Its layers stay as they are.
    """
    tiny = place.machine("first")
    image = saved(place.folder / "zstd", files_of(MACHINE), architecture=HERE)
    archive = place.folder / "layer"
    layer = compress_archive("", image.plain[0], archive, compression=Compression.ZSTD)
    base = composed(BaseLayers(config=image.base.config, layers=(layer.blob,)), (), {})
    tiny.tools.registries.push(f"{place.host}/base:zstd", base, {layer.blob.digest: archive})

    images = tiny.compose_all(f"{place.host}/base:zstd")

    types = [layer["mediaType"] for layer in json.loads(images.composed[0].image.manifest)["layers"]]
    assert [ZSTD_TYPE, *[GZIP_TYPE] * images.composed[0].own_layers] == types
