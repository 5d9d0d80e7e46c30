"""Diagnoses a model: what it requires, where it installs, which libraries it lacks, and how an environment differs."""

import shlex
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, StepError
from ...command.inputs import EngineChoice
from ...command.report import Finding, Severity, Table, counted, first_names
from ...command.wording import option
from ...core.export.requirements import Requirements, parse_requirements
from ...core.image.installed_packages import PackageDifference
from ...core.lock.package_names import canonicalize_name
from ...core.lock.targets import Target, parse_target, serving_target
from ...core.model.model_files import UV_FILES, WHEELS
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.toolbox import Tools
from ..image.environment import indexes_for, needs_in, read_inventory
from .libraries import MissingLibrary, libraries_of_base, library_findings, missing_libraries, unknown_libraries
from .requirements import (
    ModelRequirements,
    environment_differences,
    inferred_findings,
    local_findings,
    model_requirements,
    target_findings,
    uv_platform,
)


@lazy_dataclass
class DiagnosisRequest:
    """
    What a model is compared with.

    `target` is a target as text, None for the image of this machine. `environment` is an interpreter, or the folder of
    an environment; None for the active one. `scratch` is a private folder.
    """

    shown: str
    target: str | None
    environment: Path | None
    base_image: str | None
    engine: EngineChoice
    scratch: Path


