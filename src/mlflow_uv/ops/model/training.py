"""Trains a model in the locked environment, finds every run that training opened, and closes all of them."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import BadInput, TrainingFailed
from ...command.report import Finding, Severity
from ...command.wording import Wording, step_call
from ...core.image.system_libraries import machine_fix
from ...core.model.error_hints import untrusted_fix
from ...core.model.tracebacks import deepest_frame
from ...core.release.commit import Commit
from ...core.release.record import LockLink
from ...core.security.child_environment import for_training
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import CallFunction, FindModels, FoundModels, FunctionModel
from ...payloads.messages.tags import ATTEMPT, COMMIT, DIRTY, LOCK_DIGEST, UV_VERSION
from ...tools.engines.source_snapshot import without_empty_folder
from ...tools.mlflow.mlflow import PAYLOADS, Mlflow
from ...tools.mlflow.store import Store
from ...tools.mlflow.store_client import StoreClient
from ...tools.project.files import Project
from ...tools.system.process import Command
from ...tools.system.progress import progress_of
from ...tools.toolbox import Tools
from ..lineage.open_attempts import close_attempt, give_up_attempt
from .source import ModelSource, ModelSourceKind
from .training_store import StoreWatch, database_identity, database_replaced, followed, watched


@lazy_dataclass
class Job:
    """
    One training: project, model source, environment, store, experiment, commit and lock.

    `local` are the names of packages built from the checkout, `train_env` the names of variables that training gets
    although they are withheld by default; `registers` allows it to use the registry, `hidden` are secrets to mask in
    its output, and `timeout_s` the seconds that its program may take, None without a limit.
    """

    project: Project
    source: ModelSource
    mlflow: Mlflow
    python: Path
    store: Store
    experiment: str
    commit: Commit
    lock: LockLink
    local: tuple[str, ...]
    respect_env: bool
    train_env: tuple[str, ...] = ()
    registers: bool = True
    hidden: tuple[str, ...] = field(default=(), repr=False)
    timeout_s: float | None = None

    @property
    def lineage(self) -> dict[str, str]:
        """Tags of every run of this training."""
        return {
            COMMIT: self.commit.sha,
            DIRTY: "true" if self.commit.dirty else "false",
            LOCK_DIGEST: self.lock.sha256,
            UV_VERSION: self.lock.uv,
        }

    @property
    def client(self) -> StoreClient:
        """The client of the store, with the MLflow of the training."""
        return StoreClient(mlflow=self.mlflow, python=self.python, store=self.store)


@lazy_dataclass
class Trained:
    """The runs, models and versions of a training, their store, and findings about it."""

    found: FoundModels
    store: Store
    findings: tuple[Finding, ...] = ()


def train(job: Job, name: str, tools: Tools) -> Trained:
    """
    Train the model in the job's store, or in a store that training chooses itself if that is allowed.

    Every run that training opens gets our tag (MLflow reads MLFLOW_RUN_CONTEXT), whatever its experiment. `name` is
    the name of a model that training does not name. All runs are closed, however training ends. Raises
    TrainingFailed, BadInput.
    """
    with tools.attempts.start(job.store.uri) as attempt, watched(job.project, job.store, tools) as watch:
        tags = {**job.lineage, ATTEMPT: attempt.id}
        identity_before = database_identity(job.store)
        try:
            _prepare_experiment(job)
            identity_before = identity_before or database_identity(job.store)
            saved_model = _make(job, name, tags, watch, tools)
            if replaced := database_identity(job.store) != identity_before:
                tools.mlflow.close()  # an open connection would still use the deleted file
            close_attempt(attempt, job.client, "FINISHED")
        except BaseException as error:
            for used in _used(job, watch):
                give_up_attempt(attempt, used.client, "FAILED" if isinstance(error, Exception) else "KILLED", tools)
            raise
        logged = _registered(job, watch).client.find_models(FindModels(tag=(ATTEMPT, attempt.id)))
        if not logged.models and watch.own is not None:
            job = replace(job, store=watch.own)
            close_attempt(attempt, job.client, "FINISHED")
            logged = _registered(job, watch).client.find_models(FindModels(tag=(ATTEMPT, attempt.id)))
    findings: tuple[Finding, ...] = (followed(job.store, job.project),) if job.store is watch.own else ()
    findings += (database_replaced(job.store, job.project),) if replaced and job.store is not watch.own else ()
    findings += saved_otherwise(saved_model) if saved_model is not None else ()
    models = tuple(model for model in logged.models if saved_model is None or saved_model.model_id == model.model_id)
    return Trained(found=replace(logged, models=models), store=job.store, findings=findings)


def _registered(job: Job, watch: StoreWatch) -> Job:
    """Return the job with the registry that its training used, to search for versions."""
    variables = watch.registry(registers=job.registers)
    return replace(job, store=replace(job.store, variables={**job.store.variables, **variables})) if variables else job


def _used(job: Job, watch: StoreWatch) -> tuple[Job, ...]:
    return (job,) if watch.own is None else (job, replace(job, store=watch.own))


def saved_otherwise(model: FunctionModel) -> tuple[Finding, ...]:
    """Report a model that is not in MLflow's default format, and why."""
    if not model.saved_as:
        return ()
    finding = Finding(
        rule="serialization-format",
        severity=Severity.NOTICE,
        what=f"the model is saved with {model.saved_as}, which is not MLflow's default format",
        why=model.reason,
        fix='return options after the example: {"skops_trusted_types": [TYPE]} or {"serialization_format": FORMAT}',
    )
    return (finding,)


