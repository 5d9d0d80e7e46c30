"""Measures candidate and champion on the same data, each in its own environment, for the store or for a file."""

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..command.errors import BadInput, ToolFailed
from ..command.inputs import (
    Candidate,
    Champion,
    Embedded,
    EvaluationPath,
    Extras,
    Groups,
    Isolation,
    ModelName,
    PackageName,
    ProjectPath,
    Reused,
    ServeEnv,
    TrackingUri,
    UvProgram,
    VersionNumber,
)
from ..command.report import Report
from ..command.step import Doc, OneRun, Step
from ..command.wording import Wording, joined, option
from ..core.lock.selection import Selection
from ..core.model.model_difference import metric_table
from ..core.promotion.evaluation import DataFile, DataFunction, EvaluationSettings, Measures, TargetColumn
from ..core.promotion.evaluation_file import DATA_DIGEST, SETTINGS, EvaluationFile, ModelResult
from ..core.release.digests import canonical, sha256
from ..core.security.serve_env import serve_variables
from ..ops.image.isolation import subject_of
from ..ops.lineage.audit import named
from ..ops.lineage.registry_client import RegistryClient, contact
from ..ops.versions.evaluation import (
    EVALUATION,
    Evaluation,
    EvaluationSession,
    Measured,
    earlier,
    keep,
    measure,
    throwaway,
)
from ..tools.project.files import write_atomically
from ..tools.toolbox import Tools


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Which versions, on which data."""

    project: ProjectPath = Path()
    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()
    model_name: ModelName = None
    candidate: Candidate = "candidate"
    champion: Champion = "champion"
    data: DataFile = None
    data_function: DataFunction = None
    target_column: TargetColumn = None
    model_type: Measures = None
    again: Annotated[bool, OneRun(), Doc("Evaluate even if these versions were evaluated on the same data before.")] = (
        False
    )
    evaluation_file: EvaluationPath = None
    isolation: Annotated[
        Isolation,
        OneRun(),
        Doc(
            "Where each version runs: `image` in a container of its image, `process` in a process of this"
            " machine, `auto` in a container if possible, else in a process."
        ),
    ] = Isolation.AUTO
    serve_env: ServeEnv = ()
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was compared."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    champion_version: Annotated[
        str | None, Doc("Version number of the champion; empty if there is none or it is the candidate itself.")
    ]
    evaluation: Annotated[str, Doc("Id of the evaluation, recorded in the runs of both versions.")]
    evaluation_file: Annotated[
        Path | None,
        Doc("Path of the evaluation result, to pass to promote in another job; empty if none was requested."),
    ]
    isolation: Annotated[
        str,
        Doc(
            "Where the versions ran, image (containers without network) or process; empty if an earlier result"
            " was reused."
        ),
    ]
    data_sha256: Annotated[str, Doc("SHA-256 of the evaluation data file.")]
    reused: Reused


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Ask both versions the same rows, or find that it was done; keep one run for each, of one evaluation.

    With a file for the result, nothing is looked for and nothing kept: the store is only read.

    Raises BadInput, ChainBroken, ModelUnusable, ToolMissing, StoreUnreachable.
    """
    store = contact(inputs, tools)
    name = store.model_name(inputs.model_name)
    version = inputs.candidate if inputs.candidate.isdecimal() else named(store, name, inputs.candidate)
    rival = store.ask("describe-name", name=name)["aliases"].get(inputs.champion)
    versions = (version,) if rival in (None, version) else (version, rival)
    with TemporaryDirectory(prefix="mlflow-uv-evaluate-") as folder:
        sitting, asked = _sitting(inputs, store, Path(folder))
        subjects = tuple(subject_of(store, name, one, sitting.scratch / f"model-{one}") for one in versions)
        settings = sha256(canonical([sitting.target, sitting.model_type]))
        tags = {**asked, DATA_DIGEST: sitting.data_sha256, SETTINGS: settings}
        file = inputs.evaluation_file
        known = None if inputs.again or file else earlier(store, subjects, tags)
        measured = () if known else tuple(measure(store, one, sitting, inputs.isolation) for one in subjects)
        metrics = tuple(one.metrics for one in measured)
        found = known or Evaluation(id=secrets.token_hex(16), metrics=metrics)
        if file:
            results = {
                subject.id: ModelResult(sha256=subject.sha256, metrics=one.metrics)
                for subject, one in zip(subjects, measured, strict=True)
            }
            result = EvaluationFile(id=found.id, model_name=name, tags=tags, models=results)
            write_atomically(file, result.to_json().encode())
        elif measured:
            keep(store, subjects, measured, {**tags, EVALUATION: found.id})
    again = ", reused" if known else ""
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            champion_version=versions[1] if len(versions) > 1 else None,
            evaluation=found.id,
            evaluation_file=file,
            isolation=_isolation(measured),
            data_sha256=sitting.data_sha256,
            reused=known is not None,
        ),
        summary=f"{name} version {version} {_against(inputs, versions, rival)}{again}",
        findings=tuple(finding for one in measured for finding in one.findings),
        tables=(metric_table(found.metrics[0], found.metrics[1] if len(versions) > 1 else None),),
    )


