"""Composes a serving image from a saved base, the layers of its packages, and the archives of server and model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from ...command.errors import ToolFailed
from ...command.report import Finding, Severity
from ...core.image.composition import BASE_LIBRARY, BaseLayers, ComposedImage, Compression, LayerBlob, composed
from ...core.image.dockerfile import MODEL_LAYER, SERVER_LAYER
from ...core.release.digests import canonical, sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.layers.archive import compress_archive, compressor_identity, write_layer
from ...tools.layers.cache import CachedLayer, LayerCache
from ...tools.layers.compiler import Compiler
from ...tools.layers.environment import environment_files, library_files
from ...tools.layers.layer_contents import LayerContents
from ...tools.layers.loader import Loader
from ...tools.layers.package_layers import FORMAT, PackageLayers, PackagesAsLayers, WantedPackages
from ...tools.layers.registry_layers import RegistryLayers
from ...tools.layers.saved_image import BasePython, SavedImage
from ...tools.oci.uploads import BlobFile
from ...tools.toolbox import Tools
from .composed_libraries import SharedLibraries, library_links, shared_libraries
from .composed_sources import BuiltPackage, UnloadableLibrary

ArchivedLayer = tuple[LayerBlob, Path]


@lazy_dataclass
class PackageParts:
    """
    The layers of a base's bytecode and of packages, made for `wanted` packages on a base, and their libraries.

    `remade` is the number of cached layers that were changed, and made again.
    """

    wanted: WantedPackages
    base: BaseLayers
    library: ArchivedLayer
    packages: PackagesAsLayers
    libraries: SharedLibraries
    remade: int

    def are_for(self, wanted: WantedPackages, base: BaseLayers) -> bool:
        """Whether they are what would be made for these packages on this base."""
        return have_same_layers(self.wanted, wanted) and self.base == base


def have_same_layers(wanted: WantedPackages, other: WantedPackages) -> bool:
    """Whether the same layers are made for them: only the folder of a model's wheels may be another."""
    return wanted == replace(other, folder=wanted.folder)


@lazy_dataclass
class ImageParts:
    """
    What an image is composed of.

    `python` is that of the base. `own` are the layers of server and model, see `own_layers`. `offered` are layers of
    another image, which are taken where this machine has none, and `prepared` parts are used if they are what is
    wanted. `verify` is the value of VERIFY in the configuration.
    """

    base: SavedImage
    python: BasePython
    loader: Loader
    packages: WantedPackages
    own: tuple[ArchivedLayer, ...]
    labels: Mapping[str, str]
    offered: RegistryLayers | None = None
    prepared: Callable[[WantedPackages, BaseLayers], PackageParts | None] | None = None
    verify: str = ""


@lazy_dataclass
class ComposedServingImage:
    """
    A composed image, the archives of its layers by their digests, and the layers of its packages.

    `own_layers` is the number of layers above those of the base, `built` are packages that came from source,
    `unloadable` are libraries of packages that the base cannot load, and `remade` is the number of cached layers that
    were changed, and made again. `taken` are the names of the layers that another image had, which `taken_from` names,
    and `not_taken` says why others could not be read. `downloads` download the archives of the taken layers of which
    only the list was read, by their digests.
    """

    image: ComposedImage
    archives: Mapping[str, Path]
    packages: PackagesAsLayers
    libraries: SharedLibraries = field(default_factory=SharedLibraries)
    own_layers: int = 0
    built: tuple[BuiltPackage, ...] = ()
    unloadable: tuple[UnloadableLibrary, ...] = ()
    remade: int = 0
    taken: tuple[str, ...] = ()
    taken_from: str = ""
    not_taken: str = ""
    downloads: Mapping[str, Callable[[], Path]] = field(default_factory=dict)

    @property
    def contents(self) -> Mapping[str, BlobFile]:
        """The archives, or for one that is not on this machine what downloads it, by their digests."""
        return {**self.archives, **self.downloads}


def compose_image(parts: ImageParts, scratch: Path, tools: Tools) -> ComposedServingImage:
    """
    Compose the image; archives that are not cached are written to `scratch`.

    Nothing of the base is executed. Raises ToolFailed, NoSpace.
    """
    made = parts.prepared(parts.packages, parts.base.base) if parts.prepared and parts.offered is None else None
    if made is None:
        made = make_package_parts(parts.base, parts.python, parts.loader, parts.packages, tools, offered=parts.offered)
    packages, libraries = made.packages, made.libraries
    layers = [
        made.library,
        _environment(parts, scratch),
        *((cached.layer, cached.archive) for cached in packages.layers),
        *_linked(libraries, parts, scratch),
        *parts.own,
    ]
    try:
        image = composed(parts.base.base, [layer for layer, _ in layers], parts.labels, verify=parts.verify)
    except ValueError as error:
        raise ToolFailed(what="the base image cannot be used", why=str(error)) from error
    archives = {**parts.base.archives, **{layer.blob.digest: archive for layer, archive in layers}}
    return ComposedServingImage(
        image=image,
        archives=archives,
        packages=packages,
        libraries=libraries,
        own_layers=len(layers),
        remade=made.remade,
        taken=() if parts.offered is None else parts.offered.taken,
        taken_from="" if parts.offered is None else parts.offered.image,
        not_taken="" if parts.offered is None else parts.offered.problem,
        downloads={} if parts.offered is None else parts.offered.downloads,
    )


