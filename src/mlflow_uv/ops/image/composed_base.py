"""Reads the base of a composed image from its registry or the engine, and checks that it fits; nothing in it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path, PurePosixPath

from ...command.errors import BaseImageUnfit, ToolFailed
from ...command.report import Finding, Severity
from ...command.wording import Wording, joined, option
from ...core.image.composition import BaseLayers, digest_of
from ...core.image.dockerfile import MODEL, SERVING, VENV
from ...core.image.file_tree import EntryKind
from ...core.image.reference import registry_fix
from ...core.lock.targets import System, machine_name
from ...core.release.digests import canonical, sha256
from ...core.release.record import ImageLink
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import BuiltImage, Engine
from ...tools.layers.base_cache import BaseCache, BaseFacts
from ...tools.layers.loader import Loader, loader_of
from ...tools.layers.saved_image import (
    BasePython,
    SavedImage,
    cxx_versions_of,
    glibc_features_of,
    glibc_of,
    known_image,
    python_of,
    read_pulled,
    read_saved,
)
from ...tools.oci.registries import RegistryImage
from ...tools.oci.repository import RegistryUnanswered
from ...tools.toolbox import Tools
from .base_layouts import absent_from_layout, base_in_layout
from .build import BaseImage, default_base, require_fit, without_python
from .builders import BaseNotComposable, BaseUnread, unreadable_base, unreadable_recorded_base
from .environment import Needs
from .platforms import ARCHITECTURES, architecture_here

# Where the server looks for a model before it takes that of the image (serving/model/model_location.py).
_MOUNTED = PurePosixPath("/opt/ml/model")
# The versions of the GNU C library for which uv has a platform: `uv pip install --help`, `--python-platform`.
_UV_GLIBC = (17, 28, *range(31, 41))


class LayerOrigin(Enum):
    """Where the compressed layers of a base come from: its registry, or an engine's copy that is compressed again."""

    REGISTRY = "registry"
    ENGINE = "engine"


@lazy_dataclass
class ComposableBase:
    """
    A base image whose files were read.

    `machine` is its architecture as wheels name it (`x86_64`), `platform` a target of uv; `features` and `cxx` as in
    BaseFacts. `findings` say where it came from, if that matters.
    """

    described: BaseImage
    image: SavedImage
    python: BasePython
    machine: str
    glibc: tuple[int, int]
    features: frozenset[str]
    cxx: Mapping[str, tuple[int, ...]]
    loader: Loader
    origin: LayerOrigin
    findings: tuple[Finding, ...] = ()

    @property
    def platform(self) -> str:
        """The newest platform of uv whose wheels the base's C library can load."""
        return f"{self.machine}-manylinux_2_{max(minor for minor in _UV_GLIBC if minor <= self.glibc[1])}"


@lazy_dataclass
class _ReadBase:
    """A base and what its files say, the digest that names it, and where its layers come from."""

    image: SavedImage
    facts: BaseFacts
    digest: str
    origin: LayerOrigin
    findings: tuple[Finding, ...] = ()


@lazy_dataclass
class WantedBase:
    """
    The name of a base image, and the architecture (`amd64`) for which it is wanted.

    `engine` is asked which image has the name; its copy of that is used only if the image is for it `alone`. With a
    `layout`, the image is read from that OCI image layout, and neither registry nor engine is asked.
    """

    name: str
    architecture: str
    engine: Engine | None = None
    alone: bool = True
    layout: Path | None = None


def wanted_bases(
    name: str | None, platforms: Sequence[str], needs: Needs, engine: Engine | None, tools: Tools
) -> tuple[WantedBase, ...]:
    """Return the base of each platform (`linux/amd64`); without platforms, that of the engine or this machine."""
    architectures = [platform.rpartition("/")[2] for platform in platforms] or [architecture_here(engine, tools)]
    alone = len(architectures) == 1
    return tuple(
        WantedBase(name=name or default_base(needs), architecture=architecture, engine=engine, alone=alone)
        for architecture in architectures
    )


def read_base(wanted: WantedBase, needs: Needs, scratch: Path, tools: Tools) -> ComposableBase:
    """
    Read a base image and check that it fits; its layers are unpacked to `scratch`.

    An image of a registry is downloaded from there by the digest that the engine has, so that its layers, and the
    digest of what is composed on them, are the same everywhere. Raises BaseImageMissing, BaseImageUnfit.
    """
    return _composable(wanted.name, needs, _read(wanted, scratch, tools))