def _isolation(measured: tuple[Measured, ...]) -> str:
    """The weakest of them."""
    places = {one.isolation for one in measured}
    return "process" if "process" in places else "".join(places)


def _against(inputs: Inputs, versions: tuple[str, ...], rival: str | None) -> str:
    if len(versions) > 1:
        return f"compared with version {rival}, the {inputs.champion}"
    return f"evaluated alone: {f'it is the {inputs.champion}' if rival else f'there is no {inputs.champion} yet'}"


def _sitting(inputs: Inputs, store: RegistryClient, scratch: Path) -> tuple[EvaluationSession, Mapping[str, str]]:
    """What both are asked, and the tags that say what that was."""
    settings = EvaluationSettings(
        data=inputs.data,
        data_function=inputs.data_function,
        target_column=inputs.target_column,
        model_type=inputs.model_type,
    )
    tags = settings.tags(store.project.folder if store.project else inputs.project)
    if inputs.target_column and inputs.model_type is None:
        fix = Wording(option("model-type", "classifier"), ", or regressor")
        raise BadInput(
            what="`target-column` needs `model-type`", why="the metrics depend on the type of the model", fix=fix
        )
    data = _data(inputs, store, scratch)
    sitting = EvaluationSession(
        data=data,
        data_sha256=sha256(data.read_bytes()),
        target=inputs.target_column,
        model_type=inputs.model_type.value if inputs.model_type else None,
        scratch=scratch,
        handed=serve_variables(inputs.serve_env, store.tools.host.variables),
    )
    return sitting, tags


def _data(inputs: Inputs, store: RegistryClient, scratch: Path) -> Path:
    """A copy of the data, which nobody changes between the one model and the other."""
    if inputs.data_function is not None:
        if store.project is None:
            raise BadInput(
                what="`data-function` needs the project",
                why="the project folder was not found",
                fix=option("project", "FOLDER"),
            )
        selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
        python = store.tools.environments.project(store.project, selection)
        copy = scratch / "data.parquet"
        words = {"function": inputs.data_function, "folder": str(store.project.folder), "destination": str(copy)}
        try:
            store.tools.mlflow.ask(python, throwaway(scratch / "function", store.tools), "write-data", **words)
        except BadInput as error:
            raise BadInput(what="`data-function` returns no data", why=error.why) from error
        except ToolFailed as error:  # what it called has ended the process that called it
            why = f"`{inputs.data_function}` ended its process; its last output is: {error.why}"
            raise BadInput(what="`data-function` returns no data", why=why) from error
        return copy
    if inputs.data is None:
        fix = joined(", or ", (option("data", "FILE"), option("data-function", "package.module:function")))
        raise BadInput(what="no evaluation data is given", why="neither `data` nor `data-function` is set", fix=fix)
    file = (store.project.folder if store.project else inputs.project) / inputs.data
    if not file.is_file():
        raise BadInput(
            what=f"the data `{inputs.data}` does not exist", why=f"{file} is not a file", fix=option("data", "FILE")
        )
    return Path(shutil.copyfile(file, scratch / f"data{file.suffix}"))


STEP = Step(
    name="evaluate",
    summary="Evaluate candidate and champion on the same data, each in its own environment, and record the metrics.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
