"""Scores the files of a table with a registered version, in a container of its image or in its own environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, ModelUnusable, StepError, ToolMissing
from ...command.inputs import Isolation
from ...command.report import Finding, Severity, counted
from ...command.wording import Wording, option, step_call
from ...core.image.dockerfile import MODEL
from ...core.release.digests import canonical, sha256
from ...core.scoring.layout import TableFormat, format_of, stems
from ...core.scoring.manifest import InputFile, start_of
from ...core.scoring.pace import Pace, duration
from ...core.security.serve_env import ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.scoring import ScoreTables, ScoreTablesBySpark, ScoringResult, TableFile
from ...tools.mlflow.model_commands import ModelCommands
from ...tools.system.commands import Conversation
from ..image.environment import needs_in
from ..image.isolation import EvaluatedVersion, choose_isolation
from ..lineage.registry_client import RegistryClient
from ..verify.environments import EnvironmentSource, ModelEnvironments
from ..versions.evaluation import model_interpreter
from .inputs import InputTable
from .output import Output, rejects_folder
from .session import ScoredFile, ScoringSession, SessionFiles

_PYARROW = "pyarrow"
INSTALL_S = 1800.0


@lazy_dataclass
class ScoringOptions:
    """
    What is written, and how: the options that are part of the identity of a run.

    `params` are the inference parameters or None; `batch_rows` is the number of rows that the model gets at once,
    `part_rows` the number of rows of a part.
    """

    params: Mapping[str, Any] | None
    key_columns: tuple[str, ...]
    format: TableFormat
    batch_rows: int
    part_rows: int

    def described(self) -> dict[str, Any]:
        """Return the options as JSON."""
        return {
            "params": self.params,
            "key_columns": list(self.key_columns),
            "format": self.format.value,
            "batch_rows": self.batch_rows,
            "part_rows": self.part_rows,
        }


@lazy_dataclass
class ScoringPlan:
    """
    A version, what it scores, and the variables that it gets. `scratch` is a private folder.

    `spark_master` is the URL of the Spark cluster that scores, None for one process.
    """

    subject: EvaluatedVersion
    release_key: str
    table: InputTable
    inputs: tuple[InputFile, ...]
    options: ScoringOptions
    strict: bool
    isolation: Isolation
    serve_env: ServeVariables
    scratch: Path
    spark_master: str | None = None

    @property
    def run(self) -> dict[str, Any]:
        """The description of the run in the manifest."""
        return {
            "model_name": self.subject.name,
            "model_version": self.subject.version,
            "release_key": self.release_key,
            "model_sha256": self.subject.sha256,
            "options": self.options.described(),
            "variables": list(self.serve_env.names),
        }

    @property
    def key(self) -> str:
        """SHA-256 of the model's files, its name and version, and the options: parts of other keys are not kept."""
        return sha256(canonical(self.run))


@lazy_dataclass
class Scored:
    """The result of a run: where the version ran (empty if nothing was left to score), findings, and the pace."""

    isolation: str
    findings: tuple[Finding, ...]
    pace: Pace | None


def score_table(registry: RegistryClient, plan: ScoringPlan, output: Output) -> Scored:
    """
    Score what is not complete in an output that was begun, and publish it.

    Raises BadInput for a table that does not fit, or with `strict` for a row, ModelUnusable, ToolFailed, NoSpace.
    """
    total_bytes = sum(file.size for file in plan.inputs)
    names = stems(plan.table.files)
    starts = {file.name: start_of(file.name, output.manifest.parts) for file in plan.inputs}
    scored = tuple(
        ScoredFile(path=plan.table.files[file.name], identity=file, stem=names[file.name], start=start)
        for file in plan.inputs
        if (start := starts[file.name]) is not None
    )
    if not scored:
        _require_rows(plan, output)
        output.publish()
        return Scored(isolation="", findings=(), pace=None)
    files = SessionFiles(scored=scored, format=plan.options.format, total_bytes=total_bytes)
    session = ScoringSession(files, output, clock=registry.tools.clock, console=registry.tools.console)
    with registry.tools.console.group(f"score with {plan.subject.shown}", folded=False):
        if skipped := len(output.manifest.parts):
            registry.tools.console.say(f"  {counted(skipped, 'part')} of an earlier run kept")
        place, findings = _run(registry, plan, session)
    _require_rows(plan, output)
    output.publish()
    rejected = tuple(_rejected(session, output))
    return Scored(isolation=place, findings=(*findings, *rejected), pace=session.pace)


