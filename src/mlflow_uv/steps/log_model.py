"""Trains or adopts a model, writes the lock into it, and verifies requirements and answers of the stored model."""

from dataclasses import replace
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..command.errors import InputsChanged, TrainingFailed
from ..command.inputs import (
    LockDigest,
    LockInputs,
    ModelDigest,
    RecordFile,
    RecordInputs,
    RequirementsDigest,
    ResponseInputs,
    Reused,
    SelectionInputs,
)
from ..command.report import Finding, Report, Severity
from ..command.step import Doc, OneOf, OneRun, Quoted, SettingReach, Step, Words
from ..core.lock.selection import Selection
from ..core.model import model_files
from ..core.model.ignored_answers import ignored_paths
from ..core.model.mlflow_version import require_logging
from ..core.release.digests import lock_digest
from ..core.release.record import LockLink, Record, release_key
from ..core.security.serve_env import serve_variables
from ..ops.lineage.open_attempts import close_abandoned
from ..ops.lineage.publication import publish_logged
from ..ops.lock.freshness import require_fresh
from ..ops.lock.served_selection import require_mlflow
from ..ops.model.acquire import Obtained, earlier, obtain, obtain_interrupted
from ..ops.model.adoption import adopt
from ..ops.model.case_file import cases_of
from ..ops.model.input_changes import require_settled
from ..ops.model.input_example import example_of
from ..ops.model.model_verification import verify_logged
from ..ops.model.release_key import explain, key_of, left_behind, parts_of, training_files
from ..ops.model.source import NAMES, ModelSource, ModelSourceKind, source_of, with_parameters
from ..ops.model.training import Job
from ..ops.model.training_programs import with_program
from ..ops.model.verification_plan import RequirementsPolicy, VerificationPlan
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.project.files import Project, read_project
from ..tools.toolbox import Tools
from ..tools.uv.environments import Environment, LocalSource
from ..tools.uv.wheels import build_wheels


class ModelOrigin(Enum):
    """Where the model comes from."""

    TRAINED = "trained"
    ADOPTED = "adopted"
    FOUND_AGAIN = "found again"
    RESUMED = "resumed"


_OUTCOMES = {
    (ModelOrigin.TRAINED, True): "trained and verified",
    (ModelOrigin.TRAINED, False): "trained, but not verified",
    (ModelOrigin.ADOPTED, True): "adopted and verified",
    (ModelOrigin.ADOPTED, False): "found, but not verified",
    (ModelOrigin.FOUND_AGAIN, True): "reused, nothing trained",
    (ModelOrigin.RESUMED, True): "of an interrupted release verified, nothing trained",
    (ModelOrigin.RESUMED, False): "of an interrupted release not verified",
}


@lazy_dataclass
class Inputs(SelectionInputs, ResponseInputs, RecordInputs, LockInputs):
    """Inputs of log-model: how the model is made, what it serves with, and where it is logged."""

    train: Annotated[
        tuple[str, ...],
        Words(),
        OneOf("model source"),
        Doc(
            "Training command, run without a shell in the project folder, with the locked packages; use `sh -c`"
            " for shell syntax."
        ),
    ] = ()
    entry_point: Annotated[
        str | None, OneOf("model source"), Doc("Entry point of the project's MLproject file, instead of `train`.")
    ] = None
    parameters: Annotated[
        tuple[str, ...], Quoted(), Doc("Parameters of the entry point as NAME=VALUE, as for `mlflow run -P`.")
    ] = ()
    model: Annotated[
        Path | None,
        OneOf("model source"),
        SettingReach.DISCLOSED,
        Doc("Folder of a saved MLflow model to log, instead of `train`."),
    ] = None
    function: Annotated[
        str | None,
        OneOf("model source"),
        Doc(
            "Function, as package.module:function, that returns the model and optionally an input example,"
            " instead of `train`."
        ),
    ] = None
    from_run: Annotated[
        str | None,
        OneOf("model source"),
        OneRun(),
        Doc("Id of a finished MLflow run whose model is released, instead of `train`."),
    ] = None
    from_model: Annotated[
        str | None,
        OneOf("model source"),
        OneRun(),
        Doc(
            "Logged model to release, instead of `train`: its id, models:/NAME@ALIAS, models:/NAME/VERSION or"
            " runs:/RUN/NAME."
        ),
    ] = None
    logged_model: Annotated[str | None, Doc("Name of the logged model to release, if training logs several.")] = None
    input_example: Annotated[
        Path | None,
        SettingReach.DISCLOSED,
        Doc(
            "JSON or CSV file with the input example for the tests, instead of the example that the model was logged"
            " with."
        ),
    ] = None
    cases: Annotated[
        Path | None,
        SettingReach.DISCLOSED,
        Doc(
            "JSON Lines or CSV file with requests, and optionally their expected responses, that are recorded and"
            " tested in addition to the input example."
        ),
    ] = None
    environment: Annotated[
        Environment,
        Doc(
            "Environment for training: `private` is created from the lock, `project` is the project's own if it"
            " matches the lock."
        ),
    ] = Environment.PRIVATE
    not_inputs: Annotated[
        tuple[str, ...],
        Doc(
            "Files that training does not depend on, as .gitignore patterns; changing only these files does not"
            " cause a new training."
        ),
    ] = ()
    experiment: Annotated[str | None, Doc("Name of the MLflow experiment; defaults to the project name.")] = None
    requirements: Annotated[
        RequirementsPolicy,
        Doc(
            "Requirements in the logged model: `lock` writes those of uv.lock, `verify` requires that MLflow's"
            " own match uv.lock, `infer` accepts MLflow's own."
        ),
    ] = RequirementsPolicy.LOCK
    retrain: Annotated[bool, OneRun(), Doc("Train even if a verified model of the same release exists.")] = False
    withhold_registry: Annotated[
        bool,
        Doc("Give training a temporary model registry, so that it cannot move aliases before the model is tested."),
    ] = False
    train_env: Annotated[
        tuple[str, ...],
        OneRun(),
        Doc(
            "Names of environment variables to pass to training although they are withheld by default, such as"
            " GITHUB_TOKEN."
        ),
    ] = ()


