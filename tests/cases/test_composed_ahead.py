"""Parts of a composed image are made before its release is verified, and used only if they are what it needs."""

import subprocess
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
from mlflow_uv.ops.image.builders import AheadRequest, Builder, ComposeRequest
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_base import WantedBase
from mlflow_uv.ops.image.composed_platforms import compose_platforms
from mlflow_uv.ops.image.parts_ahead import PartsAhead, PartsMaker
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.ops.model.locked_files import locked_files
from mlflow_uv.tools.project.files import read_project
from tests import projects
from tests.indexes import index_of, served
from tests.registries import registry

from .composed import HERE, MINOR, TinyRelease, push_base, tiny_release

OTHER = BaseLayers(config={}, layers=())


@dataclass(frozen=True)
class Ahead:
    """A release whose lock has a package of an index, and a registry with a base."""

    tiny: TinyRelease
    base: str
    folder: Path

    def made(
        self, *, release: RecomputedRelease | None = None, stopped: bool = False, **inputs: Any
    ) -> PartsAhead | None:
        """What is made before a release is verified; its model is not there by then."""
        values: dict[str, Any] = {"name": "r/wine:1", "base": self.base, "base_layout": None, "platforms": ()}
        values |= {"serving": Serving.LOCKED, "layers_from": None, "compression": Compression.GZIP}
        compose = ComposeRequest(**{**values, "push": True, "oci_layout": None, **inputs})
        request = AheadRequest(builder=Builder.AUTO, engine=EngineChoice.NONE, compose=compose, layers=True)
        scratch = self.folder / f"scratch-{len(list(self.folder.iterdir()))}"
        scratch.mkdir()
        maker = PartsMaker(request, scratch, self.tiny.tools)
        if stopped:
            maker.stop()
        release = release or self.tiny.release
        maker.make(replace(release, model=self.folder / "nothing"))
        return maker.made

    def composed(self, ahead: PartsAhead | None) -> ComposedServingImage:
        """The image of the verified release."""
        scratch = self.folder / f"compose-{len(list(self.folder.iterdir()))}"
        scratch.mkdir()
        bases = [WantedBase(name=self.base, architecture=HERE)]
        tiny = self.tiny.with_listed_requirements()
        images = compose_platforms(tiny.release, bases, tiny.needs, Serving.LOCKED, scratch, tiny.tools, ahead=ahead)
        return images.composed[0]


@contextmanager
def indexed(folder: Path, host: str, *, wheels: bool = False) -> Iterator[Ahead]:
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
        yield Ahead(tiny=replace(tiny, release=release), base=f"{host}/base:1", folder=folder)


@pytest.fixture
def host(tmp_path: Path, registry_program: str) -> Iterator[str]:
    """A registry."""
    with registry(tmp_path, registry_program) as address:
        yield address


def test_what_was_made_ahead_is_what_the_verified_release_needs(tmp_path: Path, host: str) -> None:
    """
    Its image is the same as without; no layer is looked for again.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        made = place.made()
        assert made is not None
        composed = place.composed(made)
        alone = place.composed(None)

    assert alone.image == composed.image
    assert composed.packages is made.parts.packages  # type: ignore[union-attr]  # they were made
    assert [0, 1] == [composed.packages.reused, alone.packages.reused]


def test_a_package_that_only_the_model_has_is_made_later(tmp_path: Path, host: str) -> None:
    """
    The layers of the others are in the cache by then.
    """
    with indexed(tmp_path, host, wheels=True) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        made = place.made()
        assert made is not None
        composed = place.composed(made)
        names = [path.rpartition("/")[2] for layer in composed.packages.layers for path in layer.files]

    assert composed.packages is not made.parts.packages  # type: ignore[union-attr]  # as above
    assert (1, 2) == (composed.packages.reused, names.count("METADATA"))


@pytest.mark.parametrize("changed", ["packages", "base"])
def test_what_is_not_wanted_is_not_used(tmp_path: Path, host: str, changed: str) -> None:
    """
    The verified model has other packages, or another image has the name of the base by then.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        made = place.made()
        assert made is not None
        assert made.parts is not None
        alone = place.composed(None)
        if changed == "packages":
            other = replace(made, parts=replace(made.parts, wanted=replace(made.parts.wanted, platform="other")))
        else:
            other = replace(
                made, wanted=replace(made.wanted, name=f"{host}/base:2"), parts=replace(made.parts, base=OTHER)
            )
        composed = place.composed(other)

    assert alone.image == composed.image
    assert composed.packages is not made.parts.packages


def test_nothing_is_made_for_another_lock_or_once_it_is_stopped(tmp_path: Path, host: str) -> None:
    """
    Neither does an error of it end the step: whoever needs the parts makes them.
    """
    with indexed(tmp_path, host) as place:
        push_base(place.base, tmp_path / "base", place.tiny.tools)
        record = place.tiny.release.record
        other = replace(place.tiny.release, record=replace(record, lock=replace(record.lock, sha256="0" * 64)))
        of_other = place.made(release=other)
        stopped = place.made(stopped=True)
        absent = place.made(base=f"{host}/absent:1")
        unused = place.made(push=False)

    assert (None, None, None) == (of_other, absent, unused)
    assert stopped is not None
    assert stopped.parts is None
