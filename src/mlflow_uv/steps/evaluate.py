"""How good is the candidate, on the same data as the champion and each in its own environment?"""

import secrets
import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..auditing import named
from ..contact import Contact, contact
from ..core.digests import canonical, sha256
from ..core.modeldifference import metric_table
from ..core.selection import Selection
from ..errors import BadInput
from ..measuring import Evaluation, Exam, earlier, keep, measure, subject_of, throwaway
from ..report import Report
from ..step import Doc, Matching, OneOf, OneRun, Step
from ..tools.toolbox import Tools
from ..vocabulary import (
    Candidate,
    Champion,
    Embedded,
    Extras,
    Groups,
    ModelName,
    PackageName,
    ProjectPath,
    Reused,
    TrackingUri,
    UvProgram,
    VersionNumber,
)

_FUNCTION = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"


class ModelType(Enum):
    """What MLflow's default evaluator knows how to measure."""

    CLASSIFIER = "classifier"
    REGRESSOR = "regressor"
    QUESTION_ANSWERING = "question-answering"
    SUMMARIZATION = "text-summarization"
    TEXT = "text"
    RETRIEVER = "retriever"


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
    data: Annotated[
        Path | None,
        OneOf("data"),
        Doc("File with data that no training has seen, in the project: CSV, Parquet, JSON or JSON Lines."),
    ] = None
    data_function: Annotated[
        str | None,
        OneOf("data"),
        Doc("Function of the project that returns such data as a DataFrame, as package.module:function."),
        Matching(_FUNCTION, "of the form package.module:function"),
    ] = None
    target_column: Annotated[str | None, Doc("Column of the data that holds the right answers.")] = None
    model_type: Annotated[
        ModelType | None, Doc("What to measure, as MLflow calls it; without it the time that an answer takes alone.")
    ] = None
    again: Annotated[bool, OneRun(), Doc("Evaluate again what was evaluated on the same data before.")] = False
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was compared."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    champion_version: Annotated[str | None, Doc("Version that the champion's alias names, if it is another one.")]
    evaluation: Annotated[str, Doc("Id that the runs of both versions carry.")]
    data_sha256: Annotated[str, Doc("sha256 of the file that both were asked with.")]
    reused: Reused


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Ask both versions the same rows, or find that it was done; keep one run for each, of one evaluation.

    Raises BadInput, ChainBroken, ModelUnusable, ToolMissing, StoreUnreachable.
    """
    store = contact(inputs, tools)
    name = store.model_name(inputs.model_name)
    version = inputs.candidate if inputs.candidate.isdecimal() else named(store, name, inputs.candidate)
    rival = store.ask("describe-name", name=name)["aliases"].get(inputs.champion)
    versions = (version,) if rival in (None, version) else (version, rival)
    with TemporaryDirectory(prefix="mlflow-uv-evaluate-") as folder:
        exam = _exam(inputs, store, Path(folder))
        subjects = tuple(subject_of(store, name, one, exam.scratch / f"model-{one}") for one in versions)
        tags = {"mlflow-uv.data-sha256": exam.data_sha256, "mlflow-uv.evaluation-settings": _settings(exam)}
        known = None if inputs.again else earlier(store, subjects, tags)
        measured = () if known else tuple(measure(store, one, exam) for one in subjects)
        metrics = tuple(one.metrics for one in measured)
        found = known or Evaluation(id=secrets.token_hex(16), metrics=metrics)
        if measured:
            keep(store, subjects, measured, {**tags, "mlflow-uv.evaluation": found.id})
    again = ", found again" if known else ""
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            champion_version=versions[1] if len(versions) > 1 else None,
            evaluation=found.id,
            data_sha256=exam.data_sha256,
            reused=known is not None,
        ),
        summary=f"{name} version {version} {_against(inputs, versions, rival)}{again}",
        findings=tuple(finding for one in measured for finding in one.findings),
        tables=(metric_table(found.metrics[0], found.metrics[1] if len(versions) > 1 else None),),
    )


def _against(inputs: Inputs, versions: tuple[str, ...], rival: str | None) -> str:
    if len(versions) > 1:
        return f"evaluated beside version {rival}, the {inputs.champion}"
    return f"evaluated alone: {f'it is the {inputs.champion}' if rival else f'there is no {inputs.champion} yet'}"


def _exam(inputs: Inputs, store: Contact, scratch: Path) -> Exam:
    if inputs.target_column and inputs.model_type is None:
        fix = "--model-type classifier, or regressor"
        raise BadInput(what="nothing says what to measure", why="there is a target-column, and no model-type", fix=fix)
    data = _data(inputs, store, scratch)
    return Exam(
        data=data,
        data_sha256=sha256(data.read_bytes()),
        target=inputs.target_column,
        model_type=inputs.model_type.value if inputs.model_type else None,
        scratch=scratch,
    )


def _settings(exam: Exam) -> str:
    """What else decides about the numbers."""
    return sha256(canonical([exam.target, exam.model_type]))


def _data(inputs: Inputs, store: Contact, scratch: Path) -> Path:
    """A copy of the data, which nobody changes between the one model and the other."""
    if inputs.data_function is not None:
        if store.project is None:
            raise BadInput(what="`data-function` needs the project", why="it is not here", fix="--project FOLDER")
        selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
        python = store.tools.environments.project(store.project, selection)
        copy = scratch / "data.parquet"
        words = {"function": inputs.data_function, "folder": str(store.project.folder), "destination": str(copy)}
        try:
            store.tools.mlflow.ask(python, throwaway(scratch / "function", store.tools), "write-data", **words)
        except BadInput as error:
            raise BadInput(what="`data-function` returns no data", why=error.why) from error
        return copy
    if inputs.data is None:
        fix = "--data FILE, or --data-function package.module:function"
        raise BadInput(
            what="nothing says which data to evaluate on", why="there is neither data nor data-function", fix=fix
        )
    file = (store.project.folder if store.project else inputs.project) / inputs.data
    if not file.is_file():
        raise BadInput(what=f"the data `{inputs.data}` is not there", why=f"{file} is no file", fix="--data FILE")
    return Path(shutil.copyfile(file, scratch / f"data{file.suffix}"))


STEP = Step(
    name="evaluate",
    summary="Evaluate candidate and champion on the same data, each in its own environment, and keep the numbers.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