def keep_base(name: str, architecture: str, scratch: Path, tools: Tools) -> SavedImage | None:
    """
    Read a base image from its registry, so that it is in the cache; it may be unpacked to `scratch`.

    Raises RegistryUnanswered, ToolFailed.
    """
    read = _pulled(name, architecture, scratch, tools)
    return None if read is None else read.image


def with_unpacked(base: ComposableBase, image: SavedImage | None) -> ComposableBase:
    """
    The base with what this process unpacked of its layers before, if the image is that of the base.

    They were compared with the configuration of the image when they were unpacked.
    """
    if image is None or image.base != base.image.base:
        return base
    return replace(base, image=replace(base.image, unpacked=image.unpacked))


def read_recorded_base(
    image: ImageLink, architecture: str, needs: Needs, scratch: Path, tools: Tools
) -> ComposableBase:
    """
    Read the base of a composed image again, by its digest, from where its layers were read.

    Raises BaseImageMissing, NoEngine.
    """
    place = image.base.partition("@")[0]
    name = f"{place}@{image.base_digest}"
    if image.composition is None or image.composition.layers_of_base == LayerOrigin.REGISTRY.value:
        try:
            read = _pulled(name, architecture, scratch, tools)
        except (RegistryUnanswered, ToolFailed) as error:
            fix = error.fix if isinstance(error, ToolFailed) else registry_fix(place, error)
            raise unreadable_recorded_base(image.base, _reason(error), fix=fix) from error
        if read is None:
            why = f"its registry does not have {image.base_digest} for {architecture}"
            raise unreadable_recorded_base(image.base, why, fix=f"push the image of that digest as {place} again")
        return _composable(image.base, needs, read)
    engine = tools.engines.named(image.engine)
    local_image = engine.image(image.base_digest) or engine.image(name)
    if local_image is None:
        why = f"its layers are those that {image.engine} had, which does not have it here"
        raise unreadable_recorded_base(image.base, why, fix=f"do this where {image.engine} has it")
    return _composable(image.base, needs, _saved(local_image, engine, scratch, tools))


def _composable(name: str, needs: Needs, read: _ReadBase) -> ComposableBase:
    """Check that a base image fits. Raises BaseImageUnfit."""
    image, facts = read.image, read.facts
    python, glibc = facts.python, facts.glibc
    if python is None:
        raise without_python(name, needs, why="none is on its PATH with its library beside it")
    require_fit(name, needs, version=python.version, used_folders=facts.used)
    if facts.has_model:
        raise BaseImageUnfit(
            what=f"the base image `{name}` has a model in {_MOUNTED}",
            why="the server would load it in place of this one",
            fix=Wording("another ", option("base-image", "NAME")),
        )
    architecture = str(image.base.config.get("architecture"))
    if glibc is None or glibc[0] != 2 or glibc[1] < _UV_GLIBC[0] or architecture not in ARCHITECTURES.values():  # noqa: PLR2004
        raise BaseNotComposable(
            what=f"no image can be composed on the base image `{name}`",
            why=f"it has no GNU C library of version 2.{_UV_GLIBC[0]} or newer, for x86-64 or ARM",
            fix=joined(", or ", (option("base-image", default_base(needs)), option("builder", "engine"))),
        )
    return ComposableBase(
        described=BaseImage(
            name=name, digest=read.digest, architecture=architecture, variables=frozenset(image.variables)
        ),
        image=image,
        python=python,
        machine=machine_name(architecture, System.LINUX),
        glibc=glibc,
        features=facts.features,
        cxx=facts.cxx,
        loader=facts.loader,
        origin=read.origin,
        findings=read.findings,
    )


def _read(wanted: WantedBase, scratch: Path, tools: Tools) -> _ReadBase:
    name, engine, architecture = wanted.name, wanted.engine, wanted.architecture
    if wanted.layout is not None:
        read = _compressed(base_in_layout(name, wanted.layout, architecture), architecture, scratch, tools)
        if read is None:
            raise absent_from_layout(name, wanted.layout, architecture)
        return read
    local_image = None if engine is None else engine.image(name)
    only_here = name.startswith("sha256:") or (local_image is not None and not local_image.shared)
    usable = engine is not None and wanted.alone and architecture == engine.architecture()
    if engine is not None and only_here:
        if not usable:
            raise unreadable_base(name, f"only {engine.name} has it, and for its own platform alone")
        return _saved(engine.fetch(name), engine, scratch, tools)
    place = name.partition("@")[0]
    reason, request = f"its registry has no such image for {architecture}", None
    try:
        pulled = _pulled(name if local_image is None else f"{place}@{local_image.digest}", architecture, scratch, tools)
    except (RegistryUnanswered, ToolFailed) as error:
        pulled, reason, request = None, _reason(error), _request_of(error)
    if pulled is not None:
        return pulled
    if engine is None or not usable:
        raise unreadable_base(name, reason, request=request)
    finding = Finding(
        rule="base-from-engine",
        severity=Severity.NOTICE,
        what=f"the layers of the base image `{name}` are those that {engine.name} has, compressed again",
        why=f"{reason}; where its registry answers, the image gets another digest, with the same files",
    )
    return replace(_saved(engine.fetch(name), engine, scratch, tools), findings=(finding,))


