"""Describes what the program finds on its host, and diagnoses a model: its requirements, targets and environment."""

import platform
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from .. import __version__
from ..command.errors import BadInput, StepError
from ..command.inputs import Builds, EngineInputs, OneTarget, RegistryInputs
from ..command.report import Finding, Report, Severity, Table, counted
from ..command.step import Doc, OneRun, Step
from ..command.wording import option
from ..core.security.control_characters import visible
from ..core.security.masking import mask
from ..ops.diagnosis.diagnosis import Diagnosis, DiagnosisRequest, diagnose
from ..ops.diagnosis.environment_files import copy_environment_files
from ..ops.image.isolation import download_version
from ..ops.lineage.registry_client import connect
from ..ops.lineage.version_lookup import VersionUriInput, parsed_uri, version_number
from ..ops.lock.freshness import examine, restricted
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.project.files import read_project
from ..tools.toolbox import Tools

_MODEL = VersionUriInput(name="model", usual="champion", origin="release")


@lazy_dataclass
class Inputs(RegistryInputs, EngineInputs):
    """Inputs of doctor: the project, the store and uv, and the model to diagnose."""

    model: Annotated[
        str | None,
        OneRun(),
        Doc(
            "Model to diagnose without running it: models:/NAME@ALIAS, models:/NAME/NUMBER, or a folder with an MLmodel"
            " file."
        ),
    ] = None
    target: OneTarget = None
    compare_with: Annotated[
        Path | None,
        OneRun(),
        Doc("Environment, or interpreter, that is compared with the diagnosed model; defaults to the active one."),
    ] = None


@lazy_dataclass
class PackageEntry:
    """A package that differs between the model and an environment; None where it has none."""

    name: str
    required: str | None
    installed: str | None


@lazy_dataclass
class Outputs:
    """Outputs of doctor."""

    seen: Annotated[str, Doc("Text of the report, one fact per line.")]
    target: Annotated[str, Doc("Target that the model was diagnosed for, in full notation.")] = ""
    differing_packages: Annotated[
        tuple[PackageEntry, ...],
        Doc("Packages that the environment lacks, has in other versions or has in addition, as JSON."),
    ] = ()
    libraries: Annotated[
        tuple[str, ...], Doc("Shared libraries that packages of the model are linked with and the base image lacks.")
    ] = ()


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Collect every fact; one that is not available is reported as such, and never fails the step.

    A model is diagnosed in addition; an error among its findings says that it would not work there. Raises BadInput,
    ChainBroken, ModelUnusable, StoreUnreachable, ToolFailed.
    """
    lines = [f"{name + ':':<22} {visible(_described(value))}" for name, value in _facts(inputs, tools)]
    text = mask("\n".join(lines), tools.secrets) + "\n"
    if inputs.model is None:
        return Report(outputs=Outputs(seen=text), summary="one block to paste into a bug report", result=text)
    with TemporaryDirectory(prefix="mlflow-uv-doctor-") as folder:
        diagnosis = _diagnosed(inputs, inputs.model, Path(folder), tools)
    return Report(
        outputs=Outputs(
            seen=text,
            target=str(diagnosis.target),
            differing_packages=tuple(
                PackageEntry(name=item.name, required=item.required, installed=item.installed)
                for item in diagnosis.differences
            ),
            libraries=tuple(dict.fromkeys(item.library for item in diagnosis.libraries)),
        ),
        summary=_summary(inputs.model, diagnosis),
        findings=diagnosis.findings,
        tables=tuple(_masked(table, tools) for table in diagnosis.tables),
    )


def _diagnosed(inputs: Inputs, named: str, scratch: Path, tools: Tools) -> Diagnosis:
    model = scratch / "model"
    if (Path(named) / "MLmodel").is_file():
        # Nothing is written into the folder, which may be read-only.
        copy_environment_files(Path(named), model)
    elif named.startswith("models:/"):
        name, number, alias = parsed_uri(named, _MODEL)
        registry = connect(inputs, tools)
        version = version_number(registry, name, alias or number, _MODEL)
        download_version(registry, name, version, model)
    else:
        raise BadInput(
            what=f"`{named}` is not a model",
            why="it is neither a folder with an MLmodel file nor a models:/ URI",
            fix=option("model", "models:/NAME@ALIAS"),
        )
    request = DiagnosisRequest(
        shown=named,
        target=inputs.target,
        environment=inputs.compare_with,
        base_image=inputs.base_image,
        engine=inputs.engine,
        scratch=scratch,
    )
    return diagnose(model, request, tools)


def _summary(model: str, diagnosis: Diagnosis) -> str:
    errors = _errors(diagnosis.findings)
    if errors:
        return f"{model}: {counted(errors, 'problem')} would keep it from working on {diagnosis.target}"
    return f"{model}: nothing was found that would keep it from working on {diagnosis.target}"


def _errors(findings: tuple[Finding, ...]) -> int:
    return sum(finding.severity is Severity.ERROR for finding in findings)


def _masked(table: Table, tools: Tools) -> Table:
    secrets = tools.secrets
    rows = tuple(tuple(mask(visible(cell), secrets) for cell in row) for row in table.rows)
    return Table(title=table.title, columns=table.columns, rows=rows)


def _facts(inputs: Inputs, tools: Tools) -> Iterator[tuple[str, object]]:
    around = tools.host
    yield "mlflow-uv", __version__
    yield "python", f"{platform.python_version()} ({around.python})"
    yield "platform", platform.platform()
    yield "git", lambda: tools.git.version() or "not found"
    yield "private folders", f"{around.cache}, {around.state}"
    yield "project", lambda: read_project(inputs.project).name
    yield "lock", lambda: _lock(inputs, restricted(tools, Builds.AUTO))
    yield "uv", lambda: _uv(inputs, tools)
    yield "ignored variables", lambda: ", ".join(tools.uv.set_aside(respect_env=False)) or "none"
    yield "engine", tools.engines.described
    yield "tracking store", lambda: tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded).shown
    yield "CI", "GitHub Actions" if around.ci else "none"


def _uv(inputs: Inputs, tools: Tools) -> str:
    program = tools.uv.program(read_project(inputs.project))
    return f"{tools.uv.version(program)} ({program})"


def _described(fact: object) -> str:
    try:
        return str(fact() if callable(fact) else fact)
    except StepError as error:
        return f"not available: {error}"


def _lock(inputs: Inputs, tools: Tools) -> str:
    return examine(read_project(inputs.project), tools, respect_env=False, offline=True).state.value


STEP = Step(
    name="doctor",
    summary="Report versions, paths and settings for a bug report, and what would keep a model from working elsewhere.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
