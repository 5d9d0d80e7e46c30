"""Builds the serving image, or an environment without an engine, and verifies the packages that it holds."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput, NoEngine
from ..command.inputs import IMAGE, IMAGE_HOST, IMAGE_TAG, EngineInputs, RecordFile, RecordInputs, Serving
from ..command.inputs import EngineChoice as Choice
from ..command.report import Report
from ..command.step import Doc, FixedInRelease, Matching, OneRun, SettingReach, Step
from ..command.wording import Wording, option
from ..core.image.composition import Compression
from ..core.release.record import ImageLink
from ..ops.image.build import (
    BaseImage,
    ImageRequest,
    building,
    default_base,
    examine,
    fill,
    image_name,
    inspect_base,
    left_on_runner,
    plan,
    unhashed,
    without_image,
)
from ..ops.image.builders import (
    Builder,
    ComposeRequest,
    NotComposable,
    PreparationRequest,
    built_instead,
    require_alternative,
    require_composing_inputs,
)
from ..ops.image.layers import needs_for
from ..ops.image.lookup import name_taken
from ..ops.image.preparation import PreparedRelease, prepared_release
from ..ops.image.sbom import layer_sizes, write_sbom
from ..ops.lineage.publication import RecordChange, publish_change
from ..ops.lineage.recompute import RecomputedRelease
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.engines.engine import Cache, Engine
from ..tools.project.output_folder import require_new_folder, require_replaceable_folder
from ..tools.toolbox import Tools
from .register import version_tags

# Our own image names are converted to lower case.
_NAME = rf"{IMAGE_HOST}[A-Za-z0-9]+(?:(?:\.|__?|-+|/)[A-Za-z0-9]+)*{IMAGE_TAG}"
_PLATFORMS = ("linux/amd64", "linux/arm64")


@lazy_dataclass
class ImageInputs(RecordInputs, EngineInputs):
    """Inputs of build-image that a release takes: base, name, engine, platforms and caches."""

    image: Annotated[
        str | None,
        Doc("Image name; defaults to the model name, and a missing tag to the version number."),
        Matching(_NAME, "an image reference"),
    ] = None
    serving: Annotated[
        Serving,
        Doc(
            "Packages to install: `locked` installs the whole lock, `slim` only those that serve this model,"
            " without MLflow's own server."
        ),
    ] = Serving.LOCKED
    platforms: Annotated[
        tuple[str, ...],
        Doc("Target platforms, such as linux/arm64; several platforms are pushed as one multi-platform image."),
    ] = ()
    builder: Annotated[
        Builder,
        Doc(
            "How the image is made: `compose` computes its layers from the wheels of the lock and needs no engine to"
            " push it, `engine` installs the packages in a build of the container engine, `auto` composes where"
            " possible."
        ),
    ] = Builder.AUTO
    base_layout: Annotated[
        Path | None,
        OneRun(),
        Doc("Folder with the base image of a composed image, as an OCI image layout; no registry is asked for it."),
    ] = None
    compression: Annotated[
        Compression,
        Doc("Compression of the layers of a composed image; not every engine and registry takes `zstd`."),
    ] = Compression.GZIP
    layers_from: Annotated[
        str | None,
        OneRun(),
        Matching(rf"auto|{IMAGE}", "`auto` or the reference of an image"),
        Doc(
            "Trusted image whose layers a composed image takes where this machine has none, or `auto` for the last one"
            " in the repository of `image`."
        ),
    ] = None
    push: Annotated[bool, Doc("Push the image to the registry in its name.")] = False
    verify_at_start: Annotated[
        bool,
        Doc("Let the server of the image refuse a model that nobody signed whom `trust` names."),
    ] = False
    cache_from: Annotated[
        str | None, SettingReach.BUILD_CACHE, Doc("Build cache to import, in the engine's `--cache-from` syntax.")
    ] = None
    cache_to: Annotated[
        str | None, SettingReach.BUILD_CACHE, Doc("Build cache to export, in the engine's `--cache-to` syntax.")
    ] = None


@lazy_dataclass
class Inputs(ImageInputs):
    """Inputs of build-image."""

    print_dockerfile: Annotated[
        bool, OneRun(), FixedInRelease(value=False), Doc("Print the Dockerfile instead of building the image.")
    ] = False
    context: Annotated[
        Path | None,
        OneRun(),
        FixedInRelease(None),
        Doc(
            "New folder to write the complete build context to, instead of building the image; with `builder: compose`"
            " it has the layers of the image, and its build installs nothing."
        ),
    ] = None
    oci_layout: Annotated[
        Path | None,
        OneRun(),
        FixedInRelease(None),
        Doc("New folder to write a composed image to, as an OCI image layout that other tools copy and push."),
    ] = None


@lazy_dataclass
class Outputs:
    """Outputs of build-image: the image, or the environment of the serving process."""

    record: RecordFile
    image: Annotated[str, Doc("Name and tag of the image; empty if none was built.")]
    image_id: Annotated[str, Doc("Id of the image, or digest of the installed packages if a process serves the model.")]
    image_digest: Annotated[str, Doc("Digest of the image in the registry; empty if it was not pushed.")]
    image_size: Annotated[int, Doc("Size of the image in bytes, compressed if no engine has it; 0 if none was built.")]
    image_sbom: Annotated[
        Path | None,
        Doc("Path of the CycloneDX SBOM of the packages in the image; empty if the model was logged without the lock."),
    ]
    served_by: Annotated[str, Doc("What serves the model, image or process; empty if nothing was built.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Build, then compare the installed packages with the requirements of the model.

    Raises NoEngine if an engine was requested and none answers, BaseImageMissing, BaseImageUnfit, NoSpace, ToolFailed,
    ChainBroken.
    """
    require_consistent(inputs)
    writes = inputs.print_dockerfile or inputs.context is not None
    request = PreparationRequest(
        builder=inputs.builder, engine=inputs.engine, compose=_compose_request(inputs), layers=not writes
    )
    with prepared_release(inputs, request, tools) as prepared:
        release = prepared.release
        if writes:
            write = _composed_context if inputs.builder is Builder.COMPOSE else _build_context
            return write(inputs, release, tools)
        reason = "a process was requested"
        try:
            engine = None if inputs.engine is Choice.NONE else tools.engines.available(inputs.engine)
        except NoEngine as error:
            if inputs.engine is not Choice.AUTO:
                raise
            engine, reason = None, error.why or error.what
        refused: NotComposable | None = None
        if request.is_composed(has_engine=engine is not None):
            try:
                return _composed(inputs, prepared, engine, tools)
            except NotComposable as error:
                require_alternative(error, inputs.builder, needs_composing=_needs_composing(inputs))
                refused = error
        if engine is None:
            return _in_process(inputs, release, reason if refused is None else f"{reason}; {refused.what}", tools)
        report = _in_image(inputs, release, engine, tools)
        notices = () if refused is None else (built_instead(refused, engine.name),)
        return replace(report, findings=(*notices, *report.findings))


