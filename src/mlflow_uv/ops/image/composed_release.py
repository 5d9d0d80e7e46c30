"""Composes the serving image of a release from the wheels of its lock, or installs them for a process without one."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...command.errors import StepError, ToolFailed
from ...command.inputs import Serving
from ...command.wording import Wording, joined, option
from ...core.image.composition import ZSTD_TYPE, ComposedImage, Compression, ImageIndex, indexed
from ...core.image.dockerfile import MODEL
from ...core.image.labels import BuildProvenance, image_labels
from ...core.image.layer_grouping import MOST_LAYERS, LayerGroup, SizedPackage, grouped, sized
from ...core.lock.closure import selected_roots
from ...core.lock.install_findings import NOT_WHEELS
from ...core.lock.lockfile import Lockfile, read_lockfile
from ...core.lock.package_names import canonicalize_name
from ...core.lock.placement import Placement, Uncovered, place
from ...core.lock.targets import System, Target
from ...core.model import model_files
from ...core.model.model_files import ServedFiles, hashed_lines
from ...core.release.record import CompositionLink, ImageLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import BuiltImage, Engine
from ...tools.layers.package_layers import WantedPackages
from ...tools.layers.program import program_identity
from ...tools.layers.registry_layers import RegistryLayers
from ...tools.oci.image_layout import write_archive
from ...tools.oci.uploads import BlobFile
from ...tools.project.files import read_manifest, table_of
from ...tools.system.archive_content import digests_in_archive
from ...tools.toolbox import Tools
from ...tools.uv.messages import InterpreterMissing, SourceNotBuilt
from ..lineage.recompute import RecomputedRelease
from .build import provenance_of, require_exact
from .builders import (
    ENGINE_BUILDS,
    BaseNotComposable,
    ModelNotComposable,
    PackageNotComposable,
    PythonNotComposable,
    without_wheel,
)
from .composed import ComposedServingImage, ImageParts, compose_image, own_layers
from .composed_base import ComposableBase
from .composed_sources import (
    ExaminedPackages,
    built_packages,
    examined_packages,
    is_built_here,
    require_loadable,
    unloadable_libraries,
)
from .environment import Needs, indexes_for, install, inventory_digest
from .layers import parts_of

# Of the base's bytecode, the environment, links to shared libraries, the server and the model.
_OTHER_LAYERS = 5


@lazy_dataclass
class Composition:
    """
    What is composed: the needs of the served model, the base image, and the facts in its labels.

    `python` is the interpreter that compiles, or its version. Only if it `builds`, packages are built from source.
    Layers that are `offered` are taken where this machine has none. `verify` is the value of VERIFY in the
    configuration.
    """

    needs: Needs
    base: ComposableBase
    provenance: BuildProvenance
    python: str
    builds: bool = False
    offered: RegistryLayers | None = None
    compression: Compression = Compression.GZIP
    verify: str = ""


@lazy_dataclass
class ReleaseImages:
    """
    The images of a release, one for each platform, and what each is composed of.

    `native` is the position of the image that this machine, or its engine, can start; None if there is none.
    """

    compositions: tuple[Composition, ...]
    composed: tuple[ComposedServingImage, ...]
    native: int | None

    @property
    def image(self) -> ComposedImage | ImageIndex:
        """What a tag names: the image, or the index of several."""
        images = [each.image for each in self.composed]
        return images[0] if len(images) == 1 else indexed(images)

    @property
    def archives(self) -> Mapping[str, Path]:
        """The layers of all images by their digests."""
        return {digest: archive for each in self.composed for digest, archive in each.archives.items()}

    @property
    def contents(self) -> Mapping[str, BlobFile]:
        """The same, where only the list of a layer was read with what downloads it."""
        return {digest: source for each in self.composed for digest, source in each.contents.items()}

    @property
    def shown(self) -> int:
        """The position of the image that a report describes: that of this machine if there is one."""
        return self.native or 0


def compose_release(
    release: RecomputedRelease, compositions: Sequence[Composition], scratch: Path, tools: Tools
) -> tuple[ComposedServingImage, ...]:
    """
    Compose the image of a release for each platform; `scratch` is a folder for what is not cached.

    They have the same needs, Python and compression. Raises BadInput for a model without a lock with hashes, ToolFailed
    for a package without a wheel, before anything is composed, NoSpace.
    """
    needs = compositions[0].needs
    lock, built = _require_composable(needs, release, [composition.base for composition in compositions], tools)
    lines = _lines(needs)
    sizes = {package.name: package for package in sized(lock.packages)}
    groups = grouped(sizes.get(name, SizedPackage(name=name, size=0)) for name in lines)
    for composition in compositions:
        _require_few_layers(groups, composition.base)
    idle = parts_of(needs, release, layered=False)[0].idle
    needs.list.unlink(missing_ok=True)  # not a file of the model
    context, work = scratch / "context", scratch / "work"
    context.mkdir(parents=True)
    tools.contexts.write_layers(context, needs.model)
    work.mkdir()
    if (wheels := needs.model / model_files.WHEELS).is_dir():
        shutil.copytree(wheels, work / model_files.WHEELS, copy_function=shutil.copyfile)
    own = own_layers(context, scratch, compositions[0].compression)
    images = []
    for at, (composition, sources) in enumerate(zip(compositions, built, strict=True)):
        base, folder = composition.base, scratch / f"platform-{at}"
        folder.mkdir()
        packages = WantedPackages(
            groups=groups,
            lines=lines,
            folder=work,
            idle=idle,
            python=composition.python,
            platform=base.platform,
            indexes=indexes_for(needs, tools),
            built=sources,
            builds=composition.builds,
            compression=composition.compression,
        )
        parts = ImageParts(
            base=base.image,
            python=base.python,
            loader=base.loader,
            packages=packages,
            own=own,
            labels=image_labels(release.record, composition.provenance),
            offered=composition.offered,
            verify=composition.verify,
        )
        with _made_here(needs):
            image = compose_image(parts, folder, tools)
        images.append(_loadable(image, base, examined_packages(sources, needs.wheels)))
    return tuple(images)


def _loadable(image: ComposedServingImage, base: ComposableBase, examined: ExaminedPackages) -> ComposedServingImage:
    """The image with what is to be said of its compiled code. Raises BaseImageUnfit for code that was made here."""
    code = image.libraries.code
    unloadable = unloadable_libraries(code, base)
    require_loadable(unloadable, examined, base)
    return replace(image, built=built_packages(code.needed, examined), unloadable=unloadable)


def composition_of(
    release: RecomputedRelease, needs: Needs, base: ComposableBase, serving: Serving, tools: Tools
) -> Composition:
    """Return what is composed for a model of this checkout. Raises NotComposable, ToolFailed."""
    with _made_here(needs):
        python = model_python(release, needs, tools)
    return Composition(
        needs=needs,
        base=base,
        provenance=provenance_of(release, base.described, serving, tools),
        python=python,
        builds=True,
    )


def composition_link(
    release: RecomputedRelease,
    compositions: Sequence[Composition],
    composed: Sequence[ComposedServingImage],
    tools: Tools,
) -> CompositionLink:
    """Return what the digest of composed images depends on, beside the links of the record."""
    version, provenance, compression = release.record.version, compositions[0].provenance, compositions[0].compression
    return CompositionLink(
        program=program_identity(tools.host.ours),
        uv=tools.uv.own_version() or "",
        python=composed[0].packages.python,
        architectures=tuple(sorted(composition.base.described.architecture for composition in compositions)),
        layers_of_base=compositions[0].base.origin.value,
        version="" if version is None else version.version,
        created=provenance.created,
        source=provenance.source,
        compression="" if compression is Compression.GZIP else compression.value,
        layers_from=next((image.taken_from for image in composed if image.taken), ""),
    )


def model_python(release: RecomputedRelease, needs: Needs, tools: Tools) -> str:
    """Return the interpreter that trained if it is here: uv may resolve a version number to another, or to none."""
    if release.project is None:
        return tools.environments.interpreter(needs.minor)
    return str(tools.environments.project(release.project, release.record.selection))


def process_link(needs: Needs, release: RecomputedRelease, reason: str, tools: Tools) -> ImageLink:
    """Return the environment as the record names it, with the reason why there is no image. Raises ChainBroken."""
    python = model_python(release, needs, tools)
    with tools.console.group("environment that serves the model"):
        interpreter, inventory = install(needs, tools, python=python)
    require_exact(needs, inventory)
    folder = str(interpreter.parents[1])
    return ImageLink(kind="process", id=inventory_digest(inventory), tag=folder, base="", base_digest="", reason=reason)


@contextmanager
def handed_over(composed: ComposedServingImage, engine: Engine, scratch: Path) -> Iterator[BuiltImage]:
    """
    Load an image into an engine, without a name; it is removed if the block raises and nothing else names it.

    Docker gets only the layers that it lacks. Raises ToolFailed, NoSpace.
    """
    archive = scratch / "image.tar"
    held = engine.held_layers(parse_json(composed.image.config)["rootfs"]["diff_ids"])
    with _explaining(composed, engine):
        try:
            _load(composed, engine, archive, held=held)
        except ToolFailed:
            if not held:
                raise
            _load(composed, engine, archive, held=0)  # a layer was removed meanwhile, or it takes whole images only
    # By its configuration, or by its manifest in engines with a containerd store.
    image = engine.image(composed.image.id) or engine.image(composed.image.digest)
    if image is None:
        raise ToolFailed(what="the image was loaded but cannot be found", why=f"{engine.name} gave it another id")
    try:
        yield image
    except BaseException:
        engine.untag(image.id)
        raise


@contextmanager
def _explaining(composed: ComposedServingImage, engine: Engine) -> Iterator[None]:
    """Name the compression if an engine does not load an image with layers that not every engine reads."""
    try:
        yield
    except ToolFailed as error:
        if all(blob.media_type != ZSTD_TYPE for blob in composed.image.blobs):
            raise
        raise ToolFailed(
            what=f"{engine.name} does not load the image, whose layers are compressed by zstd",
            why=error.why or error.what,
            fix=option("compression", "gzip"),
        ) from error


def _load(composed: ComposedServingImage, engine: Engine, archive: Path, *, held: int) -> None:
    write_archive(archive, composed.image, composed.archives, held=held)
    try:
        engine.load(archive)
    finally:
        archive.unlink()


def composed_inventory(composed: ComposedServingImage, base: ComposableBase) -> str:
    """
    Return what is in an image as serving/inventory.py prints it there, from its layers alone.

    Packages and model are read from the archives that are pushed. No module of the base comes before one of a package:
    the environment has no other packages, and the server is started isolated from variables.
    """
    files = (path for layer in composed.packages.layers for path in layer.files)
    folders = {path.split("/")[-2] for path in files if path.endswith(".dist-info/METADATA")}
    pairs = (folder.removesuffix(".dist-info").partition("-") for folder in folders)
    model = composed.archives[composed.image.blobs[-1].digest]
    contents = {
        "python": base.python.version,
        "marker_environment": dict(_target(base).environment),
        "installed": sorted((canonicalize_name(name), version) for name, _, version in pairs),
        "elsewhere": [],
        "serves": MODEL,
        "model": [(str(path), digest) for path, digest in digests_in_archive(model, PurePosixPath(MODEL))],
    }
    return json.dumps(contents)


@contextmanager
def _made_here(needs: Needs) -> Iterator[None]:
    """Raise what this machine lacks, and a base image or its engine may have, as NotComposable."""
    try:
        yield
    except SourceNotBuilt as error:
        raise PackageNotComposable(
            what=f"`{error.package}` has no wheel and cannot be built on this machine, so no image can be composed",
            why=error.why,
            fix=Wording("install here what its build needs, or ", ENGINE_BUILDS),
        ) from error
    except InterpreterMissing as error:
        raise PythonNotComposable(
            what=f"there is no Python {needs.minor} on this machine, so no image can be composed",
            why=error.why,
            fix=Wording(f"uv python install {needs.minor}, or ", ENGINE_BUILDS),
        ) from error


def _target(base: ComposableBase) -> Target:
    minor, _, patch = base.python.version.removeprefix("3.").partition(".")
    return Target(
        system=System.LINUX,
        machine=base.machine,
        minor=int(minor),
        patch=int(patch) if patch.isdecimal() else None,
        level=base.glibc,
    )


def _lines(needs: Needs) -> dict[str, tuple[str, ...]]:
    """The requirements of each package; a package that is locked more than once has several, with markers."""
    assert needs.requirements is not None  # noqa: S101  # _require_composable checked it
    names = [*(pin.name for pin in needs.requirements.pins), *(canonicalize_name(wheel.name) for wheel in needs.wheels)]
    served = ServedFiles(requirements=needs.requirements, wheels=needs.wheels, python=needs.python)
    lines: dict[str, tuple[str, ...]] = {}
    for name, line in zip(names, hashed_lines(served), strict=True):
        lines[name] = (*lines.get(name, ()), line)
    return lines


def _require_composable(
    needs: Needs, release: RecomputedRelease, bases: Sequence[ComposableBase], tools: Tools
) -> tuple[Lockfile, tuple[frozenset[str], ...]]:
    """The lock of the model, and what is built from source for each base, if the rest are wheels with hashes."""
    lock_file = release.model / model_files.LOCK
    if needs.requirements is None or not lock_file.is_file():
        raise ModelNotComposable(
            what="an image can only be composed for a model that was logged with its lock",
            why="the requirements of this model were inferred by MLflow",
            fix=joined(", or ", (option("requirements", "lock"), ENGINE_BUILDS)),
        )
    lock = read_lockfile(lock_file.read_bytes())
    names = {pin.name for pin in needs.requirements.pins}
    built = []
    for base in bases:
        sources = [each for each in _placed(lock, release, base) if each.verdict in NOT_WHEELS]
        sources = [each for each in sources if each.package.name in names]
        if refused := next((each for each in sources if not is_built_here(each, tools)), None):
            raise without_wheel(refused)
        built.append(frozenset(each.package.name for each in sources))
    if lacking := [pin.name for pin in needs.requirements.pins if not pin.hashes]:
        raise ModelNotComposable(
            what="an image can only be composed from packages with hashes",
            why=f"the lock has none for {', '.join(lacking)}",
            fix=Wording(ENGINE_BUILDS, ", or install them from an index, then uv lock"),
        )
    return lock, tuple(built)


def _require_few_layers(groups: Sequence[LayerGroup], base: ComposableBase) -> None:
    """Raise BaseNotComposable for a base whose layers, with all of ours, are more than engines accept."""
    below = len(base.image.base.layers)
    if below + len(groups) + _OTHER_LAYERS > MOST_LAYERS:
        raise BaseNotComposable(
            what=f"the base image `{base.described.name}` has too many layers to compose an image on it",
            why=f"it has {below} of the {MOST_LAYERS} that engines accept, and the packages need {len(groups)}",
            fix=Wording(ENGINE_BUILDS, ", or ", option("base-image", "NAME"), " with fewer layers"),
        )


def _placed(lock: Lockfile, release: RecomputedRelease, base: ComposableBase) -> tuple[Placement, ...]:
    """The packages of the lock on the base; none if the lock does not say, and uv then refuses what has no wheel."""
    name = table_of(read_manifest(release.model / model_files.MANIFEST), "project").get("name")
    try:
        roots = selected_roots(lock, release.record.selection, name=None if name is None else str(name))
        placements = place(lock, roots, _target(base))
    except (StepError, ValueError):
        return ()
    return () if isinstance(placements, Uncovered) else placements
