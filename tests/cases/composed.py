"""A tiny release to compose an image of: one package that travels as a wheel, on a base without a program to run."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from mlflow_uv.command.host import Host
from mlflow_uv.command.inputs import Serving
from mlflow_uv.core.image.composition import Compression, composed, indexed
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.model.model_files import HASHED, LOCK, MANIFEST, WHEELS
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.release.record import ImageLink, LockLink, ModelLink, Record, RequirementsLink, WheelLink
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_base import ComposableBase, WantedBase, read_base, wanted_bases
from mlflow_uv.ops.image.composed_packages import Composition
from mlflow_uv.ops.image.composed_platforms import WantedImages, compose_platforms
from mlflow_uv.ops.image.composed_release import (
    ReleaseImages,
    compose_release,
    composition_link,
    composition_of,
)
from mlflow_uv.ops.image.environment import Needs, needs_of
from mlflow_uv.ops.image.layer_offer import NO_OFFER, LayerOffer, layer_offer
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.tools.mlflow.store_client import StoreClient
from mlflow_uv.tools.system.content import digests_in
from mlflow_uv.tools.toolbox import Tools, toolbox
from tests import projects
from tests.console import KeptConsole
from tests.unit.tools.layers.test_saved_image import saved

from .images import digest_of

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
MACHINE = os.uname().machine
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
HERE = ARCHITECTURES[MACHINE]


def files_of(machine: str) -> dict[str, Any]:
    """What is read of a base for an architecture (`x86_64`)."""
    return {
        "usr/bin/": None,
        f"usr/bin/python{MINOR}": b"\x7fELF",
        "usr/bin/python3": f"python{MINOR}",
        f"usr/lib/python{MINOR}/os.py": b"name = 'posix'\n",
        f"usr/include/python{MINOR}/patchlevel.h": f'#define PY_VERSION "{MINOR}.7"\n'.encode(),
        f"usr/lib/{machine}-linux-gnu/libc.so.6": b"\0GNU C Library (G 2.36) stable release version 2.36.\n\0",
    }


LOCK_TEXT = f'version = 1\nrequires-python = ">={MINOR}"\n\n[[package]]\nname = "wine"\nsource = {{ virtual = "." }}\n'


@dataclass(frozen=True, kw_only=True)
class TinyRelease:
    """A release in a folder, and the tools of a machine with a home of its own."""

    release: RecomputedRelease
    needs: Needs
    tools: Tools
    scratch: Path

    def with_listed_requirements(self) -> "TinyRelease":
        """The release with the requirements that its model lists now."""
        record = self.release.record
        needs = needs_of(self.release.model, wheels=record.requirements.wheels, python=record.model.python)
        return replace(self, needs=needs)

    def compose(self, base_name: str) -> tuple[ComposedServingImage, ComposableBase]:
        """The image on a base that a registry has; there is no engine."""
        self.scratch.mkdir()
        wanted = WantedBase(name=base_name, architecture=HERE)
        base = read_base(wanted, self.needs, self.scratch / "base", self.tools)
        (image,) = compose_release(self.release, [self.composition(base)], self.scratch, self.tools)
        return image, base

    def compose_all(
        self,
        base_name: str,
        *platforms: str,
        layout: Path | None = None,
        offer: LayerOffer = NO_OFFER,
        compression: Compression = Compression.GZIP,
        lists_only: bool = False,
    ) -> ReleaseImages:
        """The images for platforms (`linux/arm64`) on a base that a registry or a layout has; there is no engine."""
        self.scratch.mkdir()
        bases = [
            replace(base, layout=layout) for base in wanted_bases(base_name, platforms, self.needs, None, self.tools)
        ]
        wanted = WantedImages(
            release=self.release,
            bases=tuple(bases),
            needs=self.needs,
            serving=Serving.LOCKED,
            offer=offer,
            lists_only=lists_only,
            compression=compression,
        )
        return compose_platforms(wanted, self.scratch, self.tools)

    def offer(self, layers_from: str, tag: str) -> LayerOffer:
        """The image whose layers may be taken for one that gets a tag."""
        return layer_offer(layers_from, tag, self.release.record, None, self.tools)

    def composition(self, base: ComposableBase) -> Composition:
        """What is composed on a base."""
        return composition_of(self.release, self.needs, base, Serving.LOCKED, self.tools)

    def with_image(self, name: str, image: ComposedServingImage, base: ComposableBase) -> RecomputedRelease:
        """The release with a record of this image, as if it had been composed on a base, and pushed."""
        compositions = (self.composition(base),)
        return self.with_images(name, ReleaseImages(compositions=compositions, composed=(image,), native=0))

    def with_images(self, name: str, images: ReleaseImages) -> RecomputedRelease:
        """The release with a record of these images."""
        base = images.compositions[images.shown].base
        recorded = ImageLink(
            kind="image",
            id=images.composed[images.shown].image.id,
            tag=name,
            base=base.described.name,
            base_digest=base.described.digest,
            digest=images.image.digest,
            composition=composition_link(self.release, images.compositions, images.composed, self.tools),
        )
        return replace(self.release, record=replace(self.release.record, image=recorded))


@contextmanager
def tiny_release(
    folder: Path, *, answer: str = "red", wheel_answer: str = "", variables: Mapping[str, str] | None = None
) -> Iterator[TinyRelease]:
    """A model that answers so, with its lock and its wheel, on a machine without an engine."""
    model = folder / "model"
    modules = {"text": wheel_answer} if wheel_answer else {}
    wheel = projects.wheel(folder / "built", "grape", "1.0", (), **modules)
    link = WheelLink(name="grape", version="1.0", file=wheel.name, sha256=digest_of(wheel), marker="")
    texts = {
        "MLmodel": f"answer: {answer}\n",
        LOCK: LOCK_TEXT,
        MANIFEST: f'[project]\nname = "wine"\nversion = "1"\nrequires-python = ">={MINOR}"\n',
        HASHED: f"{WHEELS}/{wheel.name} --hash=sha256:{link.sha256}\n",
    }
    for name, text in texts.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(text)
    (model / WHEELS).mkdir()
    (model / WHEELS / wheel.name).write_bytes(wheel.read_bytes())
    digest = tree_digest(digests_in(model))
    needs = needs_of(model, wheels=(link,), python=f"{MINOR}.1")
    assert needs.requirements is not None
    record = Record(
        release_key="k",
        commit=Commit(sha="c" * 40, project="."),
        lock=LockLink(sha256="l", uv="1"),
        selection=Selection(),
        requirements=RequirementsLink(sha256=needs.requirements.digest, source="lock", wheels=(link,)),
        model=ModelLink(
            model_id="m", run_id="r", name="wine", sha256=digest, store="s",
            python=f"{MINOR}.1", mlflow="3",
        ),
    )  # fmt: skip
    release = RecomputedRelease(record=record, client=cast("StoreClient", None), project=None, model=model, checks=())
    own = {"MLFLOW_UV_HOME": str(folder / "home"), "DOCKER_CONFIG": str(folder)}
    host = Host.of({**os.environ, **own, **(variables or {})}, folder=folder, python=Path(sys.executable))
    with toolbox(host, console=KeptConsole()) as tools:
        yield TinyRelease(release=release, needs=needs, tools=tools, scratch=folder / "scratch")


def push_base(name: str, folder: Path, tools: Tools, *layers: Mapping[str, Any]) -> None:
    """Put a base into a registry, which has what is read of one and nothing that runs; `layers` are on top."""
    image = saved(folder, files_of(MACHINE), *layers, architecture=HERE)
    tools.registries.push(name, composed(image.base, (), {}), image.archives)


def push_bases(name: str, folder: Path, tools: Tools) -> None:
    """Put a base for each architecture into a registry, under one name."""
    bases = [
        saved(folder / machine, files_of(machine), architecture=architecture)
        for machine, architecture in ARCHITECTURES.items()
    ]
    archives = {digest: archive for base in bases for digest, archive in base.archives.items()}
    tools.registries.push(name, indexed([composed(base.base, (), {}) for base in bases]), archives)
