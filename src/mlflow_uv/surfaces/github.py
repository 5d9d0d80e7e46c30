"""Runs a step as a GitHub action: inputs from one variable, findings as annotations, outputs and a job summary."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from secrets import token_hex
from threading import RLock
from typing import Any

from actions_toolkit.file_command import prepare_key_value_message

from ..command.errors import BadInput, Cancelled, StepError
from ..command.limits import is_empty
from ..command.outputs import empty_value, output_values
from ..command.report import Finding, Report, Severity
from ..command.step import Step, fields_of
from ..command.wording import Wording
from ..core.security.documents import parse_json
from ..core.security.masking import forms_of, mask, secrets_in
from ..steps.catalog import NAMES, RELEASE_NAME, RELEASE_PARTS, step_of
from .cli import answer, cancellable, project_folder, project_in, recorded
from .commandfiles import CommandFiles
from .escaping.commands import command as workflow_command
from .escaping.commands import fenced_line, text_lines
from .hiding import hide_environment
from .jobsummary import JobSummary, relative
from .phrasing import ActionPhrasing, ActionSource
from .terminal import aligned, plain, timed

ANNOTATIONS = 10  # a level and step; more are not shown


class GithubRunner:
    """
    A console for a runner's log. Output of other programs is fenced with stop-commands.

    Several threads may print, as a lock keeps each line of a program within the stop-commands.
    """

    def __init__(self, phrasing: ActionPhrasing, *, secrets: Sequence[str] = ()) -> None:
        self._phrasing = phrasing
        self.secrets = tuple(secrets)
        self._fence: str | None = None
        self._printing = RLock()

    def say(self, text: str) -> None:
        """See Console."""
        with self._printing:
            self._unfence()
            for line in text_lines(mask(self._phrasing.text(text), self.secrets)):
                self._write(line)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """See Console."""
        self.say(f"▸ {name}")
        yield

    @contextmanager
    def group(self, title: str, *, folded: bool = True) -> Iterator[None]:  # noqa: ARG002  # the log folds all of them
        """See Console."""
        self.issue("group", title)
        try:
            yield
        finally:
            self.issue("endgroup", "")

    def foreign(self, line: str) -> None:
        """See Console."""
        with self._printing:
            if self._fence is None:
                self._fence = token_hex(16)
                self._write(f"::stop-commands::{self._fence}")
            self._write(fenced_line(mask(line, self.secrets), fence=self._fence))

    def conceal(self, secret: str) -> None:
        """See Console. The runner masks it too, in its log and in that of every later step."""
        with self._printing:
            self._unfence()
            self._write(workflow_command("add-mask", secret))
            self.secrets = (*forms_of((secret,)), *self.secrets)

    def issue(self, command: str, message: str, **properties: object) -> None:
        """Print one workflow command; properties that are None are left out."""
        masked = {
            name: mask(value, self.secrets) if isinstance(value, str) else value for name, value in properties.items()
        }
        with self._printing:
            self._unfence()
            self._write(workflow_command(command, mask(self._phrasing.text(message), self.secrets), **masked))

    def advice(self, report: Report[Any]) -> Iterator[str]:
        """The chain and the advice of a report, without lines that only help on a machine that outlives the job."""
        return (line for line in report.lines if self._phrasing.text(line).strip())

    def _unfence(self) -> None:
        if self._fence is not None:
            self._write(f"::{self._fence}::")
            self._fence = None

    def _write(self, text: str) -> None:
        print(text, flush=True)


def main(argv: Sequence[str]) -> int:
    """Run the step that an action.yml names; return the exit code."""
    return cancellable(lambda: _act(" ".join(argv)))


def _act(name: str) -> int:
    if name not in (RELEASE_NAME, *NAMES):
        print(workflow_command("error", f"`{name}` is no step of mlflow-uv"), flush=True)
        return BadInput.exit_code
    step = step_of(name)
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".")
    runner, summary = _consoles(step, root, project="")
    given: dict[str, object] = {}
    files = CommandFiles.of(os.environ, train_env=())
    try:
        given = _inputs()
        runner, summary = _consoles(step, root, project=project_in(given))
        files = CommandFiles.of(os.environ, train_env=tuple(str(given.get("train-env", "")).replace(",", " ").split()))
        path = str(given.pop("sarif", ""))
        work = partial(answer, step, given, runner, source="input `{}`")
        place = {"root": root, "project": project_folder(given)}
        report = recorded(path, step.name, summary.phrasing, work, secrets=lambda: runner.secrets, **place)
    except StepError as error:
        _annotate(runner, files.restored(), root)
        _report_error(runner, error, summary)
        _write_outputs(step, None)
        _summarise(replace(summary, secrets=runner.secrets).of_error(error, given))
        return error.exit_code
    except Cancelled as cancelled:
        if isinstance(cancelled.so_far, Report):
            _finish(runner, _with(cancelled.so_far, files), summary, given)
        raise
    report = _with(report, files)
    _finish(runner, report, summary, given)
    return 0 if report.ok else 1


def _with(report: Report[Any], files: CommandFiles) -> Report[Any]:
    """A report with the findings about the runner's command files."""
    return replace(report, findings=(*report.findings, *files.restored()))


