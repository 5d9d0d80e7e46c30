"""Parts of a composed image are made before its release is verified, and used only if they are what it needs."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.inputs import EngineChoice, Serving
from mlflow_uv.core.image.composition import BaseLayers, Compression
from mlflow_uv.core.model.model_files import HASHED, INDEXES, LOCK, MANIFEST, ServedFiles, hashed_lines
from mlflow_uv.core.release.digests import lock_digest
from mlflow_uv.ops.image.builders import Builder, ComposeRequest, PreparationRequest
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_base import WantedBase
from mlflow_uv.ops.image.composed_platforms import compose_platforms
from mlflow_uv.ops.image.prepared_parts import PartsMaker
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.ops.model.locked_files import locked_files
from mlflow_uv.tools.project.files import read_project
from tests import projects
from tests.indexes import index_of, served
from tests.registries import registry

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
        maker.make(replace(release or self.tiny.release, model=self.folder / "nothing"))

    def made(self, *, release: RecomputedRelease | None = None, stopped: bool = False, **inputs: Any) -> PartsMaker:
        """What has made them."""
        maker = self.maker(**inputs)
        if stopped:
            maker.stop()
        self.make(maker, release=release)
        return maker

    def composed(self, preparation: PartsMaker | None) -> ComposedServingImage:
        """The image of the verified release."""
        scratch = self.folder / f"compose-{len(list(self.folder.iterdir()))}"
        scratch.mkdir()
        bases = [WantedBase(name=self.base, architecture=HERE)]
        tiny = self.tiny.with_listed_requirements()
        images = compose_platforms(
            tiny.release, bases, tiny.needs, Serving.LOCKED, scratch, tiny.tools, preparation=preparation
        )
        return images.composed[0]


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
