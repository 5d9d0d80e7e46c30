"""Is what training logged exactly what the lock says, and what does it answer?"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..core import modelfiles
from ..core.digests import lock_digest
from ..core.record import Lock, Record, release_key
from ..core.selection import Selection
from ..errors import BadProject, ToolMissing
from ..freshness import require_fresh
from ..proof import Plan, Policy, prove, released
from ..recompute import anchor
from ..report import Finding, Report, Severity
from ..step import Doc, OneOf, OneRun, Step, Words
from ..tools.content import wheel_content
from ..tools.environments import Local
from ..tools.files import Project, read_project
from ..tools.toolbox import Tools
from ..tools.wheels import build_wheels
from ..training import Job, choose, train, way_of
from ..vocabulary import (
    Embedded,
    Extras,
    Groups,
    LockDigest,
    ModelDigest,
    PackageName,
    ProjectPath,
    RecordFile,
    RecordPath,
    RequirementsDigest,
    RespectEnv,
    TrackingUri,
    UvProgram,
)

OLDEST_MLFLOW = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to train, and how to serve it."""

    project: ProjectPath = Path()
    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()
    train: Annotated[
        tuple[str, ...],
        Words(),
        OneOf("way"),
        Doc("Training command, run in the project folder under the lock; no shell reads it."),
    ] = ()
    entry_point: Annotated[
        str | None, OneOf("way"), Doc("Entry point of the project's MLproject file, instead of train.")
    ] = None
    model: Annotated[
        Path | None, OneOf("way"), Doc("Folder of an MLflow model that is already saved, instead of train.")
    ] = None
    logged_model: Annotated[str | None, Doc("Name of the logged model to release, where training logs several.")] = None
    experiment: Annotated[str | None, Doc("MLflow experiment; without it the name of the project.")] = None
    requirements: Annotated[
        Policy, Doc("Write the lock's requirements into the model, only verify MLflow's own, or accept what it infers.")
    ] = Policy.LOCK
    retrain: Annotated[bool, OneRun(), Doc("Train again even if a verified model of the same release exists.")] = False
    record: RecordPath = None
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None
    respect_env: RespectEnv = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was logged."""

    record: RecordFile
    release_key: Annotated[str, Doc("What makes two releases the same one: project, commit, lock, selection, way.")]
    run_id: Annotated[str, Doc("MLflow run that made the model.")]
    model_id: Annotated[str, Doc("MLflow's id of the logged model.")]
    model_uri: Annotated[str, Doc("URI that loads exactly this model.")]
    model_sha256: ModelDigest
    requirements_sha256: RequirementsDigest
    lock_sha256: LockDigest
    reused: Annotated[bool, Doc("Whether a verified model of the same release was found and nothing was trained.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Train, or find what the same release trained; write the lock into the model; read it back and prove it.

    Raises NotCommitted, LockNotFresh, TrainingFailed, ModelNotFound, ModelUnusable, ChainBroken, StoreUnreachable.
    """
    project = read_project(inputs.project)
    findings: tuple[Finding, ...] = ()
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        plan = _plan(inputs, project, Path(scratch), tools)
        if missing := _serverless(plan):
            raise missing
        again = None if inputs.retrain else released(plan, Path(scratch), tools)
        if again is not None:
            record = again
        else:
            with tools.voice.group(f"train {project.name}", folded=False):
                found = train(plan.job, tools)
            record, findings = prove(plan, choose(found, inputs.logged_model), Path(scratch), tools)
        path = tools.records.path(inputs.record, inputs.project)
        if not any(finding.severity is Severity.ERROR for finding in findings):
            # Nobody goes on from a model that was not proved.
            tools.records.save(path, record)
            anchor(record, plan.job.store, plan.job.python, tools)
    return _report(path, record, findings, reused=again is not None)


def _plan(inputs: Inputs, project: Project, scratch: Path, tools: Tools) -> Plan:
    way = way_of(inputs.train, inputs.entry_point, inputs.model, project=project)
    commit = tools.git.commit(project.folder)
    require_fresh(project, tools, respect_env=inputs.respect_env)
    program = tools.uv.program(project)
    lock = Lock(sha256=lock_digest(project.lock.read_bytes()), uv=tools.uv.version(program) or "unknown")
    selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
    requirements = tools.uv.export(project, selection, respect_env=inputs.respect_env)
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    built = build_wheels(project, requirements.local, scratch / "wheels", uv=tools.uv, voice=tools.voice)
    wheels = tuple(sorted((one.wheel for one in built), key=lambda wheel: wheel.file))
    local = tuple(Local(name=one.wheel.name, source=one.source) for one in built if one.source.is_dir())
    python = tools.environments.project(project, selection, local=local)
    about = tools.mlflow.describe_environment(python)
    if about["mlflow"] is None or int(str(about["mlflow"]).split(".")[0]) < OLDEST_MLFLOW:
        raise ToolMissing(
            what=f"the project's MLflow is {about['mlflow'] or 'missing'}",
            why=f"logging needs MLflow {OLDEST_MLFLOW} or newer",
            fix=f"uv add 'mlflow>={OLDEST_MLFLOW}'",
        )
    job = Job(
        project=project,
        way=way,
        python=python,
        store=store,
        experiment=inputs.experiment or project.name,
        commit=commit,
        lock=lock,
        respect_env=inputs.respect_env,
    )
    served = modelfiles.Served(requirements=requirements, wheels=wheels, python=str(about["python"]))
    # A local package may lie outside the repository, where no commit knows it.
    packed = (wheel_content(scratch / "wheels" / wheel.file) for wheel in wheels)
    made_by = (*way.made_by, inputs.logged_model or "", inputs.requirements.value, *packed)
    return Plan(
        job=job,
        selection=selection,
        served=served,
        wheels=scratch / "wheels",
        mlflow=str(about["mlflow"]),
        key=release_key(commit=commit, lock=lock, selection=selection, made_by=made_by),
        policy=inputs.requirements,
    )


def _serverless(plan: Plan) -> BadProject | None:
    names = {pin.name for pin in plan.served.requirements.pins}
    if names & modelfiles.SERVERS:
        return None
    return BadProject(
        what="the served selection has no MLflow",
        why="mlflow is in a group or extra that is not served, so nothing could load the model",
        fix="uv add mlflow, or name its group with --groups",
    )


def _report(path: Path, record: Record, findings: tuple[Finding, ...], *, reused: bool) -> Report[Outputs]:
    proved = not any(finding.severity is Severity.ERROR for finding in findings)
    how = "found again, nothing trained" if reused else "trained and proved" if proved else "trained, but not proved"
    return Report(
        outputs=Outputs(
            record=path,
            release_key=record.release_key,
            run_id=record.model.run_id,
            model_id=record.model.model_id,
            model_uri=f"models:/{record.model.model_id}",
            model_sha256=record.model.sha256,
            requirements_sha256=record.requirements.sha256,
            lock_sha256=record.lock.sha256,
            reused=reused,
        ),
        summary=f"model {record.model.model_id} {how}",
        findings=findings,
    )


STEP = Step(
    name="log-model",
    summary="Train under the lock, log the model, and prove that what MLflow logged is the lock.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
