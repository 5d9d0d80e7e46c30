"""How is a model made, so that everything that is made on the way is known, and nothing stays open?"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...command.errors import BadInput, StepError, TrainingFailed
from ...command.report import Finding
from ...command.wording import Wording, step_call
from ...core.image.system_libraries import machine_fix
from ...core.model.error_hints import untrusted_fix
from ...core.model.tracebacks import deepest_frame
from ...core.release.commit import Commit
from ...core.release.record import LockLink
from ...core.security.child_environment import for_training
from ...tools.engines.source_snapshot import without_empty_folder
from ...tools.mlflow.attempts import Attempt
from ...tools.mlflow.mlflow import PAYLOADS, Store
from ...tools.project.files import Project
from ...tools.system.process import Command
from ...tools.system.progress import under_way
from ...tools.toolbox import Tools
from .source import ModelSource, ModelSourceKind
from .training_store import StoreWatch, database_identity, database_replaced, followed, watched

ATTEMPT_TAG = "mlflow-uv.attempt"
CALL = "call-function"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """
    One training: where, in which environment, for which store and experiment, of which commit and lock.

    `local` are the names of the packages that are made from the checkout, `handed` those of variables that training
    gets although they are withheld otherwise; `registers` says that it may use the registry, `hidden`
    what nobody is shown of what it prints.
    """

    project: Project
    way: ModelSource
    python: Path
    store: Store
    experiment: str
    commit: Commit
    lock: LockLink
    local: tuple[str, ...]
    respect_env: bool
    handed: tuple[str, ...] = ()
    registers: bool = True
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @property
    def lineage(self) -> dict[str, str]:
        """The tags that every run of this training gets from the start."""
        return {
            "mlflow-uv.commit": self.commit.sha,
            "mlflow-uv.dirty": "true" if self.commit.dirty else "false",
            "mlflow-uv.lock-sha256": self.lock.sha256,
            "mlflow-uv.uv": self.lock.uv,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What was made, as the payload `find-models` tells it, in which store, and what is to be said of it."""

    found: Mapping[str, Any]
    store: Store
    findings: tuple[Finding, ...] = ()


def train(job: Job, name: str, tools: Tools) -> Trained:
    """
    Make the model, in the store of the job or in one that the training names by itself and that may be followed.

    Every run the training opens carries our tag (MLflow reads MLFLOW_RUN_CONTEXT), whatever experiment it chooses.
    `name` is what a model is called that its maker does not name. Nothing stays open, however it ends. Raises
    TrainingFailed, BadInput.
    """
    with tools.attempts.start(job.store.uri) as attempt, watched(job.project, job.store, tools) as watch:
        tags = {**job.lineage, ATTEMPT_TAG: attempt.id}
        before = database_identity(job.store)
        try:
            _prepare_experiment(job, tools)
            before = before or database_identity(job.store)
            model_id = _make(job, name, tags, watch, tools)
            if replaced := database_identity(job.store) != before:
                tools.mlflow.close()  # whoever has the old file open sees nothing of the new one
            _close(job, attempt, "FINISHED", tools)
        except BaseException as error:
            for used in _used(job, watch):
                _give_up(used, attempt, "FAILED" if isinstance(error, Exception) else "KILLED", tools)
            raise
        found = _ask(_registered(job, watch), tools, "find-models", **_where(attempt))
        if not found["models"] and watch.own is not None:
            job = replace(job, store=watch.own)
            _close(job, attempt, "FINISHED", tools)
            found = _ask(_registered(job, watch), tools, "find-models", **_where(attempt))
    findings: tuple[Finding, ...] = (followed(job.store, job.project),) if job.store is watch.own else ()
    findings += (database_replaced(job.store, job.project),) if replaced and job.store is not watch.own else ()
    models = [model for model in found["models"] if model_id in (None, model["model_id"])]
    return Trained(found={**found, "models": models}, store=job.store, findings=findings)


def _registered(job: Job, watch: StoreWatch) -> Job:
    """The same job for a question about versions: those in the registry that its training had."""
    variables = watch.registry(registers=job.registers)
    return replace(job, store=replace(job.store, variables={**job.store.variables, **variables})) if variables else job