def _run(registry: RegistryClient, plan: ScoringPlan, session: ScoringSession) -> tuple[str, tuple[Finding, ...]]:
    """Score in the place for the version; return it and findings about it."""
    from ...tools.engines.sandbox import model_container  # noqa: PLC0415

    subject = plan.subject
    if plan.spark_master is not None:
        return "spark", _run_on_spark(registry, plan, session)
    place = choose_isolation(registry, subject, plan.isolation, plan.scratch / "record.json")
    findings: tuple[Finding, ...] = ()
    try:
        if place.engine is not None:
            model = MODEL
            process = model_container(place.engine, place.image, plan.serve_env)
        else:
            model = str(subject.model)
            needs = needs_in(subject.model)
            python = model_interpreter(subject, needs, registry, fix=step_call("audit", version_uri=subject.uri))
            process = registry.tools.mlflow.model_process(python, None, plan.serve_env)
            where = "in a process on this machine, with this user's access to files and network"
            findings = tuple(_not_isolated(subject, where, place.reason, locked=needs.requirements is not None))
        with process as conversation:
            _converse(registry, plan, session, conversation, model)
    except (BadInput, ModelUnusable, ToolMissing) as error:
        raise _error_for(error, plan) from error
    return "process" if place.engine is None else "image", findings


def _run_on_spark(registry: RegistryClient, plan: ScoringPlan, session: ScoringSession) -> tuple[Finding, ...]:
    """Score with PySpark in an environment of the model; its tasks run where the cluster runs them."""
    tools, subject = registry.tools, plan.subject
    commands = ModelCommands(runner=tools.runner, host=tools.host, on_line=tools.console.foreign, timeout_s=INSTALL_S)
    environments = ModelEnvironments(
        registry=registry, model=subject.model, scratch=plan.scratch / "environments", commands=commands
    )
    environment = environments.environment(EnvironmentSource.SPARK)
    if environment.python is None:
        what = f"{subject.shown} cannot be scored on Spark"
        raise ToolMissing(what=what, why=environment.why, fix=environment.fix)
    needs = needs_in(subject.model)
    where = "in the processes of a Spark cluster, with their access to files and network"
    findings = tuple(_not_isolated(subject, where, "`spark-master` is set", locked=needs.requirements is not None))
    try:
        with tools.mlflow.model_process(environment.python, None, plan.serve_env) as conversation:
            _converse(registry, plan, session, conversation, str(subject.model))
    except (BadInput, ModelUnusable, ToolMissing) as error:
        raise _error_for(error, plan) from error
    return findings


def _converse(
    registry: RegistryClient, plan: ScoringPlan, session: ScoringSession, conversation: Conversation, model: str
) -> None:
    options = plan.options
    own: dict[str, Any] = {}
    verb: type[ScoreTables] = ScoreTables
    if plan.spark_master is not None:
        verb = ScoreTablesBySpark
        own = {"master": plan.spark_master, "paths": tuple(os.path.realpath(file.path) for file in session.files)}
    request = verb(
        model=model,
        files=tuple(
            TableFile(
                name=file.identity.name,
                kind=kind.value,
                size=file.identity.size,
                row=file.start.row,
                offset=file.start.offset,
            )
            for file in session.files
            if (kind := format_of(file.identity.name)) is not None
        ),
        format=options.format.value,
        params=options.params,
        key_columns=options.key_columns,
        constants={
            "model_name": plan.subject.name,
            "model_version": plan.subject.version,
            "release_key": plan.release_key,
        },
        batch_rows=options.batch_rows,
        part_rows=options.part_rows,
        strict=plan.strict,
        **own,
    )
    registry.tools.mlflow.response_in(verb, session.run(conversation, request), ScoringResult)


