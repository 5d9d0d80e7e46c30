"""Which image serves the model, and is what is installed in it what the model requires?"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from ..core import modelfiles
from ..core.digests import canonical, sha256, tree_digest
from ..core.dockerfile import MODEL, SERVING, VENV, Recipe, render_dockerfile
from ..core.record import Image, Record
from ..core.requirements import Requirements, installed_difference, parse_requirements
from ..errors import ChainBroken, NoEngine, ToolFailed
from ..recompute import Found, anchor, holding
from ..report import Finding, Report, Severity
from ..step import Doc, Matching, Step
from ..tools.docker import Build
from ..tools.network import build_secrets, index_variables
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
    base = inputs.base_image or f"python:{_minor(record.model.python)}-slim"
    tag = inputs.image or _default_tag(record)
    digest = tools.docker.fetch(base).digest
    with TemporaryDirectory(prefix="mlflow-uv-build-") as scratch, tools.voice.group(f"build {tag}"):
        context = Path(scratch) / "context"
        resolved = _fill(context, found, base, tools)
        indexes = _indexes(found, tools, hashed=resolved is not None and resolved.hashed)
        secrets = build_secrets(Path(scratch), tools.surroundings.variables, indexes)
        image = tools.docker.build(Build(context=context, tag=tag, labels=_labels(record, digest), secrets=secrets))
    inventory = tools.docker.ask_inside(image.id, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)
    _require_exact(record, resolved, inventory)
    _require_model(record, inventory)
    return Image(kind="image", id=image.id, tag=tag, base=base, base_digest=digest)


def _process(found: Found, reason: str, tools: Tools) -> Image:
    record = found.record
    resolved, requirements = _requirements(found)
    hashed = resolved is not None and resolved.hashed
    minor = _minor(record.model.python)
    # The interpreter that trained, where it is here: a version alone may be found elsewhere, or not at all.
    python = minor if found.project is None else str(tools.environments.project(found.project, record.selection))
    folder = tools.environments.serving(
        sha256(canonical([record.requirements.sha256, python, len(record.requirements.wheels)]))
    )
    with tools.voice.group("environment that serves the model"):
        interpreter = tools.uv.install(
            requirements,
            folder,
            python=python,
            hashed=hashed,
            resolved=resolved is not None,
            indexes=_indexes(found, tools, hashed=hashed),
            hear=tools.voice.foreign,
        )
    inventory = tools.servers.inventory(interpreter)
    _require_exact(record, resolved, inventory)
    return Image(
        kind="process", id=inventory_digest(inventory), tag=str(folder), base="", base_digest="", reason=reason
    )


def inventory_digest(inventory: str) -> str:
    """Digest of what an environment holds; the order in which it was listed does not matter."""
    said = _inventory(inventory)
    return sha256(canonical([said["python"], sorted(said["installed"])]))


def _requirements(found: Found) -> tuple[Requirements | None, Path]:
    """The list to install from, relative to the model's folder; None where MLflow inferred it and it is not whole."""
    hashed = found.model / modelfiles.HASHED
    source = hashed if hashed.is_file() else found.model / modelfiles.REQUIREMENTS
    flat = found.model / "mlflow-uv-install.txt"
    flat.write_bytes(source.read_bytes())
    if not hashed.is_file():
        return None, flat
    said, _ = modelfiles.own_lines(hashed.read_text(encoding="utf-8").replace(" \\\n", " "))
    requirements = parse_requirements(said)
    if requirements.digest != found.record.requirements.sha256:
        raise ChainBroken("requirements", why="the list with hashes is not the list of the record")
    return requirements, flat


def _fill(context: Path, found: Found, base: str, tools: Tools) -> Requirements | None:
    resolved, flat = _requirements(found)
    context.mkdir()
    shutil.move(flat, context / "requirements.txt")
    wheels = found.model / modelfiles.WHEELS
    if wheels.is_dir():
        shutil.copytree(wheels, context / modelfiles.WHEELS)
    shutil.copytree(found.model, context / "model")
    shutil.copytree(SERVER, context / "serving", ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
    (context / "uv.txt").write_text(locked_uv(tools.surroundings.ours))
    recipe = Recipe(
        base=base,
        hashed=resolved is not None and resolved.hashed,
        resolved=resolved is not None,
        wheels=wheels.is_dir(),
    )
    (context / "Dockerfile").write_text(render_dockerfile(recipe))
    for path in (context, *context.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return resolved


def _indexes(found: Found, tools: Tools, *, hashed: bool) -> Mapping[str, str]:
    said = found.model / modelfiles.INDEXES
    text = said.read_text(encoding="utf-8") if said.is_file() else "[]"
    return index_variables(text, tools.surroundings.variables, hashed=hashed)


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


def _require_exact(record: Record, requirements: Requirements | None, inventory: str) -> None:
    """What is installed is what the model requires, on the Python that trained it; an inferred list is not whole."""
    said = _inventory(inventory)
    lines: tuple[str, ...] = ()
    if _minor(said["python"]) != _minor(record.model.python):
        lines += (f"it has Python {said['python']}, the model was trained with {record.model.python}",)
    if requirements is not None:
        lines += installed_difference(
            requirements,
            environment=said["marker_environment"],
            installed=tuple((name, version) for name, version in said["installed"]),
            local=tuple((wheel.name, wheel.version) for wheel in record.requirements.wheels),
        )
    if lines:
        raise ChainBroken("image", why="; ".join(lines[:5]), fix="mlflow-uv build-image")


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _require_model(record: Record, inventory: str) -> None:
    """The model that lies in the image is the recorded one, file by file."""
    lying = tree_digest((PurePosixPath(path), digest) for path, digest in _inventory(inventory)["model"])
    if lying != record.model.sha256:
        raise ChainBroken(
            "image", why="the model in the image is not the one in the store", fix="mlflow-uv build-image"
        )


def _inventory(text: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ToolFailed(what="the serving environment cannot say what it holds", why=str(error)) from error
    return said


STEP = Step(
    name="build-image",
    summary="Build a serving image whose packages are the lock, and compare what is installed with it.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