def _used(job: Job, watch: StoreWatch) -> tuple[Job, ...]:
    return (job,) if watch.own is None else (job, replace(job, store=watch.own))


def close_dead(job: Job, tools: Tools) -> None:
    """Close what trainings on this machine left open that were killed, or lost their server, before they could."""
    for attempt in tools.attempts.abandoned(job.store.uri):
        tools.console.say("an earlier training did not finish: its runs are closed")
        _give_up(job, attempt, "KILLED", tools)


def _make(job: Job, name: str, tags: Mapping[str, str], watch: StoreWatch, tools: Tools) -> str | None:
    """The id of the model, where the way of making it tells which one it is."""
    match job.way.kind:
        case ModelSourceKind.TRAIN:
            _run(job, tags, job.way.words, watch, tools)
            return None
        case ModelSourceKind.FUNCTION:
            return _call(job, name, tags, watch, tools)
        case ModelSourceKind.ENTRY_POINT:
            run_id = _create_run(job, tags, tools)
            _run(job, tags, _mlflow_run(job, run_id), watch, tools)
            _ask(job, tools, "end-run", run_id=run_id, status="FINISHED")
            return None
        case _:
            folder = job.project.folder / job.way.word
            run_id = _create_run(job, tags, tools)
            with under_way(tools.console, f"uploading {folder.name}", folder):
                made = _ask(job, tools, "log-folder", folder=str(folder), name=folder.name, run_id=run_id)
            _ask(job, tools, "end-run", run_id=run_id, status="FINISHED")
            return str(made["model_id"])


def _prepare_experiment(job: Job, tools: Tools) -> None:
    """
    Know where artifacts go before anything is trained. Raises StoreUnreachable for a server that keeps them here.

    MLflow up to 3.8 would let the artifacts of a database's new experiment lie where training runs: in the checkout.
    """
    artifacts = job.store.artifacts
    location = None if artifacts is None else f"{artifacts}/{secrets.token_hex(8)}"
    _ask(job, tools, "prepare-experiment", experiment=job.experiment, artifact_location=location)


def _create_run(job: Job, tags: Mapping[str, str], tools: Tools) -> str:
    made = _ask(job, tools, "create-run", experiment=job.experiment, tags=tags, run_name=job.project.name)
    return str(made["run_id"])


def _mlflow_run(job: Job, run_id: str) -> tuple[str, ...]:
    return (
        str(job.python), "-m", "mlflow", "run", "--env-manager", "local", "--run-id", run_id,
        "--entry-point", job.way.word, *(word for text in job.way.words[1:] for word in ("-P", text)),
        "--", str(job.project.folder),
    )  # fmt: skip


def _call(job: Job, name: str, tags: Mapping[str, str], watch: StoreWatch, tools: Tools) -> str:
    """Call a function as the project's own program would; our payload does it there, and logs what it returns."""
    request = {"function": job.way.word, "folder": str(job.project.folder), "name": name}
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        answer = Path(scratch) / "answer.json"
        argv = (str(job.python), str(PAYLOADS), CALL, str(answer))
        failed: TrainingFailed | None = None
        try:
            _run(job, tags, argv, watch, tools, stdin=json.dumps(request))
        except TrainingFailed as error:
            failed = error
        if not answer.is_file():
            raise failed or TrainingFailed(what="training ended before the function returned")
        try:
            return str(tools.mlflow.read_response(CALL, answer, job.store)["model_id"])
        except TrainingFailed as error:
            raise _placed(error, job) from error
        except BadInput as error:
            raise BadInput(
                what=f"`{job.way.word}` returns no model that MLflow can log",
                why=error.why,
                fix="return a model of a flavor that MLflow has, or use `train` with a program that calls log_model",
            ) from error


