"""Checks what building the image needs: an engine, a base image, a wheel for every package, and a login to push."""

from collections.abc import Iterator
from pathlib import Path

from ...command.errors import BaseImageUnfit, StepError, ToolFailed
from ...command.inputs import EngineChoice as Choice
from ...command.inputs import Serving
from ...command.report import Finding, Severity
from ...command.wording import local
from ...core.export.requirements import Requirements
from ...core.image.reference import image_reference, registry_fix, with_default_tag
from ...core.image.slim import ANY_MODEL, slim_requirements
from ...core.lock.installable import InstallMethod
from ...core.lock.lockfile import Package
from ...core.lock.placement import Placement
from ...ops.image.base_layouts import base_in_layout
from ...ops.image.build import PYTHONS, BaseImage, default_base, inspect_base
from ...ops.image.builders import Builder, may_compose, not_pushed, unreadable_base, without_wheel
from ...ops.image.environment import Needs
from ...ops.image.platforms import ARCHITECTURES
from ...tools.engines.build_errors import unbuildable
from ...tools.engines.client import base_missing
from ...tools.engines.engine import Engine
from ...tools.oci.repository import RegistryUnanswered
from ..build_image import require_consistent
from .context import PreflightContext, Problem

# The compilers of Debian, and the names that build backends look for first.
_COMPILERS = "import shutil; print(next(filter(None, map(shutil.which, ('cc', 'gcc', 'clang'))), ''))"
_SOURCES = (InstallMethod.BUILT, InstallMethod.GIT)


def options(context: PreflightContext) -> str:
    """Check that the inputs of build-image are consistent."""
    require_consistent(context.inputs.build_image)
    return ""


def engine(context: PreflightContext) -> str:
    """Check that the requested engine answers; with `engine: auto` a process can serve instead."""
    container_engine = context.engine()
    if isinstance(container_engine, StepError):
        if context.inputs.build_image.engine is not Choice.AUTO:
            raise container_engine
        if _pushes_composed(context):
            return "none answers: the image would be composed and pushed without one"
        return "none answers: a process on this machine would serve"
    return container_engine.name if container_engine else "none is used"


def base_image(context: PreflightContext) -> str | tuple[Problem, ...]:
    """Check that the base image exists and has the Python that will train."""
    container_engine, version = _engine_here(context), context.python()[0]
    if not version or (container_engine is None and not _pushes_composed(context)):
        return ""
    name = _base_name(context, version)
    if (layout := context.inputs.build_image.base_layout) is not None:
        for architecture in {ARCHITECTURES.get(target.machine, target.machine) for target in context.targets()}:
            base_in_layout(name, layout, architecture)
        return f"{name}, in {layout}"
    if container_engine is None or (not context.training_follows and container_engine.image(name) is None):
        return _in_registry(name, container_engine, context)
    base = _looked_at(context, container_engine, version)
    return f"{base.name} on {base.architecture}"


def sources(context: PreflightContext) -> str | tuple[Problem, ...]:
    """Check that the base image can build the packages without a wheel, or this machine those of a composed image."""
    container_engine, version = _engine_here(context), context.python()[0]
    if context.lock_is_bad or not version or (container_engine is None and not _pushes_composed(context)):
        return ""
    inputs, names = context.inputs.build_image, _served(context)
    problems: list[Problem] = []
    for target in context.targets():
        lacking = [
            placement
            for placement in context.placed(target)
            if placement.verdict in _SOURCES and (names is None or placement.package.name in names)
        ]
        if may_compose(inputs.builder, has_use=True):
            from ...ops.image.composed_sources import is_built_here  # noqa: PLC0415  # imports the layers of images

            lacking = [placement for placement in lacking if not is_built_here(placement, context.tools)]
        if inputs.builder is Builder.COMPOSE or inputs.base_layout is not None:
            problems += map(without_wheel, lacking)
            continue
        if container_engine is None:
            problems += (not_pushed(without_wheel(placement)) for placement in lacking)
            continue
        if lacking and not inputs.platforms and container_engine and _compiler(context, container_engine, version):
            continue
        for placement in lacking:
            problems += _without_wheel(placement, context, crossing=bool(inputs.platforms))
    return tuple(problems)


def image_registry(context: PreflightContext) -> str | tuple[Problem, ...]:
    """Check the right to push the image, by starting and cancelling an upload."""
    inputs = context.inputs.build_image
    if not inputs.push or inputs.image is None or "/" not in inputs.image:
        return ""
    name = with_default_tag(inputs.image, "preflight")
    host = image_reference(name).host
    try:
        context.tools.registries.require_push(name)
    except RegistryUnanswered as error:
        if error.denied:
            fix = local(f"docker login {host}", "a step with docker/login-action before this one")
            raise ToolFailed(what=f"`{inputs.image}` cannot be pushed", why=str(error), fix=fix) from error
        return (_unknown("preflight-image-registry", f"it is unknown whether `{inputs.image}` can be pushed", error),)
    return host