def _make(job: Job, name: str, tags: Mapping[str, str], watch: StoreWatch, tools: Tools) -> FunctionModel | None:
    """Run the model source, and return the model if it is known by then."""
    match job.source.kind:
        case ModelSourceKind.TRAIN:
            _run(job, tags, job.source.words, watch, tools)
            return None
        case ModelSourceKind.FUNCTION:
            return _call(job, name, tags, watch, tools)
        case ModelSourceKind.ENTRY_POINT:
            run_id = _create_run(job, tags)
            job.client.log_entry_point(
                run_id,
                folder=job.project.folder,
                entry_point=job.source.word,
                parameters=dict(text.split("=", 1) for text in job.source.words[1:]),
            )
            _run(job, tags, _mlflow_run(job, run_id), watch, tools)
            job.client.end_run(run_id, status="FINISHED")
            return None
        case _:
            folder = job.project.folder / job.source.word
            run_id = _create_run(job, tags)
            with progress_of(tools.console, f"uploading {folder.name}", folder):
                model_id = job.client.log_folder(folder, name=folder.name, run_id=run_id)
            job.client.end_run(run_id, status="FINISHED")
            return FunctionModel(model_id=model_id)


def _prepare_experiment(job: Job) -> None:
    """
    Set the artifact location before training. Raises StoreUnreachable for a server that keeps artifacts locally.

    MLflow up to 3.8 would put the artifacts of a new experiment in a database into the checkout.
    """
    artifacts = job.store.artifacts
    location = None if artifacts is None else f"{artifacts}/{os.urandom(8).hex()}"
    job.client.prepare_experiment(job.experiment, artifact_location=location)


def _create_run(job: Job, tags: Mapping[str, str]) -> str:
    return job.client.create_run(job.experiment, tags=tags, run_name=job.project.name).run_id


def _mlflow_run(job: Job, run_id: str) -> tuple[str, ...]:
    return (
        str(job.python), "-m", "mlflow", "run", "--env-manager", "local", "--run-id", run_id,
        "--entry-point", job.source.word, *(word for text in job.source.words[1:] for word in ("-P", text)),
        "--", str(job.project.folder),
    )  # fmt: skip


def _call(job: Job, name: str, tags: Mapping[str, str], watch: StoreWatch, tools: Tools) -> FunctionModel:
    """Call a function of the project with a payload in the project's environment, which logs the model it returns."""
    request = CallFunction(function=job.source.word, folder=str(job.project.folder), name=name)
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        answer = Path(scratch) / "answer.json"
        argv = (str(job.python), str(PAYLOADS), CallFunction.verb, str(answer))
        failed: TrainingFailed | None = None
        try:
            _run(job, tags, argv, watch, tools, stdin=json.dumps(asdict(request)))
        except TrainingFailed as error:
            failed = error
        if not answer.is_file():
            raise failed or TrainingFailed(what="training ended before the function returned")
        try:
            return tools.mlflow.read_response(CallFunction, answer, job.store, FunctionModel)
        except TrainingFailed as error:
            raise _placed(error, job) from error
        except BadInput as error:
            raise BadInput(
                what=f"`{job.source.word}` returns no model that MLflow can log",
                why=error.why,
                fix="return a model of a flavor that MLflow has, or use `train` with a program that calls log_model",
            ) from error


