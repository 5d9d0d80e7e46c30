"""Which image serves the model, and is what is installed in it what the model requires?"""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput, NoEngine
from ..command.inputs import Embedded, ProjectPath, RecordFile, RecordPath, Serving, TrackingUri, UvProgram
from ..command.inputs import EngineChoice as Choice
from ..command.report import Finding, Report, Severity
from ..command.step import Doc, Matching, OneRun, SettingReach, Step
from ..command.wording import Wording, joined, option
from ..core.release.record import ImageLink
from ..ops.image.build import (
    BaseImage,
    ImageRequest,
    building,
    default_base,
    fill,
    image_name,
    look_at,
    plan,
    require_exact,
    require_libraries,
    require_same,
    without_image,
)
from ..ops.image.environment import Needs, install, inventory_digest
from ..ops.image.layers import needs_for
from ..ops.image.lookup import name_taken
from ..ops.image.sbom import bill_of, sizes_of
from ..ops.lineage.publication import StoreAccess, publish
from ..ops.lineage.recompute import RecomputedRelease, holding
from ..tools.engines.engine import Cache, Engine
from ..tools.project.files import bounds_of, leads_out
from ..tools.toolbox import Tools
from .register import version_tags

# As the engines have it: a registry, names in small letters, a tag; of a base image a digest, too.
_TAG = r"(?::\w[\w.\-]{0,127})?"
_HOST = r"(?:[A-Za-z0-9.\-]+(?::\d+)?/)?"
_BASE = rf"{_HOST}[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*{_TAG}(?:@sha256:[0-9a-f]{{64}})?|sha256:[0-9a-f]{{64}}"
# Of ours, capital letters are written small.
_NAME = rf"{_HOST}[A-Za-z0-9]+(?:(?:\.|__?|-+|/)[A-Za-z0-9]+)*{_TAG}"
_PLATFORMS = ("linux/amd64", "linux/arm64")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to build."""

    project: ProjectPath = Path()
    record: RecordPath = None
    base_image: Annotated[
        str | None,
        Doc("Base image; defaults to the official slim Python image of the model's Python minor version."),
        Matching(_BASE, "an image reference"),
    ] = None
    image: Annotated[
        str | None,
        Doc("Image name; defaults to the model name, and a missing tag to the version number."),
        Matching(_NAME, "an image reference"),
    ] = None
    engine: Annotated[
        Choice,
        Doc(
            "How the model is packaged: `auto` uses Docker, else Podman, else an environment on this machine"
            " served by a process; `any` requires an engine; `docker` and `podman` require that one; `none` uses"
            " no engine."
        ),
    ] = Choice.AUTO
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
    push: Annotated[bool, Doc("Push the image to the registry in its name.")] = False
    cache_from: Annotated[
        str | None, SettingReach.BUILD_CACHE, Doc("Build cache to import, in the engine's `--cache-from` syntax.")
    ] = None
    cache_to: Annotated[
        str | None, SettingReach.BUILD_CACHE, Doc("Build cache to export, in the engine's `--cache-to` syntax.")
    ] = None
    print_dockerfile: Annotated[bool, OneRun(), Doc("Print the Dockerfile instead of building the image.")] = False
    context: Annotated[
        Path | None, OneRun(), Doc("New folder to write the complete build context to, instead of building the image.")
    ] = None
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What serves the model."""

    record: RecordFile
    image: Annotated[str, Doc("Name and tag of the image; empty if none was built.")]
    image_id: Annotated[str, Doc("Id of the image, or digest of the installed packages if a process serves the model.")]
    image_digest: Annotated[str, Doc("Digest of the image in the registry; empty if it was not pushed.")]
    image_size: Annotated[int, Doc("Size of the image in bytes; 0 if none was built.")]
    image_sbom: Annotated[
        Path | None,
        Doc("Path of the CycloneDX SBOM of the packages in the image; empty if the model was logged without the lock."),
    ]
    served_by: Annotated[str, Doc("What serves the model, image or process; empty if nothing was built.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Build, then compare what is installed with what the model requires.

    Raises NoEngine where an engine was asked for, BaseImageMissing, BaseImageUnfit, NoSpace, ToolFailed, ChainBroken.
    """
    require_sense(inputs)
    with holding(inputs, tools) as found:
        if inputs.print_dockerfile or inputs.context is not None:
            return _by_hand(inputs, found, tools)
        try:
            engine = None if inputs.engine is Choice.NONE else tools.engines.available(inputs.engine)
        except NoEngine as error:
            if inputs.engine is not Choice.AUTO:
                raise
            return _in_process(inputs, found, error.why or error.what, tools)
        if engine is None:
            return _in_process(inputs, found, "a process was requested", tools)
        return _in_image(inputs, found, engine, tools)


def require_sense(inputs: Inputs) -> None:
    """Refuse inputs that contradict each other. Raises BadInput."""
    if len(set(inputs.platforms)) < len(inputs.platforms):
        raise BadInput(what=f"`platforms` lists a platform twice: {', '.join(inputs.platforms)}")
    for platform in inputs.platforms:
        if platform not in _PLATFORMS:
            known = ", ".join(_PLATFORMS)
            raise BadInput(what=f"`{platform}` is not a supported platform", why=f"supported are {known}")
    if len(inputs.platforms) > 1 and not inputs.push:
        raise BadInput(
            what="a multi-platform image must be pushed",
            why=f"`platforms` are {', '.join(inputs.platforms)}",
            fix=Wording(option("push"), ", or one platform"),
        )
    if inputs.push and "/" not in (inputs.image or ""):
        raise BadInput(
            what="there is no registry to push the image to",
            fix=option("image", "REGISTRY/NAME"),
            why="the image name contains none",
        )


def _wish(inputs: Inputs) -> ImageRequest:
    return ImageRequest(
        base=inputs.base_image,
        serving=inputs.serving,
        platforms=inputs.platforms,
        cache=Cache(source=inputs.cache_from, target=inputs.cache_to),
    )


def _by_hand(inputs: Inputs, found: RecomputedRelease, tools: Tools) -> Report[Outputs]:
    needs = needs_for(found, inputs.serving)
    base = BaseImage(name=inputs.base_image or default_base(needs))
    planned = plan(found, needs, base, _wish(inputs), tools)
    folder = inputs.context
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = f"`{folder}` is {'not empty' if folder.is_dir() else 'no folder'}"
            raise BadInput(
                what=what,
                why="existing files would become part of the build context",
                fix=option("context", "NEW_FOLDER"),
            )
        if (bounds := bounds_of(folder)) is not None and leads_out(folder, bounds):
            why = f"it is {os.path.realpath(folder)}, because a link of the checkout leads there"
            raise BadInput(what=f"`{folder}` leads out of `{bounds}`", why=why, fix=option("context", "NEW_FOLDER"))
        fill(folder, planned, tools)
    path = tools.records.path(inputs.record, inputs.project)
    return Report(
        outputs=_outputs(path, ImageLink(kind="", id="", tag="", base=base.name, base_digest="")),
        summary=f"docker build {shlex.quote(str(folder))}" if folder else "nothing was built",
        result=planned.dockerfile if inputs.print_dockerfile else None,
    )


def _in_image(inputs: Inputs, found: RecomputedRelease, engine: Engine, tools: Tools) -> Report[Outputs]:
    needs = needs_for(found, inputs.serving)
    wish, tag = _wish(inputs), image_name(inputs.image, found.record)
    base = look_at(wish.base or default_base(needs), needs, engine, tools)
    planned = plan(found, needs, base, wish, tools)
    with (
        tools.console.group(f"build {tag}"),
        building(planned, wish, tools) as build,
        engine.candidate(build, tag) as candidate,
    ):
        built = candidate.image
        inventory = require_same(built, found.record, needs, engine)
        pushing = tools if inputs.push else None
        findings = (*_unproven(needs), *name_taken(tag, inputs.image, found.record, engine, pushing))
        findings += require_libraries(built, base, engine, tools)
        engine.tag(built.id, tag)
        digest = candidate.push() if inputs.push else ""
    image = ImageLink(
        kind="image",
        id=built.id,
        tag=tag,
        base=base.name,
        base_digest=base.digest,
        serving=wish.serving.value,
        engine=engine.name,
        digest=digest,
    )
    path = _recorded(inputs, found, image, tools)
    bill = bill_of(found, inventory, path, tools)
    return Report(
        outputs=replace(_outputs(path, image), image_size=built.size, image_sbom=bill.file),
        summary=f"image {tag}, {built.size / 1e6:.0f} MB",
        findings=(*findings, *_vanishing(inputs, image, ci=tools.host.ci), *bill.findings),
        tables=(sizes_of(built, engine, planned.parts),),
    )


def _in_process(inputs: Inputs, found: RecomputedRelease, reason: str, tools: Tools) -> Report[Outputs]:
    needs = needs_for(found, inputs.serving)
    image = _process(needs, found, reason, tools)
    path = _recorded(inputs, found, replace(image, serving=inputs.serving.value), tools)
    findings = (without_image(reason, asked=inputs.engine is Choice.NONE), *_unproven(needs))
    return Report(outputs=_outputs(path, image), summary=f"no image: {reason}", findings=findings)


def _process(needs: Needs, found: RecomputedRelease, reason: str, tools: Tools) -> ImageLink:
    # The interpreter that trained, where it is here: a version alone may be found elsewhere, or not at all.
    python = needs.minor
    if found.project is not None:
        python = str(tools.environments.project(found.project, found.record.selection))
    with tools.console.group("environment that serves the model"):
        interpreter, inventory = install(needs, tools, python=python)
    require_exact(needs, inventory)
    folder = str(interpreter.parents[1])
    return ImageLink(kind="process", id=inventory_digest(inventory), tag=folder, base="", base_digest="", reason=reason)


def _recorded(inputs: Inputs, found: RecomputedRelease, image: ImageLink, tools: Tools) -> Path:
    """The record's file, with the image in it; its version says so too."""
    record = replace(found.record, image=image)
    path = tools.records.path(inputs.record, inputs.project)
    tags = {} if record.version is None else version_tags(record)
    publish(record, path, StoreAccess(store=found.store, python=found.python), tools, tags=tags)
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


def _unproven(needs: Needs) -> Iterator[Finding]:
    """That not every file was compared with a hash, where there is not one for each."""
    if needs.hashed:
        return
    why, fix = "the model has no lock, only the requirements that MLflow inferred", option("requirements", "lock")
    if needs.requirements is not None:
        lacking = [pin.name for pin in needs.requirements.pins if not pin.hashes]
        why, fix = f"the lock has no hashes for {', '.join(lacking)}", "install them from an index, then uv lock"
    yield Finding(
        rule="image-unhashed",
        severity=Severity.NOTICE,
        what="packages were installed without verifying hashes",
        why=why,
        fix=fix,
    )


def _vanishing(inputs: Inputs, image: ImageLink, *, ci: bool) -> Iterator[Finding]:
    """That an image which was not pushed is gone with the runner, unless the store is gone as well."""
    if ci and not image.digest and not inputs.embedded:
        yield Finding(
            rule="image-not-pushed",
            severity=Severity.WARNING,
            what=f"the image `{image.tag}` exists only on this runner",
            why="it was not pushed, so no other job can verify, promote or start it",
            fix=joined(" ", (option("push"), option("image", "REGISTRY/NAME"))),
        )


STEP = Step(
    name="build-image",
    summary="Build a serving image with the locked packages, and verify what is installed in it.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
