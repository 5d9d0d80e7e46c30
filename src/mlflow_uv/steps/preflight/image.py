"""Checks what building the image needs: an engine, a base image, a wheel for every package, and a login to push."""

from collections.abc import Iterator
from pathlib import Path

from ...command.errors import BaseImageUnfit, StepError, ToolFailed
from ...command.inputs import EngineChoice as Choice
from ...command.inputs import Serving
from ...command.report import Finding, Severity
from ...command.wording import local
from ...core.export.requirements import Requirements
from ...core.image.reference import image_reference, tagged
from ...core.image.slim import ANY_MODEL, slim
from ...core.lock.installable import InstallMethod
from ...core.lock.lockfile import Package
from ...core.lock.placement import Placement
from ...ops.image.build import PYTHONS, BaseImage, default_base, look_at
from ...ops.image.environment import Needs
from ...tools.engines.build_errors import unbuildable
from ...tools.engines.client import base_missing
from ...tools.engines.engine import Engine
from ...tools.oci.registries import RegistryUnanswered
from ..build_image import require_sense
from .context import Circumstances, Problem

# Debian's, and what a source distribution asks for first.
_COMPILERS = "import shutil; print(next(filter(None, map(shutil.which, ('cc', 'gcc', 'clang'))), ''))"
_SOURCES = (InstallMethod.BUILT, InstallMethod.GIT)


def options(circumstances: Circumstances) -> str:
    """Whether the inputs of the image agree with each other."""
    require_sense(circumstances.inputs_of("build-image"))
    return ""


def engine(circumstances: Circumstances) -> str:
    """Whether the engine that was asked for answers; without one a process serves, unless one was asked for."""
    found = circumstances.engine()
    if isinstance(found, StepError):
        if circumstances.inputs_of("build-image").engine is not Choice.AUTO:
            raise found
        return "none answers: a process on this machine would serve"
    return found.name if found else "none is used"


def base_image(circumstances: Circumstances) -> str | tuple[Problem, ...]:
    """Whether the base image is here or can be pulled, and has the Python that will train."""
    found, version = circumstances.engine(), circumstances.python()[0]
    if found is None or isinstance(found, StepError) or not version:
        return ""
    name = _base_name(circumstances, version)
    if not circumstances.training_follows and found.image(name) is None:
        return _pullable(name, found, circumstances)
    base = _looked_at(circumstances, found, version)
    return f"{base.name} on {base.architecture}"


def sources(circumstances: Circumstances) -> str | tuple[Problem, ...]:
    """Whether the base image can build what has no wheel for it."""
    found, version = circumstances.engine(), circumstances.python()[0]
    if circumstances.lock_is_bad or found is None or isinstance(found, StepError) or not version:
        return ""
    inputs, names = circumstances.inputs_of("build-image"), _served(circumstances)
    problems: list[Problem] = []
    for target in circumstances.targets():
        lacking = [
            one
            for one in circumstances.placed(target)
            if one.verdict in _SOURCES and (names is None or one.package.name in names)
        ]
        if lacking and not inputs.platforms and _compiler(circumstances, found, version):
            continue
        for one in lacking:
            problems += _without_wheel(one, circumstances, crossing=bool(inputs.platforms))
    return tuple(problems)


def image_registry(circumstances: Circumstances) -> str | tuple[Problem, ...]:
    """Whether the login that is here may push: an upload is begun and cancelled."""
    inputs = circumstances.inputs_of("build-image")
    if not inputs.push or "/" not in (inputs.image or ""):
        return ""
    name = tagged(inputs.image, "preflight")
    host = image_reference(name).host
    try:
        circumstances.tools.registries.require_push(name)
    except RegistryUnanswered as error:
        if error.denied:
            fix = local(f"docker login {host}", "a step with docker/login-action before this one")
            raise ToolFailed(what=f"`{inputs.image}` cannot be pushed", why=str(error), fix=fix) from error
        return (_unknown("preflight-image-registry", f"it is unknown whether `{inputs.image}` can be pushed", error),)
    return host


def _base_name(circumstances: Circumstances, version: str) -> str:
    return circumstances.inputs_of("build-image").base_image or default_base(_needs(version))


