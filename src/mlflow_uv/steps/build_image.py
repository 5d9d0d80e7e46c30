"""Which image serves the model, and is what is installed in it what the model requires?"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated

from ..core import modelfiles
from ..core.digests import tree_digest
from ..core.dockerfile import MODEL, SERVING, VENV, Recipe, render_dockerfile
from ..core.record import Image, Record
from ..errors import ChainBroken, NoEngine
from ..recompute import Found, anchor, holding
from ..report import Finding, Report, Severity
from ..restoring import Needs, indexes_for, install, inventory_digest, mismatches, needs_of, read_inventory
from ..step import Doc, Matching, Step
from ..tools.docker import Build
from ..tools.network import build_secrets
from ..tools.server import SERVING as SERVER
from ..tools.toolbox import Tools
from ..tools.uv import locked_uv
from ..vocabulary import Embedded, ProjectPath, RecordFile, RecordPath, Serving, TrackingUri, UvProgram
from .register import version_tags

_REFERENCE = r"[A-Za-z0-9][A-Za-z0-9._\-/:@]{0,254}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to build."""

    project: ProjectPath = Path()
    record: RecordPath = None
    base_image: Annotated[
        str | None,
        Doc("Image to build on; without it the official slim image of the model's Python minor version."),
        Matching(_REFERENCE, "an image reference"),
    ] = None
    image: Annotated[
        str | None,
        Doc("Name and tag of the image; without it the model's name and version."),
        Matching(_REFERENCE, "an image reference"),
    ] = None
    serving: Annotated[
        Serving, Doc("Build an image with a container engine, serve in a process, or what is possible here.")
    ] = Serving.AUTO
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What serves the model."""

    record: RecordFile
    image: Annotated[str, Doc("Name and tag of the image, empty where the model is served in a process.")]
    image_id: Annotated[str, Doc("Id of the image, or digest of what is installed in the process's environment.")]
    served_by: Annotated[str, Doc("Either image or process.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Build, then compare what is installed with what the model requires.

    Raises NoEngine where an engine was asked for, BaseImageMissing, ToolFailed, ChainBroken.
    """
    with holding(inputs, tools) as found:
        reason = _why_not_an_engine(inputs, tools)
        image = _built(inputs, found, tools) if reason is None else _process(found, reason, tools)
        record = replace(found.record, image=image)
        if record.version is not None:
            target = [record.version.name, record.version.version]
            tools.mlflow.ask(found.python, found.store, "tag", version=target, tags=version_tags(record))
        anchor(record, found.store, found.python, tools)
    path = tools.records.path(inputs.record, inputs.project)
    tools.records.save(path, record)
    name = image.tag if image.kind == "image" else ""
    return Report(
        outputs=Outputs(record=path, image=name, image_id=image.id, served_by=image.kind),
        summary=f"image {name}" if name else f"no image: {reason}",
        findings=() if reason is None else (_loud(reason, asked=inputs.serving is Serving.PROCESS),),
    )


def _why_not_an_engine(inputs: Inputs, tools: Tools) -> str | None:
    if inputs.serving is Serving.PROCESS:
        return "a process was asked for"
    try:
        tools.docker.engine()
    except NoEngine as error:
        if inputs.serving is Serving.ENGINE:
            raise
        return error.why or error.what
    return None


def _loud(reason: str, *, asked: bool) -> Finding:
    return Finding(
        rule="no-image",
        severity=Severity.NOTICE if asked else Severity.WARNING,
        what="no image was built: the model is served in a process of an isolated environment",
        why=reason,
        fix="" if asked else "start Docker, or say serving: process",
    )