@lazy_dataclass
class Diagnosis:
    """The results for one model; `differences` are those of an environment, `libraries` those that are missing."""

    target: Target
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    differences: tuple[PackageDifference, ...]
    libraries: tuple[MissingLibrary, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """What the model needs, and the packages that differ, if any."""
        facts = Table(title="What the model needs", columns=("need", "value"), rows=self.facts)
        if not self.differences:
            return (facts,)
        rows = tuple(
            (item.name, item.required or "not required", item.installed or "not installed") for item in self.differences
        )
        return facts, Table(title="Packages that differ", columns=("package", "model", "environment"), rows=rows)


def diagnose(model: Path, request: DiagnosisRequest, tools: Tools) -> Diagnosis:
    """
    Diagnose a model in a folder that may be changed; nothing of it is executed.

    Raises BadInput for a target or an environment that is none, ModelUnusable for a model without environment files.
    """
    required = model_requirements(needs_in(model))
    needs = required.needs
    target = (
        parse_target(request.target) if request.target else serving_target(tools.host.machine, "", pinned=needs.minor)
    )
    listed = request.scratch / "requirements.txt"
    findings = [*local_findings(required), *inferred_findings(required), *_uv_findings(model, tools)]
    findings += target_findings(required, target, tools, listed)
    resolved = parse_requirements(listed.read_text(encoding="utf-8")) if _resolved(required, listed) else None
    libraries: tuple[MissingLibrary, ...] = ()
    if listed.is_file():
        try:
            libraries, more = _libraries(required, target, request, tools)
            findings += more
        except StepError as error:
            findings.append(unknown_libraries(error))
    interpreter = _interpreter(request.environment, tools)
    differences: tuple[PackageDifference, ...] = ()
    if interpreter is not None:
        inventory = _inventory(interpreter, tools)
        differences = environment_differences(required, inventory, resolved)
        findings += _difference_findings(required, interpreter, inventory["python"], differences)
    return Diagnosis(
        target=target,
        facts=tuple(_facts(required, request, target, interpreter, tools)),
        findings=tuple(findings),
        differences=differences,
        libraries=libraries,
    )


def _resolved(required: ModelRequirements, listed: Path) -> bool:
    return not required.locked and listed.is_file()


def _libraries(
    required: ModelRequirements, target: Target, request: DiagnosisRequest, tools: Tools
) -> tuple[tuple[MissingLibrary, ...], tuple[Finding, ...]]:
    """Unpack the wheels of the target, and compare what they link with the libraries of the base image."""
    if not uv_platform(target).startswith(tools.host.machine) or "linux" not in str(target):
        why = f"the libraries of {target} cannot be listed on this machine"
        raise BadInput(what=f"{target} is another platform", why=why, fix="run doctor on a machine of the target")
    system = libraries_of_base(request.base_image, required.needs, request.engine, tools)
    packages = request.scratch / "packages"
    wheels = required.needs.model / "mlflow-uv-doctor.txt"  # uv resolves the paths of wheels from its folder
    wheels.write_bytes((request.scratch / "requirements.txt").read_bytes())
    with tools.console.group("wheels of the model"):
        tools.uv.unpack(
            wheels,
            packages,
            python=tools.host.python,
            platform=uv_platform(target),
            version=f"3.{target.minor}",
            indexes=indexes_for(required.needs, tools),
        )
    missing = missing_libraries(packages, system, tools)
    return missing, tuple(library_findings(missing, system, links=required.locked))


def _uv_findings(model: Path, tools: Tools) -> Iterator[Finding]:
    """Yield a warning if MLflow would restore the model by `uv sync`, and there is no uv on PATH."""
    if (model / UV_FILES[0]).is_file() and shutil.which("uv", path=tools.host.variables.get("PATH", "")) is None:
        yield Finding(
            rule="uv-missing",
            severity=Severity.WARNING,
            what="the model has a uv.lock, and there is no uv on PATH",
            why="MLflow restores it with `uv sync`, and installs other versions without it",
            fix="pip install uv",
        )


def _interpreter(environment: Path | None, tools: Tools) -> Path | None:
    """
    Return the interpreter of the environment that was named, else of the active one, None without either.

    Raises BadInput for a path without an interpreter.
    """
    variables = tools.host.variables
    active = variables.get("VIRTUAL_ENV") or variables.get("CONDA_PREFIX")
    folder = environment or (Path(active) if active else None)
    if folder is None:
        return None
    interpreter = folder / "bin" / "python" if folder.is_dir() else folder
    if not interpreter.is_file():
        raise BadInput(
            what=f"`{folder}` is not an environment",
            why="it has no bin/python",
            fix=option("compare-with", "FOLDER"),
        )
    return interpreter.absolute()


def _inventory(interpreter: Path, tools: Tools) -> Mapping[str, Any]:
    """Return the packages of an environment. Raises BadInput for a program that is not Python."""
    try:
        return read_inventory(tools.servers.inventory(interpreter))
    except StepError as error:
        raise BadInput(
            what=f"`{interpreter}` does not list its packages, as Python does",
            why=error.what,
            fix=option("compare-with", "FOLDER"),
        ) from error


def _difference_findings(
    required: ModelRequirements, interpreter: Path, python: str, differences: tuple[PackageDifference, ...]
) -> Iterator[Finding]:
    place, needs = f"the environment of `{interpreter}`", required.needs
    if not python.startswith(f"{needs.minor}."):
        yield Finding(
            rule="environment-other-python",
            what=f"{place} has Python {python}, and the model was trained with {needs.python}",
            why="pickled code and pins of a model are those of one minor version",
            fix=f"uv venv --python {needs.minor} FOLDER",
        )
    differing = [item for item in differences if item.required is not None]
    if differing:
        yield Finding(
            rule="environment-differs",
            severity=Severity.WARNING,
            what=f"{counted(len(differing), 'package')} of the model {_verb(differing)} not in {place} in its version",
            why=first_names([item.text for item in differing]),
            fix=installation_fix(interpreter, differing, {canonicalize_name(wheel.name) for wheel in needs.wheels}),
        )
    extra = [f"{item.name} {item.installed}" for item in differences if item.required is None]
    if extra:
        yield Finding(
            rule="environment-has-more",
            severity=Severity.NOTICE,
            what=f"{counted(len(extra), 'package')} of {place} {_verb(extra)} not in the model's",
            why=f"code that imports them works here and fails there: {first_names(extra)}",
            fix="uv add each of them that the model imports",
        )


def installation_fix(interpreter: Path, differing: Iterable[PackageDifference], wheels: Collection[str]) -> str:
    """
    The command that installs the versions of the model; packages that are `wheels` in the model are only named.

    No index has those, or it has others of the same name.
    """
    pins, own = [], []
    for item in differing:
        if item.name in wheels:
            own.append(item.name)
        else:
            pins.append(item.name if item.required == "any version" else f"{item.name}=={item.required}")
    command = shlex.join(("uv", "pip", "install", "--python", str(interpreter), *pins)) if pins else ""
    from_model = f"install {', '.join(own)} from `{WHEELS}` in the model" if own else ""
    return ", and ".join(filter(None, (command, from_model)))


def _verb(items: Sized) -> str:
    return "is" if len(items) == 1 else "are"


def _facts(
    required: ModelRequirements, request: DiagnosisRequest, target: Target, interpreter: Path | None, tools: Tools
) -> Iterator[tuple[str, str]]:
    needs = required.needs
    here = tools.uv.other_python(f"=={needs.minor}.*")
    yield "model", request.shown
    yield "Python", f"{needs.python} ({here or 'not installed here; uv can download it'})"
    kind = "locked, with hashes" if needs.hashed else "locked" if required.locked else "not from a lock"
    pins: Requirements | None = needs.requirements
    yield "packages", f"{len(pins.pins) if pins else len(required.lines)} ({kind})"
    if needs.wheels:
        yield "wheels in the model", ", ".join(wheel.file for wheel in needs.wheels)
    if required.local:
        yield "files of another machine", ", ".join(required.local)
    yield "package indexes", ", ".join(required.indexes) or "the default index"
    yield "target", str(target)
    yield "environment", str(interpreter) if interpreter else "none is active"