def _needs(version: str) -> Needs:
    """The needs of a model that is not made yet: its Python alone is known."""
    return Needs(model=Path(), requirements=None, wheels=(), python=version)


def _looked_at(circumstances: Circumstances, found: Engine, version: str) -> BaseImage:
    return look_at(_base_name(circumstances, version), _needs(version), found, circumstances.tools)


def _pullable(name: str, found: Engine, circumstances: Circumstances) -> str | tuple[Problem, ...]:
    """Whether a registry has an image that is not here; it is not pulled to see what is in it."""
    try:
        there = circumstances.tools.registries.has(name)
    except RegistryUnanswered as error:
        if error.denied:
            raise base_missing(found.name, name, why=str(error)) from error
        return (_unknown("preflight-base-image", f"the base image `{name}` is not here", error),)
    if not there:
        raise base_missing(found.name, name, why="its registry has no such image")
    return f"{name}, which is not pulled yet"


def _unknown(rule: str, what: str, error: RegistryUnanswered) -> Finding:
    """What is no reason to stop: the engine may reach the registry in its own way."""
    return Finding(rule=rule, severity=Severity.WARNING, what=what, why=str(error))


def _compiler(circumstances: Circumstances, found: Engine, version: str) -> str:
    """The compiler of the base image; the official slim images have none, and one that is unfit is told elsewhere."""
    if circumstances.inputs_of("build-image").base_image is None:
        return ""
    try:
        base = _looked_at(circumstances, found, version)
        return found.run_inside(base.name, base.python, "-I", "-c", _COMPILERS).strip()
    except (BaseImageUnfit, ToolFailed):
        return PYTHONS[0]  # nothing is said about it twice


def _served(circumstances: Circumstances) -> frozenset[str] | None:
    """The names of what a slim image holds, whatever the model is; None for the whole lock."""
    if circumstances.inputs_of("build-image").serving is not Serving.SLIM or circumstances.lock is None:
        return None
    project, selection = circumstances.project, circumstances.selection
    requirements: Requirements = circumstances.tools.uv.export(project, selection)
    name = project.name if project.named else None
    try:
        smaller = slim(requirements, circumstances.lock, selection, name=name, mlmodel=ANY_MODEL)
    except StepError:
        return None
    return frozenset(pin.name for pin in smaller.pins)


def _without_wheel(one: Placement, circumstances: Circumstances, *, crossing: bool) -> Iterator[Problem]:
    """Stop for what is compiled, or cannot be built for another platform; warn where nobody knows what it is."""
    package = one.package
    if crossing:
        yield unbuildable(package.name, why=f"nothing is built for {one.target}, so it needs a wheel")
        return
    compiled = any(not wheel.file.endswith("-any.whl") for wheel in package.wheels)
    pure = False if compiled else _pure(package, circumstances)
    if pure is None:
        yield Finding(
            rule="preflight-source",
            severity=Severity.WARNING,
            what=f"`{package.name}` has no wheel, and may need a compiler",
            why="the base image has none",
            fix=unbuildable(package.name, why="").fix,
        )
    elif not pure:
        yield unbuildable(package.name, why=f"its code is compiled, there is no wheel for {one.target} and no compiler")


def _pure(package: Package, circumstances: Circumstances) -> bool | None:
    """Whether a package holds Python alone: once it was built here, its own file says so. None where it was not."""
    project, selection = circumstances.project, circumstances.selection
    folder = circumstances.tools.environments.place(project, selection)
    if circumstances.training_follows and not any(_told(folder, package)):
        # The environment is made in any case before anything is trained.
        circumstances.tools.environments.project(project, selection)
    return next(_told(folder, package), None)


def _told(environment: Path, package: Package) -> Iterator[bool]:
    """What the metadata of an installed package says of it."""
    stem = f"{package.name.replace('-', '_')}-{package.version}.dist-info".lower()
    for file in environment.glob("lib/python*/site-packages/*.dist-info/WHEEL"):
        if file.parent.name.lower().replace("-", "_") == stem.replace("-", "_"):
            yield "root-is-purelib: true" in file.read_text(encoding="utf-8").lower()
