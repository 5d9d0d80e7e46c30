"""Composes the serving image of a release from the wheels of its lock, or installs them for a process without one."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...command.errors import ToolFailed
from ...command.inputs import Serving
from ...command.wording import Wording, option
from ...core.image.composition import ZSTD_TYPE, ComposedImage, Compression, ImageIndex, indexed
from ...core.image.dockerfile import MODEL
from ...core.image.labels import image_labels
from ...core.lock.package_names import canonicalize_name
from ...core.model import model_files
from ...core.release.record import CompositionLink, ImageLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import BuiltImage, Engine
from ...tools.layers.compiler import InterpreterBroken
from ...tools.layers.program import program_identity
from ...tools.oci.image_layout import write_archive
from ...tools.oci.uploads import BlobFile
from ...tools.system.archive_content import digests_in_archive
from ...tools.system.tree_copy import copy_tree
from ...tools.toolbox import Tools
from ...tools.uv.messages import InterpreterMissing, SourceNotBuilt
from ..lineage.recompute import RecomputedRelease
from .build import provenance_of, require_exact
from .builders import (
    ENGINE_BUILDS,
    PackageNotComposable,
    PythonNotComposable,
)
from .composed import ComposedServingImage, ImageParts, compose_image, own_layers
from .composed_base import ComposableBase
from .composed_packages import Composition, package_plan, target_of, wanted_packages
from .composed_sources import (
    ExaminedPackages,
    built_packages,
    examined_packages,
    require_loadable,
    unloadable_libraries,
)
from .environment import Needs, install, inventory_digest


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
    needs, plan = compositions[0].needs, package_plan(release, compositions, tools)
    needs.list.unlink(missing_ok=True)  # not a file of the model
    context, work = scratch / "context", scratch / "work"
    context.mkdir(parents=True)
    tools.contexts.write_layers(context, needs.model)
    work.mkdir()
    if (wheels := needs.model / model_files.WHEELS).is_dir():
        copy_tree(wheels, work / model_files.WHEELS, copy=shutil.copyfile)
    own = own_layers(context, scratch, compositions[0].compression)
    images = []
    for at, (composition, sources) in enumerate(zip(compositions, plan.built, strict=True)):
        base, folder = composition.base, scratch / f"platform-{at}"
        folder.mkdir()
        packages = wanted_packages(plan, composition, sources, work, tools)
        parts = ImageParts(
            base=base.image,
            python=base.python,
            loader=base.loader,
            packages=packages,
            own=own,
            labels=image_labels(release.record, composition.provenance),
            offered=composition.offered,
            prepared=composition.prepared,
            verify=composition.verify,
        )
        with made_here(needs):
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
    with made_here(needs):
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
        "marker_environment": dict(target_of(base).environment),
        "installed": sorted((canonicalize_name(name), version) for name, _, version in pairs),
        "elsewhere": [],
        "serves": MODEL,
        "model": [(str(path), digest) for path, digest in digests_in_archive(model, PurePosixPath(MODEL))],
    }
    return json.dumps(contents)


@contextmanager
def made_here(needs: Needs) -> Iterator[None]:
    """Raise what this machine lacks, and a base image or its engine may have, as NotComposable."""
    try:
        yield
    except SourceNotBuilt as error:
        raise PackageNotComposable(
            what=f"`{error.package}` has no wheel and cannot be built on this machine, so no image can be composed",
            why=error.why,
            fix=Wording("install here what its build needs, or ", ENGINE_BUILDS),
        ) from error
    except InterpreterBroken as error:
        raise PythonNotComposable(what=error.what, why=error.why, fix=ENGINE_BUILDS) from error
    except InterpreterMissing as error:
        raise PythonNotComposable(
            what=f"there is no Python {needs.minor} on this machine, so no image can be composed",
            why=error.why,
            fix=Wording(f"uv python install {needs.minor}, or ", ENGINE_BUILDS),
        ) from error
