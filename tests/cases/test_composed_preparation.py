"""Parts of a composed image are made before its release is verified, and used only if they are what it needs."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ChainBroken
from mlflow_uv.command.inputs import EngineChoice, Serving
from mlflow_uv.core.image.composition import BaseLayers, Compression
from mlflow_uv.core.model.model_files import HASHED, INDEXES, LOCK, MANIFEST, ServedFiles, hashed_lines
from mlflow_uv.core.release.digests import lock_digest, tree_digest
from mlflow_uv.ops.image.build import image_name
from mlflow_uv.ops.image.builders import Builder, ComposeRequest, PreparationRequest
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_base import WantedBase
from mlflow_uv.ops.image.composed_platforms import WantedImages, compose_platforms
from mlflow_uv.ops.image.composed_release import composed_inventory
from mlflow_uv.ops.image.composing import compose_and_keep
from mlflow_uv.ops.image.prepared_parts import PartsMaker
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.ops.model.locked_files import locked_files
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.oci.registries import PushedImage, Registries
from mlflow_uv.tools.oci.uploads import SentEarlier
from mlflow_uv.tools.project.files import read_project
from tests import projects
from tests.indexes import index_of, served
from tests.registries import is_in, registry

from .composed import HERE, MINOR, TinyRelease, push_base, tiny_release

OTHER = BaseLayers(config={}, layers=())


@dataclass(frozen=True)
class IndexedRelease:
    """A release whose lock has a package of an index, and a registry with a base."""

    tiny: TinyRelease
    base: str
    folder: Path

    def maker(self, **inputs: Any) -> PartsMaker:
        """What makes parts of an image with these inputs."""
        values: dict[str, Any] = {"name": "r/wine:1", "base": self.base, "base_layout": None, "platforms": ()}
        values |= {"serving": Serving.LOCKED, "layers_from": None, "compression": Compression.GZIP}
        compose = ComposeRequest(**{**values, "push": True, "oci_layout": None, **inputs})
        request = PreparationRequest(builder=Builder.AUTO, engine=EngineChoice.NONE, compose=compose, layers=True)
        scratch = self.folder / f"scratch-{len(list(self.folder.iterdir()))}"
        scratch.mkdir()
        return PartsMaker(request, scratch, self.tiny.tools)

    def make(self, maker: PartsMaker, *, release: RecomputedRelease | None = None) -> None:
        """Let it make the parts of a release that is not verified; its model is not there by then."""
        maker.make(replace(release or self.tiny.release, model=self.folder / "nothing"), None)

    def made(self, *, release: RecomputedRelease | None = None, stopped: bool = False, **inputs: Any) -> PartsMaker:
        """What has made them."""
        maker = self.maker(**inputs)
        if stopped:
            maker.stop()
        self.make(maker, release=release)
        return maker

    def composed(
        self, preparation: PartsMaker | None, on_layer: Callable[[CachedLayer], None] | None = None
    ) -> ComposedServingImage:
        """The image of the verified release."""
        scratch = self.folder / f"compose-{len(list(self.folder.iterdir()))}"
        scratch.mkdir()
        tiny = self.tiny.with_listed_requirements()
        wanted = WantedImages(
            release=tiny.release,
            bases=(WantedBase(name=self.base, architecture=HERE),),
            needs=tiny.needs,
            serving=Serving.LOCKED,
            preparation=preparation,
            on_layer=on_layer,
        )
        return compose_platforms(wanted, scratch, tiny.tools).composed[0]


@contextmanager
def indexed(folder: Path, host: str, *, wheels: bool = False) -> Iterator[IndexedRelease]:
    """A release with a package of an index alone; with `wheels` also that of its model."""
    wheel = projects.wheel(folder / "wheels", "pear", "1.0", (), core="answer = 42\n")
    with served(index_of(folder / "pages", wheel)) as url, tiny_release(folder) as tiny:
        more = f'[[tool.uv.index]]\nname = "beside"\nurl = "{url}"\ndefault = true\n'
        project = read_project(projects.project(folder / "project", "pear==1.0", more=more))
        (project.folder / ".python-version").write_text(MINOR)
        subprocess.run(("uv", "lock", "--quiet"), cwd=project.folder, check=True)
        kept = tiny.release.record.requirements.wheels if wheels else ()
        requirements = tiny.tools.uv.export(project, tiny.release.record.selection)
        shown = ServedFiles(requirements=requirements, wheels=kept, python=tiny.needs.python)
        texts = locked_files(project, project.lock.read_bytes())
        texts[HASHED] = "".join(f"{line}\n" for line in hashed_lines(shown)).encode()
        for name in (LOCK, MANIFEST, INDEXES, HASHED):
            (tiny.release.model / name).write_bytes(texts[name])
        record = tiny.release.record
        record = replace(
            record,
            lock=replace(record.lock, sha256=lock_digest(project.lock.read_bytes())),
            requirements=replace(record.requirements, sha256=requirements.digest, wheels=kept),
        )
        release = replace(tiny.release, record=record, project=project)
        yield IndexedRelease(tiny=replace(tiny, release=release), base=f"{host}/base:1", folder=folder)


@pytest.fixture
def host(tmp_path: Path, registry_program: str) -> Iterator[str]:
    """A registry."""
    with registry(tmp_path, registry_program) as address:
        yield address


def test_prepared_parts_are_those_of_the_verified_release(tmp_path: Path, host: str) -> None:
    """
    Its image is the same as without; no layer is looked for again.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        maker = place.made()
        composed = place.composed(maker)
        alone = place.composed(None)

    assert alone.image == composed.image
    assert maker._made is not None
    assert composed.packages is maker._made.packages
    assert [0, 1] == [composed.packages.reused, alone.packages.reused]