def make_package_parts(  # noqa: PLR0913  # the parts of a base, and what is made for it
    base: SavedImage,
    python: BasePython,
    loader: Loader,
    wanted: WantedPackages,
    tools: Tools,
    *,
    offered: RegistryLayers | None = None,
    stopped: Callable[[], bool] = lambda: False,
    on_layer: Callable[[CachedLayer], None] = lambda _: None,
) -> PackageParts:
    """
    Make the layers of packages on a base that are not cached, and examine their libraries.

    `on_layer` gets each layer when it is there, see `PackageLayers`. Nothing of the base is executed. Raises ToolFailed
    and NoSpace, and LayersStopped once `stopped` returns true.
    """
    cache = LayerCache(tools.host.cache / "layers")
    maker = PackageLayers(
        tools.uv,
        tools.runner,
        cache,
        describe=tools.libraries.describe,
        on_line=tools.console.foreign,
        offered=offered,
        stopped=stopped,
        on_layer=on_layer,
    )
    # The modules of the library are compiled by one process, which takes as long as many packages.
    tasks: tuple[Callable[[], object], ...] = (
        partial(_library, base, python, wanted, cache, offered, tools),
        partial(maker.layers, wanted),
    )
    library, packages = cast("tuple[ArchivedLayer, PackagesAsLayers]", tools.runner.side_by_side(tasks))
    return PackageParts(
        wanted=wanted,
        base=base.base,
        library=library,
        packages=packages,
        libraries=shared_libraries(packages, loader, tools),
        remade=len(set(cache.changed)),
    )


def changed_layers(composed: Sequence[ComposedServingImage]) -> Iterator[Finding]:
    """Yield a notice if layers in the cache had been changed, which were made again."""
    if remade := sum(image.remade for image in composed):
        changed = "a changed layer was" if remade == 1 else f"{remade} changed layers were"
        yield Finding(
            rule="image-layers-changed",
            severity=Severity.NOTICE,
            what=f"{changed} found in the cache of this program, and not used",
            why="content and recorded digest differ; the image has newly made layers instead",
        )


def own_layers(context: Path, scratch: Path, compression: Compression = Compression.GZIP) -> tuple[ArchivedLayer, ...]:
    """The layers of server and model, from their archives in a build context; the same ones for every platform."""
    layers = (("server", context / SERVER_LAYER), ("model", context / MODEL_LAYER))
    return tuple(
        (compress_archive(name, archive, scratch / f"{name}.layer", compression=compression), scratch / f"{name}.layer")
        for name, archive in layers
    )


def _environment(parts: ImageParts, scratch: Path) -> ArchivedLayer:
    """The layer of the environment without packages."""
    out, files = scratch / "environment.layer", environment_files(parts.python)
    return write_layer("environment", files, out, compression=parts.packages.compression), out


def _linked(libraries: SharedLibraries, parts: ImageParts, scratch: Path) -> Iterator[ArchivedLayer]:
    """A layer with links to shared libraries of packages, whose folder is in the base; none without a link."""
    if links := library_links(libraries, parts.loader):
        out, compression = scratch / "shared-libraries.layer", parts.packages.compression
        existing = frozenset(folder for link in links for folder in link.parents)
        yield write_layer("shared libraries", links, out, existing=existing, compression=compression), out


def _library(  # noqa: PLR0913, PLR0917  # what the layer is a function of, and where it is
    base: SavedImage,
    python: BasePython,
    wanted: WantedPackages,
    cache: LayerCache,
    offered: RegistryLayers | None,
    tools: Tools,
) -> ArchivedLayer:
    """The layer with the bytecode of the base's standard library, a function of the base and the interpreter."""
    with TemporaryDirectory(prefix="mlflow-uv-library-") as folder, ExitStack() as stack:
        scratch = Path(folder)
        on_line, compression = tools.console.foreign, wanted.compression
        compiler = stack.enter_context(
            Compiler.of(wanted.python, scratch / "environment", tools.uv, tools.runner, on_line)
        )
        diff_ids = base.base.config["rootfs"]["diff_ids"]
        key = sha256(
            canonical(
                [
                    "library",
                    FORMAT,
                    compressor_identity(compression),
                    diff_ids,
                    str(python.library),
                    *compiler.identity,
                ]
            )
        )
        cached: CachedLayer | None = cache.find(key)
        if cached is None and offered is not None:
            cached = offered.take({key: BASE_LIBRARY}).get(key)
        if cached is None:
            files = library_files(base, python, compiler, scratch)
            existing = base.tree.folders()
            contents = LayerContents()  # no package brought anything
            write = partial(
                write_layer, BASE_LIBRARY, files, existing=existing, compression=compression, contents=contents
            )
            cached = cache.add(key, write, contents)
    return replace(cached.layer, key=key), cached.archive
