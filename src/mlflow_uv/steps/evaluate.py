"""Evaluates candidate and champion on the same data, each in its own environment, for the store or for a file."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..command.errors import BadInput, ToolFailed
from ..command.inputs import (
    CandidateInputs,
    ChampionInputs,
    IsolationInputs,
    ModelNameInputs,
    ModelPlace,
    RegistryInputs,
    Reused,
    ServeEnvInputs,
    VersionNumber,
)
from ..command.report import Report
from ..command.step import Doc, OneRun, Step
from ..command.wording import Wording, joined, option
from ..core.lock.selection import Selection
from ..core.model.model_difference import metric_table
from ..core.promotion.evaluation import DataFile, DataFunction, EvaluationSettings, Measures, TargetColumn
from ..core.promotion.evaluation_file import EvaluationFile, ModelResult
from ..core.release.digests import canonical, sha256
from ..core.security.serve_env import serve_variables
from ..ops.image.isolation import download_version
from ..ops.lineage.registry_client import RegistryClient, connect
from ..ops.lineage.version_lookup import CANDIDATE, version_number
from ..ops.versions.evaluation import (
    Evaluation,
    EvaluationSession,
    Measurement,
    earlier,
    keep,
    measure,
    temporary_store,
)
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.tags import DATA_DIGEST, EVALUATION, EVALUATION_SETTINGS
from ..tools.mlflow.store_client import StoreClient
from ..tools.project.files import write_atomically
from ..tools.toolbox import Tools


@lazy_dataclass
class Inputs(RegistryInputs, ModelNameInputs, CandidateInputs, ChampionInputs, IsolationInputs, ServeEnvInputs):
    """Inputs of evaluate: the versions, the data and the metrics."""

    data: DataFile = None
    data_function: DataFunction = None
    target_column: TargetColumn = None
    model_type: Measures = None
    again: Annotated[bool, OneRun(), Doc("Evaluate even if these versions were evaluated on the same data before.")] = (
        False
    )


@lazy_dataclass
class Outputs:
    """Outputs of evaluate."""

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
    isolation: ModelPlace
    data_sha256: Annotated[str, Doc("SHA-256 of the evaluation data file.")]
    reused: Reused


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Evaluate both versions on the same rows, or reuse an earlier evaluation; log one run for each version.

    With a file for the result, no earlier evaluation is reused and the store is only read.

    Raises BadInput, ChainBroken, ModelUnusable, ToolMissing, StoreUnreachable.
    """
    registry = connect(inputs, tools)
    name = registry.model_name(inputs.model_name)
    version = version_number(registry, name, inputs.candidate, CANDIDATE)
    champion_version = registry.client.describe_name(name).aliases.get(inputs.champion)
    versions = (version,) if champion_version in (None, version) else (version, champion_version)
    with TemporaryDirectory(prefix="mlflow-uv-evaluate-") as folder:
        session, source_tags = _session(inputs, registry, Path(folder))
        subjects = tuple(
            download_version(registry, name, number, session.scratch / f"model-{number}") for number in versions
        )
        settings = sha256(canonical([session.target, session.model_type]))
        tags = {**source_tags, DATA_DIGEST: session.data_sha256, EVALUATION_SETTINGS: settings}
        file = inputs.evaluation_file
        earlier_result = None if inputs.again or file else earlier(registry, subjects, tags)
        measured = (
            ()
            if earlier_result
            else tuple(measure(registry, subject, session, inputs.isolation) for subject in subjects)
        )
        metrics = tuple(measurement.metrics for measurement in measured)
        evaluation = earlier_result or Evaluation(id=os.urandom(16).hex(), metrics=metrics)
        if file:
            results = {
                subject.id: ModelResult(sha256=subject.sha256, metrics=measurement.metrics)
                for subject, measurement in zip(subjects, measured, strict=True)
            }
            result = EvaluationFile(id=evaluation.id, model_name=name, tags=tags, models=results)
            write_atomically(file, result.to_json().encode())
        elif measured:
            keep(registry, subjects, measured, {**tags, EVALUATION: evaluation.id})
    note = ", reused" if earlier_result else ""
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            champion_version=versions[1] if len(versions) > 1 else None,
            evaluation=evaluation.id,
            evaluation_file=file,
            isolation=_isolation(measured),
            data_sha256=session.data_sha256,
            reused=earlier_result is not None,
        ),
        summary=f"{name} version {version} {_comparison(inputs, versions, champion_version)}{note}",
        findings=tuple(finding for measurement in measured for finding in measurement.findings),
        tables=(metric_table(evaluation.metrics[0], evaluation.metrics[1] if len(versions) > 1 else None),),
    )


def _isolation(measured: tuple[Measurement, ...]) -> str:
    """Return the weakest isolation among the measurements."""
    places = {measurement.isolation for measurement in measured}
    return "process" if "process" in places else "".join(places)


def _comparison(inputs: Inputs, versions: tuple[str, ...], champion_version: str | None) -> str:
    if len(versions) > 1:
        return f"compared with version {champion_version}, the {inputs.champion}"
    reason = f"it is the {inputs.champion}" if champion_version else f"there is no {inputs.champion} yet"
    return f"evaluated alone: {reason}"


def _session(inputs: Inputs, registry: RegistryClient, scratch: Path) -> tuple[EvaluationSession, Mapping[str, str]]:
    """Return the session for both versions, and the tags that identify its data and metrics."""
    settings = EvaluationSettings(
        data=inputs.data,
        data_function=inputs.data_function,
        target_column=inputs.target_column,
        model_type=inputs.model_type,
    )
    tags = settings.tags(registry.project.folder if registry.project else inputs.project)
    if inputs.target_column and inputs.model_type is None:
        fix = Wording(option("model-type", "classifier"), ", or regressor")
        raise BadInput(
            what="`target-column` needs `model-type`", why="the metrics depend on the type of the model", fix=fix
        )
    data = _data(inputs, registry, scratch)
    session = EvaluationSession(
        data=data,
        data_sha256=sha256(data.read_bytes()),
        target=inputs.target_column,
        model_type=inputs.model_type.value if inputs.model_type else None,
        scratch=scratch,
        serve_env=serve_variables(inputs.serve_env, registry.tools.host.variables),
    )
    return session, tags


def _data(inputs: Inputs, registry: RegistryClient, scratch: Path) -> Path:
    """Copy or compute the data, so that it cannot change between the two evaluations."""
    if inputs.data_function is not None:
        if registry.project is None:
            raise BadInput(
                what="`data-function` needs the project",
                why="the project folder was not found",
                fix=option("project", "FOLDER"),
            )
        selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
        python = registry.tools.environments.project(registry.project, selection)
        copy = scratch / "data.parquet"
        store = temporary_store(scratch / "function", registry.tools)
        client = StoreClient(mlflow=registry.tools.mlflow, python=python, store=store)
        try:
            client.write_data(inputs.data_function, folder=registry.project.folder, destination=copy)
        except BadInput as error:
            raise BadInput(what="`data-function` returns no data", why=error.why) from error
        except ToolFailed as error:  # the function ended its own process
            why = f"`{inputs.data_function}` ended its process; its last output is: {error.why}"
            raise BadInput(what="`data-function` returns no data", why=why) from error
        return copy
    if inputs.data is None:
        fix = joined(", or ", (option("data", "FILE"), option("data-function", "package.module:function")))
        raise BadInput(what="no evaluation data is given", why="neither `data` nor `data-function` is set", fix=fix)
    file = (registry.project.folder if registry.project else inputs.project) / inputs.data
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