def _built(inputs: Inputs, found: Found, tools: Tools) -> Image:
    record = found.record
    needs = _needs(found)
    base = inputs.base_image or f"python:{needs.minor}-slim"
    tag = inputs.image or _default_tag(record)
    digest = tools.docker.fetch(base).digest
    with TemporaryDirectory(prefix="mlflow-uv-build-") as scratch, tools.voice.group(f"build {tag}"):
        context = Path(scratch) / "context"
        _fill(context, needs, base, tools)
        secrets = build_secrets(Path(scratch), tools.surroundings.variables, indexes_for(needs, tools))
        image = tools.docker.build(Build(context=context, tag=tag, labels=_labels(record, digest), secrets=secrets))
    inventory = tools.docker.ask_inside(image.id, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)
    _require_exact(needs, inventory)
    _require_model(record, inventory)
    return Image(kind="image", id=image.id, tag=tag, base=base, base_digest=digest)


def _process(found: Found, reason: str, tools: Tools) -> Image:
    needs = _needs(found)
    # The interpreter that trained, where it is here: a version alone may be found elsewhere, or not at all.
    python = needs.minor
    if found.project is not None:
        python = str(tools.environments.project(found.project, found.record.selection))
    with tools.voice.group("environment that serves the model"):
        interpreter, inventory = install(needs, tools, python=python)
    _require_exact(needs, inventory)
    folder = str(interpreter.parents[1])
    return Image(kind="process", id=inventory_digest(inventory), tag=folder, base="", base_digest="", reason=reason)


def _needs(found: Found) -> Needs:
    record = found.record
    needs = needs_of(found.model, wheels=record.requirements.wheels, python=record.model.python)
    if needs.requirements is not None and needs.requirements.digest != record.requirements.sha256:
        raise ChainBroken("requirements", why="the list with hashes is not the list of the record")
    return needs


def _fill(context: Path, needs: Needs, base: str, tools: Tools) -> None:
    context.mkdir()
    shutil.move(needs.list, context / "requirements.txt")
    wheels = needs.model / modelfiles.WHEELS
    if wheels.is_dir():
        shutil.copytree(wheels, context / modelfiles.WHEELS)
    shutil.copytree(needs.model, context / "model")
    shutil.copytree(SERVER, context / "serving", ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
    (context / "uv.txt").write_text(locked_uv(tools.surroundings.ours))
    resolved = needs.requirements is not None
    recipe = Recipe(base=base, hashed=needs.hashed, resolved=resolved, wheels=wheels.is_dir())
    (context / "Dockerfile").write_text(render_dockerfile(recipe))
    for path in (context, *context.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _labels(record: Record, base_digest: str) -> Mapping[str, str]:
    labels = {
        "org.opencontainers.image.revision": record.commit.sha,
        "org.opencontainers.image.title": record.model.name,
        "org.opencontainers.image.base.digest": base_digest,
        "mlflow-uv.lock-sha256": record.lock.sha256,
        "mlflow-uv.requirements-sha256": record.requirements.sha256,
        "mlflow-uv.model-sha256": record.model.sha256,
        "mlflow-uv.model-id": record.model.model_id,
    }
    if record.version is not None:
        labels["org.opencontainers.image.version"] = record.version.version
    return labels


def _default_tag(record: Record) -> str:
    name = record.version.name if record.version else record.model.name
    version = record.version.version if record.version else record.model.sha256[:12]
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    return f"{safe}:{version}"


def _require_exact(needs: Needs, inventory: str) -> None:
    if lines := mismatches(needs, inventory):
        raise ChainBroken("image", why="; ".join(lines[:5]), fix="mlflow-uv build-image")


def _require_model(record: Record, inventory: str) -> None:
    """The model that lies in the image is the recorded one, file by file."""
    lying = tree_digest((PurePosixPath(path), digest) for path, digest in read_inventory(inventory)["model"])
    if lying != record.model.sha256:
        raise ChainBroken(
            "image", why="the model in the image is not the one in the store", fix="mlflow-uv build-image"
        )


STEP = Step(
    name="build-image",
    summary="Build a serving image whose packages are the lock, and compare what is installed with it.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