def require_consistent(inputs: Inputs) -> None:
    """Raise BadInput for inputs that contradict each other."""
    if len(set(inputs.platforms)) < len(inputs.platforms):
        raise BadInput(what=f"`platforms` lists a platform twice: {', '.join(inputs.platforms)}")
    for platform in inputs.platforms:
        if platform not in _PLATFORMS:
            supported = ", ".join(_PLATFORMS)
            raise BadInput(what=f"`{platform}` is not a supported platform", why=f"supported are {supported}")
    if len(inputs.platforms) > 1 and not inputs.push and inputs.oci_layout is None:
        raise BadInput(
            what="a multi-platform image must be pushed",
            why=f"`platforms` are {', '.join(inputs.platforms)}",
            fix=Wording(option("push"), ", or one platform"),
        )
    if _needs_composing(inputs) and inputs.builder is Builder.ENGINE:
        written = inputs.oci_layout is not None
        what = "can be written as an OCI layout" if written else "takes its base from an OCI layout"
        raise BadInput(
            what=f"only a composed image {what}",
            why="an engine keeps the image that it builds" if written else "an engine has the base, or pulls it",
            fix=option("builder", "compose"),
        )
    if inputs.compression is not Compression.GZIP and inputs.builder is Builder.ENGINE:
        what = f"`compression: {inputs.compression.value}` has no effect on an image that an engine builds"
        why = "the engine compresses its layers when it pushes them"
        raise BadInput(what=what, why=why, fix=option("builder", "compose"))
    if inputs.builder is Builder.COMPOSE or _needs_composing(inputs):
        require_composing_inputs(_of_engines(inputs))
    if inputs.push and "/" not in (inputs.image or ""):
        what, why = "there is no registry to push the image to", "the image name contains none"
        raise BadInput(what=what, why=why, fix=option("image", "REGISTRY/NAME"))