def _run(  # noqa: PLR0913  # what every way hands on, and what one of them does
    job: Job, tags: Mapping[str, str], argv: tuple[str, ...], watch: StoreWatch, tools: Tools, *, stdin: str = ""
) -> None:
    given = for_training(tools.host.variables, respect=job.respect_env, allowed=job.handed)
    caller = given.variables
    binaries = job.python.parent
    uv = tools.uv.alone(job.project, tools.host.cache)
    variables = {
        **caller,
        **job.store.variables,
        **watch.variables(caller, registers=job.registers),
        # uv comes last: without one MLflow guesses requirements by importing the model, for seconds.
        "PATH": os.pathsep.join((str(binaries), caller.get("PATH", ""), str(uv))),
        "VIRTUAL_ENV": str(binaries.parent),
        "UV_PROJECT_ENVIRONMENT": str(binaries.parent),
        "UV_LOCKED": "1",
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_RUN_CONTEXT": json.dumps(tags),
        "MLFLOW_LOG_UV_FILES": "false",
        # Nothing is written into the checkout that was not asked for.
        "PYTHONPYCACHEPREFIX": str(tools.host.cache / "bytecode"),
        "PYTHONUNBUFFERED": "1",
    }
    if job.way.kind is ModelSourceKind.ENTRY_POINT:
        del variables["MLFLOW_EXPERIMENT_NAME"]  # its run is there already
    command = Command(
        argv=_resolved(argv, variables["PATH"], job.project.folder),
        folder=job.project.folder,
        variables=variables,
        stdin=stdin,
        hear=tools.console.foreign,
        foreign=True,
        must_stop=watch.must_stop,
        secrets=job.hidden,
    )
    with without_empty_folder(job.project.folder / "mlruns"):
        done = tools.runner.run(command)
    if watch.must_stop() and watch.refusal is not None:
        raise watch.refusal
    if done.orphans:
        tools.console.say(f"training left processes running, which were stopped: {', '.join(done.orphans)}")
    if done.code != 0:
        if given.withheld:
            tools.console.say(f"training did not receive {', '.join(given.withheld)}: add what it needs to `train-env`")
        failed = TrainingFailed(
            what=f"training exited with {done.code}",
            why=done.last_line,
            fix=watch.advice() or Wording("see its output above; ", step_call("log-model")),
        )
        failed.output = (*done.stdout.splitlines(), *done.stderr.splitlines())
        failed.fix = untrusted_fix("\n".join(failed.output)) or machine_fix(done.last_line) or failed.fix
        raise _placed(failed, job)


def _placed(error: TrainingFailed, job: Job) -> TrainingFailed:
    """The same error at the line of the project where its output says that an exception came up."""
    frame = deepest_frame(error.output, job.project.folder)
    if frame is not None and frame.path.is_file():
        error.path, error.line = frame.path, frame.line
        error.why = frame.exception or error.why
    return error


def _resolved(argv: tuple[str, ...], path: str, folder: Path) -> tuple[str, ...]:
    """Look the program up on the PATH the training gets, not on ours."""
    found = shutil.which(argv[0], path=path)
    if found is None and (folder / argv[0]).is_file():
        found = str(folder / argv[0])
    if found is None:
        raise TrainingFailed(
            what=f"`{argv[0]}` was not found, so training cannot start",
            why="it is neither in the project's environment nor on PATH",
            fix="correct `train` in [tool.mlflow-uv], or `uv add` the package that brings it",
        )
    return (found, *argv[1:])


def _close(job: Job, attempt: Attempt, status: str, tools: Tools) -> None:
    _ask(job, tools, "close-attempt", status=status, **_where(attempt))
    attempt.mark_closed()


def _give_up(job: Job, attempt: Attempt, status: str, tools: Tools) -> None:
    """Close what is open, or leave it to the next training. What went wrong before is what is told: errors end here."""
    try:
        _close(job, attempt, status, tools)
    except StepError as error:
        tools.console.say(f"the runs of this training could not be closed: {error}")


def _where(attempt: Attempt) -> dict[str, object]:
    return {"tag": [ATTEMPT_TAG, attempt.id]}


def _ask(job: Job, tools: Tools, verb: str, **request: object) -> dict[str, Any]:
    return tools.mlflow.ask(job.python, job.store, verb, **request)