def _as_lines() -> str:
    return option("output-format", TableFormat.JSON_LINES.value)


def _require_rows(plan: ScoringPlan, output: Output) -> None:
    parts = output.manifest.parts
    if not any(part.rows or part.rejected for part in parts):
        names = ", ".join(f"`{name}`" for name in list(plan.table.files)[:3])
        why = f"there is nothing in {names}, or only column names"
        raise BadInput(what="the input has no rows", why=why, fix=option("input", "PATH"))
    if not any(part.rows for part in parts):
        rejected = sum(part.rejected for part in parts)
        raise BadInput(
            what=f"{plan.subject.shown} can score no row of the input",
            why=f"all {rejected} rows were rejected, the reasons are in {output.staged_rejects}",
            fix=Wording("correct the input, or ", option("strict"), " to see the first reason"),
        )


def _not_isolated(subject: EvaluatedVersion, where: str, reason: str, *, locked: bool) -> Iterator[Finding]:
    yield Finding(
        rule="not-isolated",
        severity=Severity.NOTICE,
        what=f"{subject.shown} ran {where}",
        why=reason,
    )
    if not locked:
        yield Finding(
            rule="environment-inferred",
            severity=Severity.NOTICE,
            what=f"{subject.shown} ran in an environment made from its own requirements.txt",
            why="the model has no lock, so the installed versions may change over time",
        )


def _rejected(session: ScoringSession, output: Output) -> Iterator[Finding]:
    rejected = sum(part.rejected for part in output.manifest.parts)
    if rejected:
        yield Finding(
            rule="row-rejected",
            severity=Severity.WARNING,
            what=f"{counted(rejected, 'row')} could not be scored",
            why="; ".join(session.rejected_reasons) or "they were rejected by an earlier run",
            fix=f"see {rejects_folder(output.folder)}, correct the input, and run it again",
        )


def _error_for(error: StepError, plan: ScoringPlan) -> StepError:
    """Return the error for this version, with the original reason."""
    if isinstance(error, BadInput) and error.what == "MLflow does not accept it":
        fix = Wording("correct the input, or ", option("input", "PATH"))
        if plan.strict:
            fix = Wording("correct the row, or ", option("strict", False), " to write such rows to a file")  # noqa: FBT003
        changed: StepError = BadInput(what=f"{plan.subject.shown} cannot score the input", why=error.why, fix=fix)
    elif isinstance(error, ModelUnusable) and error.what.startswith("the model "):
        fix = Wording("see its traceback above; ", _as_lines(), " accepts predictions of any type")
        changed = ModelUnusable(what=f"{plan.subject.shown} cannot score the input", why=error.why, fix=fix)
    elif isinstance(error, ToolMissing) and _PYARROW in error.why:
        fix = Wording("uv add pyarrow, then release again; or use CSV or JSON Lines as input, and ", _as_lines())
        changed = ToolMissing(what=f"{plan.subject.shown} cannot read or write Parquet", why=error.why, fix=fix)
    else:
        return error
    changed.output = error.output
    return changed


def summary(output: Output, pace: Pace | None) -> str:
    """Return rows, rejected rows and speed in one line."""
    parts = output.manifest.parts
    rows, rejected = sum(part.rows for part in parts), sum(part.rejected for part in parts)
    text = f"{rows:,} rows scored" + (f", {rejected:,} rejected" if rejected else "")
    if pace is None:
        return f"{text}, all of them by an earlier run"
    return f"{text}; {pace.rows:,} rows in {duration(pace.seconds)}, {pace.rows_a_second:,.0f} rows/s"


@contextmanager
def removed_on_error(output: Output) -> Iterator[None]:
    """Remove the folder of an output that holds nothing when the block raises."""
    try:
        yield
    except BaseException:
        output.remove_if_empty()
        raise