def _run(  # noqa: PLR0913  # the arguments of every model source
    job: Job, tags: Mapping[str, str], argv: tuple[str, ...], watch: StoreWatch, tools: Tools, *, stdin: str = ""
) -> None:
    environment = for_training(tools.host.variables, respect=job.respect_env, allowed=job.train_env)
    caller = environment.variables
    binaries = job.python.parent
    uv = tools.uv.alone(job.project, tools.host.cache)
    variables = {
        **caller,
        **job.store.variables,
        **watch.variables(caller, registers=job.registers),
        # uv comes last: without it MLflow infers requirements by importing the model, which takes seconds.
        "PATH": os.pathsep.join((str(binaries), caller.get("PATH", ""), str(uv))),
        "VIRTUAL_ENV": str(binaries.parent),
        "UV_PROJECT_ENVIRONMENT": str(binaries.parent),
        "UV_LOCKED": "1",
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_RUN_CONTEXT": json.dumps(tags),
        "MLFLOW_LOG_UV_FILES": "false",
        # No bytecode is written into the checkout.
        "PYTHONPYCACHEPREFIX": str(tools.host.cache / "bytecode"),
        "PYTHONUNBUFFERED": "1",
    }
    if job.source.kind is ModelSourceKind.ENTRY_POINT:
        del variables["MLFLOW_EXPERIMENT_NAME"]  # its run exists already
    token = job.mlflow.login.token(job.store.variables)
    command = Command(
        argv=_resolved(argv, variables["PATH"], job.project.folder),
        folder=job.project.folder,
        variables=job.mlflow.login.given(variables, job.store.variables),
        stdin=stdin,
        on_line=tools.console.foreign,
        foreign=True,
        watched=True,
        must_stop=watch.must_stop,
        secrets=job.hidden,
        timeout_s=job.timeout_s,
    )
    with without_empty_folder(job.project.folder / "mlruns"):
        done = tools.runner.run(command)
    if watch.must_stop() and watch.refusal is not None:
        raise watch.refusal
    if done.orphans:
        tools.console.say(f"training left processes running, which were stopped: {', '.join(done.orphans)}")
    if done.code != 0:
        if environment.withheld:
            tools.console.say(
                f"training did not receive {', '.join(environment.withheld)}: add what it needs to `train-env`"
            )
        if token is not None and job.mlflow.login.has_ended(token):
            tools.console.say(
                f"training's login to the store ended after {token.lasts_s:.0f} s, before training did: what"
                " logs later than that needs DATABRICKS_CLIENT_SECRET, with which MLflow's client renews its login"
            )
        failed = TrainingFailed(
            what=f"training exited with {done.code}",
            why=done.last_line,
            fix=watch.advice() or Wording("see its output above; ", step_call("log-model")),
        )
        failed.output = (*done.stdout.splitlines(), *done.stderr.splitlines())
        failed.fix = untrusted_fix("\n".join(failed.output)) or machine_fix(done.last_line) or failed.fix
        raise _placed(failed, job)


def _placed(error: TrainingFailed, job: Job) -> TrainingFailed:
    """Return the error with the file and line of the project in the traceback of its output."""
    frame = deepest_frame(error.output, job.project.folder)
    if frame is not None and frame.path.is_file():
        error.path, error.line = frame.path, frame.line
        error.why = frame.exception or error.why
    return error


def _resolved(argv: tuple[str, ...], path: str, folder: Path) -> tuple[str, ...]:
    """Look up the program on the PATH of the training."""
    program = shutil.which(argv[0], path=path)
    if program is None and (folder / argv[0]).is_file():
        program = str(folder / argv[0])
    if program is None:
        raise TrainingFailed(
            what=f"`{argv[0]}` was not found, so training cannot start",
            why="it is neither in the project's environment nor on PATH",
            fix="correct `train` in [tool.mlflow-uv], or `uv add` the package that brings it",
        )
    return (program, *argv[1:])
