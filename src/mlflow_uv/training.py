"""How does a project make its model? By its training command, an MLproject entry point, or a folder that is there."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .core.commit import Commit
from .core.environment import for_training
from .core.record import Lock
from .errors import BadInput, ModelNotFound, StepError, TrainingFailed
from .tools.files import Project
from .tools.mlflow import Store
from .tools.process import Command
from .tools.toolbox import Tools

ATTEMPT_TAG = "mlflow-uv.attempt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How the model is made: exactly one of the three is set."""

    train: tuple[str, ...] = ()
    entry_point: str | None = None
    folder: Path | None = None

    @property
    def made_by(self) -> tuple[str, ...]:
        """The part of the release key that says how."""
        if self.train:
            return ("train", *self.train)
        return ("entry-point", self.entry_point) if self.entry_point else ("folder", str(self.folder))


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One training: where, in which environment, for which store and experiment, of which commit and lock."""

    project: Project
    way: Way
    python: Path
    store: Store
    experiment: str
    commit: Commit
    lock: Lock
    respect_env: bool

    @property
    def lineage(self) -> dict[str, str]:
        """The tags that every run of this training gets from the start."""
        return {
            "mlflow-uv.commit": self.commit.sha,
            "mlflow-uv.dirty": "true" if self.commit.dirty else "false",
            "mlflow-uv.lock-sha256": self.lock.sha256,
            "mlflow-uv.uv": self.lock.uv,
        }


def way_of(train: tuple[str, ...], entry_point: str | None, folder: Path | None, *, project: Project) -> Way:
    """The way that was chosen. Raises BadInput unless it is exactly one."""
    way = Way(train=train, entry_point=entry_point, folder=folder)
    chosen = sum(map(bool, (train, entry_point, folder)))
    if chosen == 0:
        raise BadInput(
            what="nothing says how the model is made",
            why=f"`[tool.mlflow-uv]` of {project.name} has none of train, entry-point and model",
            fix='add `train = "python train.py"` to [tool.mlflow-uv] in pyproject.toml',
        )
    if chosen > 1:
        raise BadInput(
            what="more than one of train, entry-point and model is given",
            why="a model is made in one way",
            fix="keep one of them",
        )
    return way


def train(job: Job, tools: Tools) -> Mapping[str, Any]:
    """
    Make the model; return the one logged model with its run, as the payload `find-models` tells it.

    Every run the training opens carries our tag (MLflow reads MLFLOW_RUN_CONTEXT), whatever experiment it chooses.
    Runs that are still open when it fails or is cancelled are closed. Raises TrainingFailed, ModelNotFound.
    """
    attempt = secrets.token_hex(16)
    tags = {**job.lineage, ATTEMPT_TAG: attempt}
    run_id = None if job.way.train else _create_run(job, tags, tools)
    try:
        if job.way.folder is not None:
            folder = str(job.project.folder / job.way.folder)
            _ask(job, tools, "log-folder", folder=folder, name=job.way.folder.name, run_id=run_id)
        else:
            _run(job, tags, run_id, tools)
    except BaseException as error:
        _close(job, attempt, "FAILED" if isinstance(error, Exception) else "KILLED", tools)
        raise
    if run_id is not None:
        _ask(job, tools, "end-run", run_id=run_id, status="FINISHED")
    return _ask(job, tools, "find-models", **_where(attempt))


def choose(found: Mapping[str, Any], wanted: str | None) -> Mapping[str, Any]:
    """The one model of a training. Raises ModelNotFound that lists what there is."""
    models = [model for model in found["models"] if model["status"] == "READY"]
    if not models:
        raise ModelNotFound(
            what="training logged no model",
            why=f"it opened {len(found['runs'])} runs, none with a finished model",
            fix="call mlflow.<flavor>.log_model(...) in it, without another tracking URI",
        )
    chosen = [model for model in models if wanted in (None, model["name"])]
    names = ", ".join(sorted({str(model["name"]) for model in models}))
    if not chosen:
        raise ModelNotFound(what=f"training logged no model called `{wanted}`", why=f"it logged {names}")
    if len(chosen) > 1:
        raise ModelNotFound(
            what=f"training logged {len(chosen)} models",
            why=f"they are called {names}; which one is released is yours to say",
            fix="--logged-model NAME, each under a name of its own",
        )
    return chosen[0]  # type: ignore[no-any-return]


def _create_run(job: Job, tags: Mapping[str, str], tools: Tools) -> str:
    made = _ask(job, tools, "create-run", experiment=job.experiment, tags=tags, run_name=job.project.name)
    return str(made["run_id"])


def _run(job: Job, tags: Mapping[str, str], run_id: str | None, tools: Tools) -> None:
    caller = for_training(tools.surroundings.variables, respect=job.respect_env).variables
    binaries = job.python.parent
    uv = tools.uv.alone(job.project, tools.surroundings.cache)
    variables = {
        **caller,
        **job.store.variables,
        # uv comes last: without one MLflow guesses requirements by importing the model, for seconds.
        "PATH": os.pathsep.join((str(binaries), caller.get("PATH", ""), str(uv))),
        "VIRTUAL_ENV": str(binaries.parent),
        "UV_PROJECT_ENVIRONMENT": str(binaries.parent),
        "UV_LOCKED": "1",
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_RUN_CONTEXT": json.dumps(tags),
        "MLFLOW_LOG_UV_FILES": "false",
        # Nothing is written into the checkout that was not asked for.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    argv = job.way.train
    if job.way.entry_point is not None:
        argv = (
            str(job.python), "-m", "mlflow", "run", "--env-manager", "local", "--run-id", str(run_id),
            "--entry-point", job.way.entry_point, "--", str(job.project.folder),
        )  # fmt: skip
        del variables["MLFLOW_EXPERIMENT_NAME"]
    command = Command(
        argv=_resolved(argv, variables["PATH"], job.project.folder),
        folder=job.project.folder,
        variables=variables,
        hear=tools.voice.foreign,
    )
    done = tools.runner.run(command)
    if done.code != 0:
        raise TrainingFailed(
            what=f"training ended with {done.code}", why=done.last_line, fix="see its output above; mlflow-uv log-model"
        )


def _resolved(argv: tuple[str, ...], path: str, folder: Path) -> tuple[str, ...]:
    """Look the program up on the PATH the training gets, not on ours."""
    found = shutil.which(argv[0], path=path)
    if found is None and (folder / argv[0]).is_file():
        found = str(folder / argv[0])
    if found is None:
        raise TrainingFailed(
            what=f"`{argv[0]}` is not there to train with",
            why="it is neither in the project's environment nor on PATH",
            fix="correct `train` in [tool.mlflow-uv], or `uv add` the package that brings it",
        )
    return (found, *argv[1:])


def _close(job: Job, attempt: str, status: str, tools: Tools) -> None:
    """Let no run of this training look as if it went on. What went wrong before is what is told: errors end here."""
    try:
        found = _ask(job, tools, "find-models", **_where(attempt))
        for run in found["runs"]:
            if run["status"] == "RUNNING":
                _ask(job, tools, "end-run", run_id=run["run_id"], status=status)
    except StepError as error:
        tools.voice.say(f"the runs of this training could not be closed: {error}")


def _where(attempt: str) -> dict[str, object]:
    return {"tag": [ATTEMPT_TAG, attempt]}


def _ask(job: Job, tools: Tools, verb: str, **request: object) -> dict[str, Any]:
    return tools.mlflow.ask(job.python, job.store, verb, **request)