def _pulled(name: str, architecture: str, scratch: Path, tools: Tools) -> _ReadBase | None:
    """The image as its registry has it; None if that has no such image. Raises RegistryUnanswered, ToolFailed."""
    pulled = tools.registries.pull(name, architecture, BaseCache(tools.host.cache).layers)
    return None if pulled is None else _compressed(pulled, architecture, scratch, tools)


def _compressed(pulled: RegistryImage, architecture: str, scratch: Path, tools: Tools) -> _ReadBase | None:
    """An image whose layers are compressed as a registry has them; None for another architecture."""
    cache = BaseCache(tools.host.cache)
    layers = [blob.digest for blob in pulled.image.layers]
    known_as = sha256(canonical([digest_of(pulled.image.config), layers]))
    known = cache.find(known_as, scratch, verified=pulled.archives)
    if known is None:
        image = read_pulled(pulled.image.config, pulled.image.layers, pulled.archives, scratch)
        facts = _facts_of(image)
        known = cache.add(known_as, image, facts), facts
    image, facts = known
    if image.base.config.get("architecture") != architecture:
        return None  # without an index, an image is returned for any architecture
    return _ReadBase(image=image, facts=facts, digest=pulled.digest, origin=LayerOrigin.REGISTRY)


def _reason(error: RegistryUnanswered | ToolFailed) -> str:
    return error.why if isinstance(error, ToolFailed) else str(error)


def _request_of(error: RegistryUnanswered | ToolFailed) -> RegistryUnanswered | None:
    return error if isinstance(error, RegistryUnanswered) else None


def _saved(local_image: BuiltImage, engine: Engine, scratch: Path, tools: Tools) -> _ReadBase:
    """The image as the engine has it; it is saved once for each id. Raises BaseUnread."""
    name = next(iter(local_image.tags), local_image.id)
    try:
        image, facts = _saved_once(local_image, engine, scratch, tools)
    except ToolFailed as error:
        raise BaseUnread(
            what=f"the files of the base image `{name}` cannot be read", why=error.why, fix=option("base-image", "NAME")
        ) from error
    return _ReadBase(image=image, facts=facts, digest=local_image.digest, origin=LayerOrigin.ENGINE)


def _saved_once(local_image: BuiltImage, engine: Engine, scratch: Path, tools: Tools) -> tuple[SavedImage, BaseFacts]:
    if local_image.empty:  # Docker saves none without a layer
        config = {"architecture": local_image.architecture, "rootfs": {"type": "layers", "diff_ids": []}}
        image = known_image(BaseLayers(config=config, layers=()), {}, scratch)
        return image, _facts_of(image)
    cache = BaseCache(tools.host.cache)
    known = cache.find(local_image.id, scratch)
    if known is None:
        scratch.mkdir(parents=True, exist_ok=True)
        archive = scratch / "saved.tar"
        engine.save(local_image.id, archive)
        try:
            image = read_saved(archive, scratch)
        finally:
            archive.unlink()
        facts = _facts_of(image)
        known = cache.add(local_image.id, image, facts), facts
    return known


def _facts_of(image: SavedImage) -> BaseFacts:
    return BaseFacts(
        python=python_of(image),
        glibc=glibc_of(image),
        features=glibc_features_of(image),
        cxx=cxx_versions_of(image),
        loader=loader_of(image, machine_name(str(image.base.config.get("architecture")), System.LINUX)),
        used=_used(image),
        has_model=any(entry.path.name == "MLmodel" for entry in image.tree.below(_MOUNTED)),
    )


def _used(image: SavedImage) -> tuple[str, ...]:
    """Our folders that have something in the base."""
    return tuple(folder for folder in (VENV, SERVING, MODEL) if _has_content(image, PurePosixPath(folder)))


def _has_content(image: SavedImage, folder: PurePosixPath) -> bool:
    if image.tree.below(folder):
        return True
    entry = image.tree.resolved(folder)
    return entry is not None and entry.kind is not EntryKind.FOLDER