def _base_name(context: PreflightContext, version: str) -> str:
    return context.inputs.build_image.base_image or default_base(_needs(version))


def _needs(version: str) -> Needs:
    """Return the needs of a model that does not exist yet: only its Python is known."""
    return Needs(model=Path(), requirements=None, wheels=(), python=version)


def _looked_at(context: PreflightContext, container_engine: Engine, version: str) -> BaseImage:
    return inspect_base(_base_name(context, version), _needs(version), container_engine, context.tools)


def _engine_here(context: PreflightContext) -> Engine | None:
    """Return the engine, if one is used and answers."""
    container_engine = context.engine()
    return None if isinstance(container_engine, StepError) else container_engine


def _pushes_composed(context: PreflightContext) -> bool:
    """Whether an image is composed and pushed, which needs no engine."""
    inputs = context.inputs.build_image
    return may_compose(inputs.builder, has_use=inputs.push)


def _in_registry(name: str, container_engine: Engine | None, context: PreflightContext) -> str | tuple[Problem, ...]:
    """Check, without pulling it, that a registry has an image that is not on this machine."""
    try:
        exists = context.tools.registries.has(name)
    except RegistryUnanswered as error:
        if error.denied:
            raise _missing(name, container_engine, str(error), request=error) from error
        return (_unknown("preflight-base-image", f"the base image `{name}` is not here", error),)
    if not exists:
        raise _missing(name, container_engine, "its registry has no such image", request=None)
    return f"{name}, which is not pulled yet"


def _missing(name: str, container_engine: Engine | None, why: str, *, request: RegistryUnanswered | None) -> StepError:
    if container_engine is None:
        return unreadable_base(name, why, request=request)
    fix = registry_fix(name, request, program=container_engine.name) if request else ""
    return base_missing(name, why=why, fix=fix)


def _unknown(rule: str, what: str, error: RegistryUnanswered) -> Finding:
    """Return a warning, because the engine may reach the registry where this program cannot."""
    return Finding(rule=rule, severity=Severity.WARNING, what=what, why=str(error))


def _compiler(context: PreflightContext, container_engine: Engine, version: str) -> str:
    """Return the compiler of the base image; official slim images have none, an unfit base is reported elsewhere."""
    if context.inputs.build_image.base_image is None:
        return ""
    try:
        base = _looked_at(context, container_engine, version)
        return container_engine.run_inside(base.name, base.python, "-I", "-c", _COMPILERS).strip()
    except (BaseImageUnfit, ToolFailed):
        return PYTHONS[0]  # reported by the base image check


def _served(context: PreflightContext) -> frozenset[str] | None:
    """Return the names of the packages that a slim image may hold, None for the whole lock."""
    if context.inputs.build_image.serving is not Serving.SLIM or context.lock is None:
        return None
    project, selection = context.project, context.selection
    requirements: Requirements = context.tools.uv.export(project, selection)
    name = project.name if project.named else None
    try:
        smaller = slim_requirements(requirements, context.lock, selection, name=name, mlmodel=ANY_MODEL)
    except StepError:
        return None
    return frozenset(pin.name for pin in smaller.pins)


def _without_wheel(placement: Placement, context: PreflightContext, *, crossing: bool) -> Iterator[Problem]:
    """Yield an error for a package that cannot be built, a warning if it is unknown whether it is compiled."""
    package = placement.package
    if crossing:
        yield unbuildable(package.name, why=f"nothing is built for {placement.target}, so it needs a wheel")
        return
    compiled = any(not wheel.file.endswith("-any.whl") for wheel in package.wheels)
    pure = False if compiled else _pure(package, context)
    if pure is None:
        yield Finding(
            rule="preflight-source",
            severity=Severity.WARNING,
            what=f"`{package.name}` has no wheel, and may need a compiler",
            why="the base image has none",
            fix=unbuildable(package.name, why="").fix,
        )
    elif not pure:
        yield unbuildable(
            package.name, why=f"its code is compiled, there is no wheel for {placement.target} and no compiler"
        )


def _pure(package: Package, context: PreflightContext) -> bool | None:
    """Whether a package is pure Python, by the metadata of its installation here; None if it is not installed."""
    project, selection = context.project, context.selection
    folder = context.tools.environments.place(project, selection)
    if context.training_follows and not any(_purelib(folder, package)):
        # Training needs this environment anyway.
        context.tools.environments.project(project, selection)
    return next(_purelib(folder, package), None)


def _purelib(environment: Path, package: Package) -> Iterator[bool]:
    """Yield whether the WHEEL metadata of an installed package says that it is pure Python."""
    stem = f"{package.name.replace('-', '_')}-{package.version}.dist-info".lower()
    for file in environment.glob("lib/python*/site-packages/*.dist-info/WHEEL"):
        if file.parent.name.lower().replace("-", "_") == stem.replace("-", "_"):
            yield "root-is-purelib: true" in file.read_text(encoding="utf-8").lower()