def test_parts_are_waited_for(tmp_path: Path, host: str) -> None:
    """
    They are made while the release is verified, and beside what follows.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        maker = place.maker()
        thread = threading.Thread(target=place.make, args=(maker,))
        thread.start()
        composed = place.composed(maker)
        thread.join()

    assert maker._made is not None
    assert composed.packages is maker._made.packages


def test_a_package_that_only_the_model_has_is_made_later(tmp_path: Path, host: str) -> None:
    """
    The layers of the others are in the cache by then.
    """
    with indexed(tmp_path, host, wheels=True) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        maker = place.made()
        composed = place.composed(maker)
        names = [path.rpartition("/")[2] for layer in composed.packages.layers for path in layer.files]

    assert maker._made is not None
    assert composed.packages is not maker._made.packages
    assert (1, 2) == (composed.packages.reused, names.count("METADATA"))


@pytest.mark.parametrize("cached", [False, True], ids=["made", "known"])
def test_layers_are_passed_on_when_they_are_there(tmp_path: Path, host: str, *, cached: bool) -> None:
    """
    Those of the image, whether they are made or known, and not before the verified model wants them.
    """
    passed: list[str] = []
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        if cached:
            place.composed(None)
        maker = place.made()
        assert maker._made is not None
        composed = place.composed(maker, lambda layer: passed.append(layer.layer.blob.digest))

    assert [layer.layer.blob.digest for layer in composed.packages.layers if layer.files] == passed


@pytest.mark.parametrize("changed", ["packages", "base", "wheels"])
def test_no_layer_is_passed_on_unless_all_are_those_of_the_verified_model(
    tmp_path: Path, host: str, changed: str
) -> None:
    """
    It has other packages or another base, or a wheel whose libraries are compared with the base first.
    """
    passed: list[CachedLayer] = []
    with indexed(tmp_path, host, wheels=changed == "wheels") as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        maker = place.made()
        assert maker._plan is not None
        wanted, base = maker._plan
        if changed == "packages":
            maker._plan = replace(wanted, platform="other"), base
        elif changed == "base":
            maker._plan = wanted, OTHER
        place.composed(maker, passed.append)

    assert [] == passed


class RegistriesWithNotes:
    """The registries of some tools, and the blobs that were sent when an image was pushed."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries
        self.sent_early: list[str] = []

    def push(self, *arguments: Any, early: SentEarlier, **named: Any) -> PushedImage:
        """See Registries."""
        self.sent_early += [blob.digest for blob in early.sent()]
        return self._registries.push(*arguments, early=early, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registries, name)


@pytest.mark.parametrize("broken", [False, True], ids=["a right model", "another model"])
def test_layers_are_sent_before_the_image_is_compared_and_a_tag_is_not(
    tmp_path: Path, host: str, *, broken: bool
) -> None:
    """
    An image with another model than the recorded one is not pushed: it has no name in the registry.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        maker = place.made(name=f"{host}/team/wine")
        assert maker._made is not None
        assert maker._read is not None
        contents = json.loads(composed_inventory(place.composed(None), maker._read.base))["model"]
        right = tree_digest((PurePosixPath(path), digest) for path, digest in contents)
        (layer,) = (each.layer.blob.digest for each in maker._made.packages.layers)
        tiny = place.tiny.with_listed_requirements()
        record = tiny.release.record
        record = replace(record, model=replace(record.model, sha256="0" * 64 if broken else right))
        request = replace(maker._request.compose, preparation=maker)
        noted = RegistriesWithNotes(tiny.tools.registries)
        tools = replace(tiny.tools, registries=cast("Registries", noted))
        with pytest.raises(ChainBroken) if broken else nullcontext():
            compose_and_keep(request, replace(tiny.release, record=record), None, tools)
        tag = image_name(request.name, record).rpartition(":")[2]

        assert ([] if broken else [layer], not broken) == (noted.sent_early, is_in(host, "team/wine", tag))


@pytest.mark.parametrize("changed", ["packages", "base", "name"])
def test_what_is_not_wanted_is_not_used(tmp_path: Path, host: str, changed: str) -> None:
    """
    The verified model has other packages, or the parts are for another base.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        maker = place.made()
        assert maker._made is not None
        assert maker._read is not None
        alone = place.composed(None)
        if changed == "packages":
            maker._made = replace(maker._made, wanted=replace(maker._made.wanted, platform="other"))
        elif changed == "base":
            maker._made = replace(maker._made, base=OTHER)
        else:
            wanted = replace(maker._read.wanted, name=f"{host}/base:2")
            maker._read = replace(maker._read, wanted=wanted, base=replace(maker._read.base, machine="other"))
        composed = place.composed(maker)

    assert alone.image == composed.image
    assert (changed == "name") == (composed.packages is maker._made.packages)


def test_nothing_is_made_for_another_lock_or_an_absent_base_or_after_a_stop(tmp_path: Path, host: str) -> None:
    """
    An error does not end the step: whoever needs the parts makes them.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        record = place.tiny.release.record
        other = replace(place.tiny.release, record=replace(record, lock=replace(record.lock, sha256="0" * 64)))
        makers = {
            "other": place.made(release=other),
            "absent": place.made(base=f"{host}/absent:1"),
            "unused": place.made(push=False),
            "stopped": place.made(stopped=True),
        }

    read = {name: (maker._read is not None, maker._made is not None) for name, maker in makers.items()}
    nothing = (False, False)
    assert {"other": nothing, "absent": nothing, "unused": nothing, "stopped": (True, False)} == read