def _needs_composing(inputs: Inputs) -> bool:
    """Whether an input has no meaning for an image that an engine builds."""
    return inputs.oci_layout is not None or inputs.base_layout is not None


def _of_engines(inputs: Inputs) -> tuple[str, ...]:
    """The given inputs of a build by an engine."""
    return tuple(name.replace("_", "-") for name in ("cache_from", "cache_to") if getattr(inputs, name))


def _verify(inputs: Inputs, release: RecomputedRelease, tools: Tools) -> str:
    """The value of VERIFY in the configuration of the image; empty if its server verifies nothing."""
    if not inputs.verify_at_start:
        return ""
    from ..ops.signing.start_policy import start_policy  # noqa: PLC0415  # few images have a policy

    return start_policy(release, needs_for(release, inputs.serving), tools)


def _request(inputs: Inputs, release: RecomputedRelease, tools: Tools) -> ImageRequest:
    return ImageRequest(
        base=inputs.base_image,
        serving=inputs.serving,
        platforms=inputs.platforms,
        cache=Cache(source=inputs.cache_from, target=inputs.cache_to),
        verify=_verify(inputs, release, tools),
    )


def _build_context(inputs: Inputs, release: RecomputedRelease, tools: Tools) -> Report[Outputs]:
    needs = needs_for(release, inputs.serving)
    base = BaseImage(name=inputs.base_image or default_base(needs))
    planned = plan(release, needs, base, _request(inputs, release, tools), tools)
    folder = inputs.context
    if folder is not None:
        require_new_folder(folder, "context")
        fill(folder, planned, tools)
    path = tools.records.path(inputs.record, inputs.project)
    return Report(
        outputs=_outputs(path, ImageLink(kind="", id="", tag="", base=base.name, base_digest="")),
        summary=f"docker build {shlex.quote(str(folder))}" if folder else "nothing was built",
        result=planned.dockerfile if inputs.print_dockerfile else None,
    )


def _composed_context(inputs: Inputs, release: RecomputedRelease, tools: Tools) -> Report[Outputs]:
    """Compose the image and write its layers to a folder; an engine only has the base. Raises NotComposable."""
    from ..ops.image.composing import compose_context  # noqa: PLC0415  # imports the layers of images

    if inputs.context is not None:
        require_new_folder(inputs.context, "context")
    request = replace(_compose_request(inputs), verify=_verify(inputs, release, tools))
    made = compose_context(request, inputs.context, release, tools.engines.answering(inputs.engine), tools)
    path = tools.records.path(inputs.record, inputs.project)
    return Report(
        outputs=_outputs(path, ImageLink(kind="", id="", tag="", base=made.base, base_digest="")),
        summary=f"docker build {shlex.quote(str(inputs.context))}" if inputs.context else "nothing was built",
        findings=made.findings,
        result=made.dockerfile if inputs.print_dockerfile else None,
    )


def _compose_request(inputs: Inputs) -> ComposeRequest:
    return ComposeRequest(
        name=inputs.image,
        base=inputs.base_image,
        base_layout=inputs.base_layout,
        platforms=inputs.platforms,
        serving=inputs.serving,
        layers_from=inputs.layers_from,
        compression=inputs.compression,
        push=inputs.push,
        oci_layout=inputs.oci_layout,
    )