def _finish(runner: GithubRunner, report: Report[Any], summary: JobSummary, given: Mapping[str, object]) -> None:
    """Annotate the findings of a report, and write its outputs and its summary."""
    _annotate(runner, report.findings, summary.phrasing.root)
    _write_outputs(summary.step, report.outputs)
    _summarise(replace(summary, secrets=runner.secrets).of_report(report, given))
    _print(runner, report.result)
    _say(runner, report)


def _consoles(step: Step[Any, Any, Any], root: Path, *, project: str) -> tuple[GithubRunner, JobSummary]:
    """The console and the job summary of a step on a project, `.` for the checkout itself."""
    phrasing = ActionPhrasing(
        step=step.name,
        source=ActionSource.of(os.environ, file=Path(__file__)),
        root=root,
        parts=RELEASE_PARTS if step.name == RELEASE_NAME else (),
        project="" if project == "." else project,
    )
    secrets = secrets_in(os.environ)
    return GithubRunner(phrasing, secrets=secrets), JobSummary(step=step, phrasing=phrasing, secrets=secrets)


def _report_error(runner: GithubRunner, error: StepError, summary: JobSummary) -> None:
    """Annotate the findings of the steps before, then the error at its place."""
    if isinstance(error.so_far, Report):
        _annotate(runner, error.so_far.findings, summary.phrasing.root)
        _say_lines(runner, timed(error.so_far.timings))
    runner.issue(
        "error",
        error.text,
        title=f"mlflow-uv {summary.step.name}",
        **_place(error.path, error.line, summary.phrasing.root),
    )


def _inputs() -> dict[str, object]:
    """The inputs as JSON in MLFLOW_UV_INPUTS: composite actions get no INPUT_* variables. Raises BadInput."""
    raw = os.environ.get("MLFLOW_UV_INPUTS", "{}")
    try:
        inputs = parse_json(raw)
    except ValueError as error:
        raise BadInput(what="MLFLOW_UV_INPUTS is not JSON", why=str(error)) from error
    if not isinstance(inputs, dict):
        raise BadInput(what="MLFLOW_UV_INPUTS is not an object of inputs", why=f"it is `{raw}`")
    for key, value in inputs.items():
        try:
            json.dumps((key, value), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadInput(
                what=f"the input {key!a} of MLFLOW_UV_INPUTS is not text",
                why=f"it has half of a surrogate pair, {error.object[error.start]!a}, which is no character",
                fix="write the character that is meant",
            ) from error
    return {str(key): value for key, value in inputs.items() if not is_empty(value)}


def _print(runner: GithubRunner, result: str | None) -> None:
    """Print the result, which the command line prints on standard output; it may quote others, so it is fenced."""
    for line in (result or "").splitlines():
        runner.foreign(line)


def _say(runner: GithubRunner, report: Report[Any]) -> None:
    """Print summary, tables, times and advice, as a terminal shows them."""
    runner.say(f"{'✓' if report.ok else '✗'} {report.summary}")
    tables = (line for table in report.tables for line in aligned(table))
    _say_lines(runner, (*tables, *timed(report.timings), *runner.advice(report)))


def _say_lines(runner: GithubRunner, lines: Iterable[str]) -> None:
    for line in lines:
        runner.say(Wording("  ", line))


def _annotate(runner: GithubRunner, findings: Sequence[Finding], root: Path) -> None:
    """Annotate at most ANNOTATIONS findings of each severity; the last one counts those that are not shown."""
    for severity in Severity:
        spread = _spread([finding for finding in findings if finding.severity is severity])
        shown = spread if len(spread) <= ANNOTATIONS else spread[: ANNOTATIONS - 1]
        for finding in shown:
            place = _place(finding.path, finding.line, root)
            runner.issue(severity.value, finding.text, title=f"mlflow-uv {finding.rule}", **place)
        if more := len(spread) - len(shown):
            runner.issue(severity.value, f"and {more} more: see the job summary", title="mlflow-uv")


def _spread(findings: Sequence[Finding]) -> list[Finding]:
    """The first finding of each folder, then the second of each, so that no project hides another."""
    ranks: dict[PurePath | None, int] = {}
    ranked = []
    for finding in findings:
        folder = None if finding.path is None else finding.path.parent
        ranks[folder] = ranks.get(folder, 0) + 1
        ranked.append((ranks[folder], finding))
    return [finding for _, finding in sorted(ranked, key=lambda pair: pair[0])]


def _place(path: PurePath | None, line: int, root: Path) -> Mapping[str, object]:
    """The place of an annotation: no properties without a path, since GitHub would take an empty file name."""
    return {} if path is None else {"file": relative(path, root), "line": line}


def _write_outputs(step: Step[Any, Any, Any], outputs: object) -> None:
    """Write every output; one without a value, as all of a failed step, is empty, or the empty JSON of its type."""
    path = os.environ.get("GITHUB_OUTPUT")
    if not path:
        return
    with Path(path).open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
        values = {} if outputs is None else output_values(outputs)
        for field in fields_of(step.outputs):
            if not re.fullmatch(r"[a-z][a-z0-9-]*", field.kebab):
                raise AssertionError(field.kebab)
            value = values.get(field.name)
            text = _text(empty_value(field) if value is None else value)
            file.write(prepare_key_value_message(field.kebab, text) + "\n")


def _text(value: object) -> str:
    match plain(value):
        case None:
            return ""
        case str() as text:
            return text
        case other:
            return json.dumps(other, ensure_ascii=False)


def _summarise(text: str) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    hide_environment()
    raise SystemExit(main(sys.argv[1:]))