@lazy_dataclass
class Outputs:
    """Outputs of log-model: the logged model and the digests of its lineage."""

    record: RecordFile
    release_key: Annotated[
        str, Doc("Digest of everything that training depends on; releases with equal keys are the same release.")
    ]
    run_id: Annotated[str, Doc("Id of the MLflow run that created the model.")]
    model_id: Annotated[str, Doc("Id of the logged model in MLflow.")]
    model_uri: Annotated[str, Doc("URI that loads exactly this logged model.")]
    model_sha256: ModelDigest
    requirements_sha256: RequirementsDigest
    lock_sha256: LockDigest
    reused: Reused
    tracking_uri: Annotated[
        str | None,
        Doc(
            "Tracking URI that training chose itself and where the model is stored, for use in later steps;"
            " usually empty."
        ),
    ]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Train, or reuse or adopt an existing model; write the lock into it, download it again and verify it.

    Raises NotCommitted, LockNotFresh, TrainingFailed, InputsChanged, ModelNotFound, ModelUnusable, ChainBroken,
    StoreUnreachable.
    """
    project = read_project(inputs.project)
    findings: tuple[Finding, ...] = ()
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        plan = _settled_plan(inputs, project, Path(scratch), tools)
        close_abandoned(plan.job.client, tools)
        path = tools.records.path(inputs.record, inputs.project)
        initial_store, reusable = plan.job.store, None if inputs.retrain else earlier(plan, path, Path(scratch), tools)
        resumed = None if inputs.retrain or reusable is not None else obtain_interrupted(plan, Path(scratch), tools)
        if resumed is None:
            explain(plan.job, plan.keyed, reusable[1] if reusable else None, tools, wanted=inputs.retrain)
        if reusable is not None:
            plan, record, findings = reusable
        else:
            obtained = resumed or _obtained(plan, inputs, tools)
            plan = obtained.plan
            record, findings = verify_logged(plan, obtained.model, obtained.files, Path(scratch), tools)
            findings = (*obtained.findings, *findings, *left_behind(plan.keyed, tools))
        findings += plan.adopted.findings if plan.adopted else ()
        if not any(finding.severity is Severity.ERROR for finding in findings):
            # No later step may use a model that was not verified.
            publish_logged(record, path, plan.job.client, tools)
    origin = (
        ModelOrigin.FOUND_AGAIN
        if reusable is not None
        else ModelOrigin.RESUMED
        if resumed is not None
        else ModelOrigin.ADOPTED
        if plan.adopted
        else ModelOrigin.TRAINED
    )
    chosen_uri = plan.job.store.shown if plan.job.store is not initial_store else None
    return _report(record, findings, origin, record_file=path, chosen_uri=chosen_uri)


def _obtained(plan: VerificationPlan, inputs: Inputs, tools: Tools) -> Obtained:
    """
    Get the model, by training or as the inputs say.

    The files that a failed training left behind are printed: the next one may read or change them.
    """
    try:
        return obtain(plan, inputs.logged_model, tools)
    except TrainingFailed:
        for finding in left_behind(plan.keyed, tools):
            tools.console.say(finding.text)
        raise


def model_source(inputs: Inputs, project: Project, tools: Tools) -> ModelSource:
    """Return the model source that the inputs name. Raises BadInput unless there is exactly one."""
    entry_point = with_parameters(inputs.entry_point, inputs.parameters)
    given = {
        ModelSourceKind.TRAIN: inputs.train,
        ModelSourceKind.ENTRY_POINT: entry_point,
        ModelSourceKind.FUNCTION: inputs.function,
        ModelSourceKind.FOLDER: inputs.model,
        ModelSourceKind.RUN: inputs.from_run,
        ModelSourceKind.MODEL: inputs.from_model,
    }
    source = source_of(given, project=project)
    if inputs.parameters and source.kind is not ModelSourceKind.ENTRY_POINT:
        tools.console.say(f"`parameters` apply only to an entry point: `{NAMES[source.kind]}` does not receive them")
    return source


def _settled_plan(inputs: Inputs, project: Project, scratch: Path, tools: Tools) -> VerificationPlan:
    """Return the plan; if inputs changed while it was made, which a build may do, make it once more."""
    try:
        return _plan(inputs, project, scratch / "first", tools)
    except InputsChanged as changed:
        tools.console.say(f"{changed.what}: prepared again")
    tools.environments.invalidate()
    return _plan(inputs, read_project(inputs.project), scratch / "second", tools)


def _plan(inputs: Inputs, project: Project, scratch: Path, tools: Tools) -> VerificationPlan:
    from ..tools.system.archive_content import wheel_inputs  # noqa: PLC0415

    source = model_source(inputs, project, tools)
    model_variables = serve_variables(inputs.serve_env, tools.host.variables)
    ignored, commit = ignored_paths(inputs.ignore_answers), tools.git.commit(project.folder)
    scope, files = training_files(project, inputs.not_inputs, tools)
    before, outside = scope.counted(files, tools), scope.outside(tools)
    require_fresh(project, tools, respect_env=inputs.respect_env)
    digest, uv = lock_digest(project.lock.read_bytes()), tools.uv.version(tools.uv.program(project)) or "unknown"
    selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
    requirements = tools.uv.export(project, selection, respect_env=inputs.respect_env)
    require_mlflow(requirements, selection, project)
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    built = build_wheels(project, requirements.local, scratch / "wheels", uv=tools.uv, console=tools.console)
    wheels = tuple(
        sorted((replace(item.wheel, marker=item.local.marker) for item in built), key=lambda wheel: wheel.file)
    )
    local = tuple(LocalSource(name=item.wheel.name, source=item.source) for item in built if item.source.is_dir())
    if inputs.environment is Environment.PROJECT:
        python = tools.environments.own(project, selection)
    else:
        python = tools.environments.project(project, selection, local=local)
    description = tools.mlflow.describe_environment(python)
    require_logging([description.mlflow])
    job = Job(
        project=project,
        source=source,
        mlflow=tools.mlflow,
        python=python,
        store=tools.mlflow.resolve_embedded(store, python, project.folder),
        experiment=inputs.experiment or project.name,
        commit=commit,
        lock=LockLink(sha256=digest, uv=uv),
        local=tuple(item.wheel.name for item in built),
        respect_env=inputs.respect_env,
        train_env=inputs.train_env,
        hidden=model_variables.secrets,
        registers=not inputs.withhold_registry,
    )
    adopted = adopt(job, tools) if source.adopts else None
    if adopted:
        job = replace(job, commit=adopted.commit, source=adopted.source)
    example, example_digest = example_of(inputs.input_example, job)
    case_file = cases_of(inputs.cases, job)
    served = model_files.ServedFiles(requirements=requirements, wheels=wheels, python=description.python)
    packed = {wheel.file: wheel_inputs(scratch / "wheels" / wheel.file) for wheel in wheels}
    settings = {"logged-model": inputs.logged_model, "requirements": inputs.requirements.value}
    settings |= {
        "input-example": example_digest,
        "experiment": inputs.experiment,
        "serve-env": " ".join(model_variables.names),
    }
    settings |= {"cases": case_file.sha256} if case_file.cases else {}  # keys of releases without it stay the same
    parts = parts_of(job, selection, settings, packed, python=served.python)
    keyed = None
    if not adopted:
        keyed = replace(with_program(key_of(project, inputs.not_inputs, parts, tools), source), outside=outside)
        require_settled(before, job, keyed, tools)
        # Read after the files of the key, which are compared after training: whatever changes after them is noticed.
        job = replace(job, commit=tools.git.commit(project.folder))
    return VerificationPlan(
        job=job,
        selection=selection,
        served=served,
        wheels=scratch / "wheels",
        mlflow=str(description.mlflow),
        key=keyed.inputs.key if keyed else release_key(commit=job.commit, parts=parts),
        keyed=keyed,
        policy=inputs.requirements,
        example=example,
        adopted=adopted,
        ignored=ignored,
        serve_env=model_variables,
        cases=case_file.cases,
        tolerance=inputs.tolerance,
        derives=not inputs.skip_derived,
        licences=tools.mlflow.describe_licences(python).packages,
    )


def _report(
    record: Record, findings: tuple[Finding, ...], origin: ModelOrigin, *, record_file: Path, chosen_uri: str | None
) -> Report[Outputs]:
    verified = all(finding.severity is not Severity.ERROR for finding in findings)
    return Report(
        outputs=Outputs(
            record=record_file,
            release_key=record.release_key,
            run_id=record.model.run_id,
            model_id=record.model.model_id,
            model_uri=record.model.uri,
            model_sha256=record.model.sha256,
            requirements_sha256=record.requirements.sha256,
            lock_sha256=record.lock.sha256,
            reused=origin in (ModelOrigin.FOUND_AGAIN, ModelOrigin.RESUMED),
            tracking_uri=chosen_uri,
        ),
        summary=f"model {record.model.model_id} {_OUTCOMES[origin, verified]}",
        findings=findings,
    )


STEP = Step(
    name="log-model",
    summary="Train with the locked packages, log the model, and verify that its logged requirements are those of"
    " the lock.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
