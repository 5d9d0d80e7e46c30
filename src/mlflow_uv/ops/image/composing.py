"""Composes the image of a release, verifies it, and hands it to an engine, a registry or a folder."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import BadInput
from ...command.report import Finding, Table
from ...command.wording import option
from ...core.image.composition import Blob
from ...core.image.dockerfile import Recipe, render_dockerfile
from ...core.image.labels import image_labels
from ...core.image.reference import image_reference
from ...core.release.record import ImageLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.build_context import ComposedContents
from ...tools.engines.engine import Engine
from ...tools.oci.image_layout import written_layout
from ...tools.system.disk_errors import disk_errors
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease
from .build import examine, image_name
from .builders import ComposeRequest
from .composed import ComposedServingImage
from .composed_base import ComposableBase, LayerOrigin, WantedBase, wanted_bases
from .composed_platforms import WantedImages, compose_platforms, platform_findings, require_kept, require_layers
from .composed_push import layer_sender, push_composed, require_push, sending_layers
from .composed_release import composition_link, handed_over
from .composed_report import composed_sizes
from .environment import Needs
from .layer_offer import layer_offer
from .layers import needs_for
from .lookup import name_taken
from .unpacked import keep_packages

LAYERS = "layers"  # the folder of a build context


@lazy_dataclass
class KeptImage:
    """A composed image that was kept: as the record names it, its packages, its size and what there is to report."""

    link: ImageLink
    inventory: str
    size: int
    summary: str
    findings: tuple[Finding, ...]
    sizes: Table


@lazy_dataclass
class ComposedContext:
    """The Dockerfile of a build context of layers, the name of the base, and what there is to report."""

    dockerfile: str
    base: str
    findings: tuple[Finding, ...]


def compose_and_keep(
    request: ComposeRequest, release: RecomputedRelease, engine: Engine | None, tools: Tools
) -> KeptImage:
    """
    Compose, verify, write and push the image.

    Raises NotComposable before anything is written, loaded or pushed; ChainBroken, ToolFailed, NoSpace.
    """
    needs, tag = needs_for(release, request.serving), image_name(request.name, release.record)
    bases = _wanted_bases(request, needs, engine, tools)
    if not request.push and request.oci_layout is None:
        require_kept(bases, engine, tools)
    if request.push:
        require_push(tag, tools, engine=engine)
    offer = layer_offer(request.layers_from, tag, release.record, release.project, tools)
    with (
        TemporaryDirectory(prefix="mlflow-uv-compose-") as folder,
        disk_errors("the image", Path(folder), fix="free space there, or set TMPDIR to a larger disk"),
        tools.console.group(f"compose {tag}"),
        ExitStack() as stack,
    ):
        scratch, digest = Path(folder), ""
        # An engine examines the image before anything of it is sent, and a folder is written before.
        sends = request.push and engine is None and request.oci_layout is None
        early = stack.enter_context(sending_layers(tag, tools)) if sends else None
        wanted = WantedImages(
            release=release,
            bases=bases,
            needs=needs,
            serving=request.serving,
            offer=offer,
            lists_only=sends,
            compression=request.compression,
            verify=request.verify,
            preparation=request.preparation,
            on_layer=None if early is None else layer_sender(early),
        )
        images = compose_platforms(wanted, scratch, tools)
        composition, composed = images.compositions[images.shown], images.composed[images.shown]
        base = composition.base
        engine = None if images.native is None else engine
        pushing = tools if request.push else None
        taken = name_taken(tag, request.name, release.record, engine, pushing)
        findings = (*offer.findings, *platform_findings(images, loaded=engine is not None), *taken)
        image_id, size = composed.image.id, sum(blob.size for blob in composed.image.blobs)
        inventory = require_layers(images, release.record, needs, loaded=engine is not None)
        if engine is None and images.native is not None:
            keep_packages(composed, composition.python, tools)
        if engine is not None:
            loaded = stack.enter_context(handed_over(composed, engine, scratch))
            image_id, size = loaded.id, loaded.size
            inventory, found = examine(loaded, base.described, release.record, needs=needs, engine=engine, tools=tools)
            findings += found
            engine.tag(loaded.id, tag)
        with ExitStack() as writing:
            # Its name comes after the push: the folder has to be new, also when a failed push is repeated.
            if request.oci_layout is not None:
                served_tag = image_reference(tag).served_tag
                writing.enter_context(written_layout(request.oci_layout, images.image, images.archives, tag=served_tag))
            if request.push:
                sources = {digest: each.taken_from for each in images.composed for digest in each.downloads}
                digest = push_composed(tag, images.image, images.contents, tools, taken=sources, early=early)
    link = ImageLink(
        kind="image",
        id=image_id,
        tag=tag,
        base=base.described.name,
        base_digest=base.described.digest,
        serving=request.serving.value,
        engine="" if engine is None else engine.name,
        digest=digest,
        composition=composition_link(release, images.compositions, images.composed, tools),
        verify=request.verify,
    )
    return KeptImage(
        link=link,
        inventory=inventory,
        size=size,
        summary=_summary(tag, composed),
        findings=findings,
        sizes=composed_sizes(composed, base),
    )


def _wanted_bases(request: ComposeRequest, needs: Needs, engine: Engine | None, tools: Tools) -> tuple[WantedBase, ...]:
    bases = wanted_bases(request.base, request.platforms, needs, engine, tools)
    return tuple(replace(base, layout=request.base_layout) for base in bases)


def compose_context(
    request: ComposeRequest, folder: Path | None, release: RecomputedRelease, engine: Engine | None, tools: Tools
) -> ComposedContext:
    """
    Compose the image, and write its layers to a new folder, with a Dockerfile that adds them to the base.

    Its packages and its model are compared in the layers themselves, which are compressed by gzip, whatever is
    requested. Raises as `compose_and_keep`, and BadInput for several platforms.
    """
    needs, tag = needs_for(release, request.serving), image_name(request.name, release.record)
    if len(request.platforms) > 1:
        raise BadInput(
            what="a build context of layers is for one platform",
            why=f"`platforms` are {', '.join(request.platforms)}, whose layers differ",
            fix=option("platforms", request.platforms[0]),
        )
    bases = _wanted_bases(request, needs, engine, tools)
    with (
        TemporaryDirectory(prefix="mlflow-uv-compose-") as place,
        disk_errors("the image", Path(place), fix="free space there, or set TMPDIR to a larger disk"),
        tools.console.group(f"compose {tag}"),
    ):
        wanted = WantedImages(release=release, bases=bases, needs=needs, serving=request.serving, verify=request.verify)
        images = compose_platforms(wanted, Path(place), tools)
        (composition,), (composed,) = images.compositions, images.composed
        require_layers(images, release.record, needs, loaded=False)
        base = composition.base.described
        layers = {
            f"{LAYERS}/{at:03}-{_file_name(name)}.tar.gz": composed.archives[blob.digest]
            for at, (name, blob) in enumerate(_own_layers(composed), 1)
        }
        recipe = Recipe(
            base=from_base(composition.base),
            layers=tuple(layers),
            variables=base.variables,
            verify=request.verify,
            labels=image_labels(release.record, composition.provenance),
        )
        contents = ComposedContents(dockerfile=render_dockerfile(recipe), readme=_readme(base.name), layers=layers)
        if folder is not None:
            tools.contexts.write_composed(folder, contents)
    findings = platform_findings(images, loaded=False)
    return ComposedContext(dockerfile=contents.dockerfile, base=base.name, findings=findings)


def from_base(base: ComposableBase) -> str:
    """Return the name of a base for a Dockerfile: by its digest, unless only an engine has it under this one."""
    name = base.described.name
    if base.origin is LayerOrigin.ENGINE or "@" in name:
        return name
    return f"{name}@{base.described.digest}"


def _own_layers(composed: ComposedServingImage) -> tuple[tuple[str, Blob], ...]:
    """The layers above those of the base, lowest first, with their names in the history of the image."""
    count = composed.own_layers
    history = parse_json(composed.image.config)["history"][-count:]
    return tuple(zip((str(step["created_by"]) for step in history), composed.image.blobs[-count:], strict=True))


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "layer"


def _readme(base: str) -> str:
    return f"""# An image on {base}

Build it in this folder: `docker build .`, or `podman build --format=docker .`. Nothing is installed or started in the
build, which needs no network but for the base image. `{LAYERS}` has its layers, lowest first.
"""


def _summary(tag: str, composed: ComposedServingImage) -> str:
    packages = composed.packages
    known = f"{packages.reused} of them cached"
    taken = f", {len(composed.taken)} taken from the registry" if composed.taken else ""
    return f"image {tag}, composed of {len(packages.layers)} layers of packages, {known}{taken}"