def _composed(inputs: Inputs, prepared: PreparedRelease, engine: Engine | None, tools: Tools) -> Report[Outputs]:
    """Compose, verify, write and push the image. Raises NotComposable before anything is written, loaded or pushed."""
    from ..ops.image.composing import compose_and_keep  # noqa: PLC0415  # imports the layers of images

    require_composing_inputs(_of_engines(inputs))
    if inputs.oci_layout is not None:
        require_replaceable_folder(inputs.oci_layout, "oci-layout")
    release, preparation = prepared.release, prepared.preparation
    request = replace(_compose_request(inputs), verify=_verify(inputs, release, tools), preparation=preparation)
    made = compose_and_keep(request, release, engine, tools)
    path = _recorded(inputs, release, made.link, tools)
    sbom = write_sbom(release, made.inventory, path, tools)
    left = left_on_runner(made.link, inputs.oci_layout, ci=tools.host.ci, embedded=inputs.embedded)
    return Report(
        outputs=replace(_outputs(path, made.link), image_size=made.size, image_sbom=sbom.file),
        summary=made.summary,
        findings=(*made.findings, *left, *sbom.findings),
        tables=(made.sizes,),
    )


def _in_image(inputs: Inputs, release: RecomputedRelease, engine: Engine, tools: Tools) -> Report[Outputs]:
    needs = needs_for(release, inputs.serving)
    request, tag = _request(inputs, release, tools), image_name(inputs.image, release.record)
    base = inspect_base(request.base or default_base(needs), needs, engine, tools)
    planned = plan(release, needs, base, request, tools)
    with (
        tools.console.group(f"build {tag}"),
        building(planned, request, tools) as build,
        engine.candidate(build, tag) as candidate,
    ):
        built = candidate.image
        inventory, findings = examine(built, base, release.record, needs=needs, engine=engine, tools=tools)
        pushing = tools if inputs.push else None
        findings = (*unhashed(needs), *name_taken(tag, inputs.image, release.record, engine, pushing), *findings)
        engine.tag(built.id, tag)
        digest = candidate.push() if inputs.push else ""
    image = ImageLink(
        kind="image",
        id=built.id,
        tag=tag,
        base=base.name,
        base_digest=base.digest,
        serving=request.serving.value,
        engine=engine.name,
        digest=digest,
        verify=request.verify,
    )
    path = _recorded(inputs, release, image, tools)
    sbom = write_sbom(release, inventory, path, tools)
    left = left_on_runner(image, inputs.oci_layout, ci=tools.host.ci, embedded=inputs.embedded)
    return Report(
        outputs=replace(_outputs(path, image), image_size=built.size, image_sbom=sbom.file),
        summary=f"image {tag}, {built.size / 1e6:.0f} MB",
        findings=(*findings, *left, *sbom.findings),
        tables=(layer_sizes(built, engine, planned.parts),),
    )


def _in_process(inputs: Inputs, release: RecomputedRelease, reason: str, tools: Tools) -> Report[Outputs]:
    from ..ops.image.composed_release import process_link  # noqa: PLC0415  # imports the layers of images

    needs = needs_for(release, inputs.serving)
    image = process_link(needs, release, reason, tools)
    path = _recorded(inputs, release, replace(image, serving=inputs.serving.value), tools)
    findings = (without_image(reason, requested=inputs.engine is Choice.NONE), *unhashed(needs))
    return Report(outputs=_outputs(path, image), summary=f"no image: {reason}", findings=findings)


def _recorded(inputs: Inputs, release: RecomputedRelease, image: ImageLink, tools: Tools) -> Path:
    """Save the image in the record and in the tags of the version, and return the path of the record."""
    record = release.record.with_image(image)
    path = tools.records.path(inputs.record, inputs.project)
    tags = {} if record.version is None else version_tags(record)
    publish_change(RecordChange(before=release.record, after=record), path, release.client, tools, tags=tags)
    return path


def _outputs(record: Path, image: ImageLink) -> Outputs:
    return Outputs(
        record=record,
        image=image.tag if image.kind == "image" else "",
        image_id=image.id,
        image_digest=image.digest,
        image_size=0,
        image_sbom=None,
        served_by=image.kind,
    )


STEP = Step(
    name="build-image",
    summary="Build a serving image with the locked packages, and verify what is installed in it.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
