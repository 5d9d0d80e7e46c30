"""An image is composed again from what its release names, and compared with the registry, which alone is asked."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mlflow_uv.core.image.composition import Blob, ComposedImage, LayerBlob, digest_of
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.core.release.chain import LinkCheck, LinkState
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_base import ComposableBase, WantedBase, read_base
from mlflow_uv.ops.image.composed_push import push_composed
from mlflow_uv.ops.image.composed_release import compose_release
from mlflow_uv.ops.image.recomposed import from_parts
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from tests.registries import registry

from .composed import HERE, TinyRelease, push_base, tiny_release


@dataclass(frozen=True, kw_only=True)
class Place:
    """A registry with a base, a release, and the image that was composed of both."""

    host: str
    folder: Path
    opened: ExitStack
    tiny: TinyRelease
    image: ComposedServingImage
    base: ComposableBase

    @property
    def name(self) -> str:
        """The name of the image."""
        return f"{self.host}/cellar/wine:7"

    def check(self, image: ComposedServingImage, **composition: Any) -> LinkCheck:
        """The check of a release whose record and registry agree on this image."""
        push_composed(self.name, image.image, image.archives, self.tiny.tools)
        return self.checked(image, **composition)

    def checked(self, image: ComposedServingImage, **composition: Any) -> LinkCheck:
        """The check, of what the registry has already."""
        release = self.tiny.with_image(self.name, image, self.base)
        link = release.record.image
        assert link is not None
        assert link.composition is not None
        link = replace(link, composition=replace(link.composition, **composition))
        (check,) = from_parts(replace(release, record=replace(release.record, image=link)), self.tiny.tools).checks
        return check

    def composed_of(self, other: TinyRelease) -> ComposedServingImage:
        """The image of another model or package, with the labels of this release."""
        disguised = replace(other, release=replace(other.release, record=self.tiny.release.record))
        return disguised.compose(f"{self.host}/base:1")[0]

    def other(self, **differs: Any) -> TinyRelease:
        """A release that differs."""
        (self.folder / "other").mkdir()
        return self.opened.enter_context(tiny_release(self.folder / "other", **differs))


@pytest.fixture
def place(tmp_path: Path, registry_program: str) -> Iterator[Place]:
    """A composed image in a registry."""
    with ExitStack() as opened:
        host = opened.enter_context(registry(tmp_path, registry_program))
        (tmp_path / "one").mkdir()
        tiny = opened.enter_context(tiny_release(tmp_path / "one"))
        push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
        image, base = tiny.compose(f"{host}/base:1")
        yield Place(host=host, folder=tmp_path, opened=opened, tiny=tiny, image=image, base=base)


def changed(image: ComposedServingImage, change: Callable[[dict[str, Any]], None]) -> ComposedServingImage:
    """An image with another configuration."""
    config, manifest = json.loads(image.image.config), json.loads(image.image.manifest)
    change(config)
    body = json.dumps(config).encode()
    first = Blob(media_type=image.image.blobs[0].media_type, digest=digest_of(body), size=len(body))
    manifest["config"] = first.descriptor
    blobs = (first, *image.image.blobs[1:])
    return replace(image, image=ComposedImage(config=body, manifest=json.dumps(manifest).encode(), blobs=blobs))


def with_layer(image: ComposedServingImage, layer: LayerBlob, archive: Path, *, at: int) -> ComposedServingImage:
    """An image with another layer in a place; -1 is the place of the model."""

    def put(config: dict[str, Any]) -> None:
        config["rootfs"]["diff_ids"][at] = layer.diff_id

    other = changed(image, put)
    manifest = json.loads(other.image.manifest)
    manifest["layers"][at] = layer.blob.descriptor
    blobs = list(other.image.blobs[1:])
    blobs[at] = layer.blob
    composed = replace(other.image, manifest=json.dumps(manifest).encode(), blobs=(other.image.blobs[0], *blobs))
    return replace(image, image=composed, archives={**image.archives, layer.blob.digest: archive})


def swapped_layer(place: Place) -> ComposedServingImage:
    """A package with other code."""
    archive = place.folder / "swapped"
    layer = write_layer("swapped", {PurePosixPath(VENV, "lib", "grape.py"): LayerFile(data=b"steal()")}, archive)
    return with_layer(place.image, layer, archive, at=-3)


def swapped_base(place: Place) -> ComposedServingImage:
    """The base with one file more, under the name and the digest of the right one."""
    push_base(f"{place.host}/base:2", place.folder / "base2", place.tiny.tools, {"usr/bin/curl": b"#!"})
    tools, scratch = place.tiny.tools, place.folder / "swapped"
    scratch.mkdir()
    other = read_base(
        WantedBase(name=f"{place.host}/base:2", architecture=HERE), place.tiny.needs, scratch / "base", tools
    )
    tiny = place.tiny.with_listed_requirements()
    composition = replace(tiny.composition(place.base), base=other)
    return compose_release(tiny.release, [composition], scratch, tools)[0]


def swapped_label(place: Place) -> ComposedServingImage:
    """An image that claims to be of another repository."""

    def claim(config: dict[str, Any]) -> None:
        config["config"]["Labels"]["org.opencontainers.image.source"] = "https://example.invalid/other"

    return changed(place.image, claim)


def swapped_start(place: Place) -> ComposedServingImage:
    """An image that starts something else."""

    def start(config: dict[str, Any]) -> None:
        config["config"]["Entrypoint"] = ["/opt/model/start"]

    return changed(place.image, start)


def swapped_model(place: Place) -> ComposedServingImage:
    """Another model under the labels of this one."""
    return place.composed_of(place.other(answer="white"))


def swapped_wheel(place: Place) -> ComposedServingImage:
    """A wheel of the same name and version with other code."""
    return place.composed_of(place.other(wheel_answer="steal()"))


def test_the_image_of_the_release_holds_without_being_pulled(place: Place) -> None:
    """
    Composed again, it has the digest that record and registry have.
    """
    check = place.check(place.image)

    assert LinkCheck(link="image", state=LinkState.HOLDS) == check
    assert list(place.tiny.release.model.glob("mlflow-uv-install.txt")) == []


def test_an_audit_says_that_layers_in_the_cache_had_changed(place: Place) -> None:
    """
    They are made again, so that the image holds; somebody wrote to the cache.
    """
    push_composed(place.name, place.image.image, place.image.archives, place.tiny.tools)
    release = place.tiny.with_image(place.name, place.image, place.base)
    with place.image.packages.layers[0].archive.open("r+b") as archive:
        archive.seek(100)
        archive.write(b"poison")

    again = from_parts(release, place.tiny.tools)

    assert [LinkState.HOLDS] == [check.state for check in again.checks]
    assert ["image-layers-changed"] == [finding.rule for finding in again.findings]


@pytest.mark.parametrize(
    ("swap", "named"),
    [
        (swapped_layer, "the layer `shared"),
        (swapped_base, "the base image"),
        (swapped_label, "the label `org.opencontainers.image.source`"),
        (swapped_start, "the settings"),
        (swapped_model, "the layer `model`"),
        (swapped_wheel, "the layer `shared"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
@pytest.mark.core_variants(2)
def test_a_swapped_part_breaks_the_link_although_record_and_registry_agree(
    place: Place, swap: Callable[[Place], ComposedServingImage], named: str
) -> None:
    """
    Whoever can write to both changes the digest in both; the parts that the release names do not give it.
    """
    check = place.check(swap(place))

    assert ("image", LinkState.BROKEN) == (check.link, check.state), check.reason
    assert "composed again, it has the digest" in check.reason
    assert f"it differs in {named}" in check.reason


@pytest.mark.extended
@pytest.mark.parametrize(
    ("composition", "why"),
    [
        ({"program": "0.0.9+0123"}, "mlflow-uv 0.0.9+0123, not "),
        ({"uv": "0.0.1"}, "uv 0.0.1, not "),
        ({"python": "3.7.99"}, "3.7.99"),
    ],
    ids=["program", "uv", "python"],
)
def test_what_another_program_composed_is_not_verified(place: Place, composition: dict[str, str], why: str) -> None:
    """
    A swapped layer may be the work of another release: it is never valid, and never called broken.
    """
    check = place.check(swapped_layer(place), **composition)

    assert (LinkState.UNVERIFIED, True) == (check.state, why in check.reason), check.reason
    assert check.reason.startswith("it cannot be composed again: ")


@pytest.mark.extended
def test_a_swapped_base_is_broken_whatever_composed_it(place: Place) -> None:
    """
    The layers of a base are those of its registry, for every release of this program.
    """
    check = place.check(swapped_base(place), program="0.0.9+0123")

    assert LinkState.BROKEN == check.state, check.reason


@pytest.mark.extended
def test_another_program_that_gives_the_same_image_verifies_it(place: Place) -> None:
    """
    Equal digests are equal images, whoever computed them.
    """
    check = place.check(place.image, program="0.0.9+0123")

    assert LinkState.HOLDS == check.state, check.reason


@pytest.mark.extended
def test_without_the_base_or_a_wheel_nothing_is_verified(place: Place) -> None:
    """
    The reason names what is missing.
    """
    gone = replace(place.base, described=replace(place.base.described, digest=f"sha256:{'0' * 64}"))
    wheels = place.tiny.release.model / "mlflow-uv" / "wheels"

    without_base = replace(place, base=gone).check(place.image)
    (wheel,) = wheels.iterdir()
    wheel.write_bytes(b"PK")
    place.tiny.tools.host.cache.joinpath("layers").rename(place.folder / "away")
    without_wheel = place.checked(place.image)

    assert [LinkState.UNVERIFIED, LinkState.UNVERIFIED] == [without_base.state, without_wheel.state]
    assert "cannot be read again" in without_base.reason
    assert f"push the image of that digest as {place.host}/base:1 again" == without_base.fix
    assert ("grape" in without_wheel.reason, "") == (True, without_wheel.fix)


def test_a_tag_of_a_base_that_moves_between_two_builds_is_another_image_and_both_hold(place: Place) -> None:
    """
    Each record has the digest of its own base, which is read by that and not by the tag.
    """
    push_base(f"{place.host}/base:1", place.folder / "moved", place.tiny.tools, {"usr/bin/curl": b"#!"})
    second = replace(place.tiny.with_listed_requirements(), scratch=place.folder / "second")

    image, base = second.compose(f"{place.host}/base:1")

    assert base.described.digest != place.base.described.digest
    assert image.image.digest != place.image.image.digest
    first = place.check(place.image)
    moved = replace(place, image=image, base=base).check(image)
    assert [LinkCheck(link="image", state=LinkState.HOLDS)] * 2 == [first, moved]
    assert LinkState.BROKEN == replace(place, base=base).checked(place.image).state
