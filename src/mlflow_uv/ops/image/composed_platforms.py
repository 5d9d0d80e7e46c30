"""Composes the image of a release for each platform, and verifies what no engine here can examine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...command.inputs import Serving
from ...command.report import Finding
from ...command.wording import joined, option
from ...core.image.composition import Compression
from ...core.release.record import Record
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import Engine
from ...tools.layers.cache import CachedLayer
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease
from .build import require_exact, require_model
from .builders import ImagePreparation, ModelNotComposable
from .composed_base import WantedBase, read_base
from .composed_libraries import unexamined_libraries
from .composed_packages import Composition
from .composed_release import ReleaseImages, compose_release, composed_inventory, composition_of
from .composed_report import composed_findings
from .environment import Needs
from .layer_offer import NO_OFFER, LayerOffer, offered_layers
from .platforms import architecture_here


def require_kept(bases: Sequence[WantedBase], engine: Engine | None, tools: Tools) -> None:
    """Raise BadInput for an image that is neither written nor pushed if this machine cannot start it."""
    here = architecture_here(engine, tools)
    if here not in {base.architecture for base in bases}:
        raise ModelNotComposable(
            what="an image for another platform must be pushed, or written as an OCI layout",
            why=f"it is for linux/{bases[0].architecture}, and this machine is linux/{here}",
            fix=joined(", or ", (option("push"), option("oci-layout", "FOLDER"))),
        )


@lazy_dataclass
class WantedImages:
    """
    The images of a release, one on each base.

    Layers of an image that is offered are taken where this machine has none, of which only the lists are read if
    `lists_only` is set. The base and the layers of a `preparation` are used if they are the wanted ones; then
    `on_layer` gets each of these layers when it is there.
    """

    release: RecomputedRelease
    bases: tuple[WantedBase, ...]
    needs: Needs
    serving: Serving
    offer: LayerOffer = NO_OFFER
    lists_only: bool = False
    compression: Compression = Compression.GZIP
    verify: str = ""
    preparation: ImagePreparation | None = None
    on_layer: Callable[[CachedLayer], None] | None = None


def compose_platforms(wanted: WantedImages, scratch: Path, tools: Tools) -> ReleaseImages:
    """
    Read the base of each platform, then compose the images. Nothing is emulated, and nothing of a base is started.

    Raises BaseImageMissing, BaseImageUnfit, BadInput, ToolFailed, NoSpace.
    """
    here = architecture_here(wanted.bases[0].engine, tools)
    compositions = tuple(_composition(base, wanted, scratch, tools) for base in wanted.bases)
    architectures = [base.architecture for base in wanted.bases]
    return ReleaseImages(
        compositions=compositions,
        composed=compose_release(wanted.release, compositions, scratch, tools),
        native=architectures.index(here) if here in architectures else None,
    )


def _composition(base: WantedBase, wanted: WantedImages, scratch: Path, tools: Tools) -> Composition:
    preparation = wanted.preparation
    read = None if preparation is None else preparation.base_for(base, wanted.needs)
    read = read or read_base(base, wanted.needs, scratch / f"base-{base.architecture}", tools)
    return replace(
        composition_of(wanted.release, wanted.needs, read, wanted.serving, tools),
        offered=offered_layers(wanted.offer, base.architecture, tools, lists_only=wanted.lists_only),
        compression=wanted.compression,
        verify=wanted.verify,
        prepared=None if preparation is None else partial(preparation.parts_for, on_layer=wanted.on_layer),
    )


def require_layers(images: ReleaseImages, record: Record, needs: Needs, *, loaded: bool) -> str:
    """
    Return the inventory of the shown image, from its layers; empty if that is `loaded`, and an engine examines it.

    Raises ChainBroken unless each other image has the required packages and the recorded model in its layers.
    """
    shown = ""
    for at, (composition, composed) in enumerate(zip(images.compositions, images.composed, strict=True)):
        if loaded and at == images.native:
            continue
        inventory = composed_inventory(composed, composition.base)
        require_exact(needs, inventory)
        require_model(record, inventory)
        shown = inventory if at == images.shown else shown
    return shown


def platform_findings(images: ReleaseImages, *, loaded: bool) -> tuple[Finding, ...]:
    """Return the findings about bases, files and libraries; `loaded` as in `require_layers`."""
    findings: list[Finding] = []
    for at, (composition, composed) in enumerate(zip(images.compositions, images.composed, strict=True)):
        findings += composed_findings(composed, composition.base)
        if not (loaded and at == images.native):
            findings += unexamined_libraries(composed.libraries, composition.base.described.name)
    different = {(finding.rule, finding.what, finding.why): finding for finding in findings}
    return tuple(different.values())
