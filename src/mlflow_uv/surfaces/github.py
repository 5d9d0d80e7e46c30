"""A step as a GitHub action: inputs from one variable, findings as annotations, outputs and a summary."""

import json
import os
import re
import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from actions_toolkit.command import Command
from actions_toolkit.file_command import prepare_key_value_message

from ..core.environment import mask, secrets_in
from ..errors import BadInput, StepError
from ..release import ALL
from ..report import Finding, Report, Severity
from ..step import Step, fields_of
from .cli import answer, cancellable
from .terminal import aligned, plain, timed

SUMMARY_LIMIT = 1_000_000  # GitHub drops a summary over 1 MiB whole
ANNOTATIONS = 10  # a level and step; more are not shown


class Runner:
    """A Voice for a runner's log. What others print stands between stop-commands, so that GitHub obeys none of it."""

    def __init__(self) -> None:
        self._fence: str | None = None

    def say(self, text: str) -> None:
        """See Voice."""
        self._unfence()
        self._write(defused(text))

    @contextmanager
    def group(self, title: str, *, folded: bool = True) -> Iterator[None]:  # noqa: ARG002  # the log folds all of them
        """See Voice."""
        self.issue("group", title)
        try:
            yield
        finally:
            self.issue("endgroup", "")

    def foreign(self, line: str) -> None:
        """See Voice."""
        if self._fence is None:
            self._fence = secrets.token_hex(16)
            self._write(f"::stop-commands::{self._fence}")
        self._write(line.replace(self._fence, "***").replace("\r", " "))

    def issue(self, command: str, message: str, **properties: object) -> None:
        """One workflow command; properties that are None are left out."""
        self._unfence()
        kept = {name: str(value) for name, value in properties.items() if value is not None}
        self._write(str(Command(command, kept, message)))

    def _unfence(self) -> None:
        if self._fence is not None:
            self._write(f"::{self._fence}::")
            self._fence = None

    def _write(self, text: str) -> None:
        print(text.encode(errors="replace").decode(), flush=True)  # a path may be no text


def defused(text: str) -> str:
    """
    A text of ours, which may quote a foreign one, so that no line of it is a command.

    The runner ends lines at CR too, trims them before it looks for `::`, and finds `##[` anywhere: ActionCommand.cs.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    return "\n".join(re.sub(r"^(\s*)::", r"\1: :", line) for line in lines).replace("##[", "# #[")


def main(argv: Sequence[str]) -> int:
    """Run the step that an action.yml names; return the exit code."""
    (name,) = argv
    return cancellable(lambda: _act(name))


def _act(name: str) -> int:
    runner = Runner()
    step = next(step for step in ALL if step.name == name)
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".")
    given: Mapping[str, object] = {}
    try:
        given = _inputs()
        report = answer(step, given, runner, source="input `{}`")
    except StepError as error:
        runner.issue("error", str(error), title=f"mlflow-uv {name}")
        _summarise(_heading(name, ok=False) + f"{_escape(str(error))}\n\n{_reproduce(name, given)}")
        return error.exit_code
    _annotate(runner, report.findings, root)
    _write_outputs(step, report)
    _summarise(summary(name, report, root) + ("" if report.ok else _reproduce(name, given)))
    _say(runner, report)
    return 0 if report.ok else 1


def _inputs() -> Mapping[str, object]:
    """Composite actions get no INPUT_* variables; their action.yml hands all inputs over as JSON instead."""
    raw = os.environ.get("MLFLOW_UV_INPUTS", "{}")
    try:
        inputs = json.loads(raw)
    except ValueError as error:
        raise BadInput(what="MLFLOW_UV_INPUTS is not JSON", why=str(error)) from error
    if not isinstance(inputs, dict):
        raise BadInput(what="MLFLOW_UV_INPUTS is not an object of inputs", why=f"it is `{raw}`")
    return {str(key): value for key, value in inputs.items() if value not in (None, "")}


def _say(runner: Runner, report: Report[Any]) -> None:
    """The summary, how long each step took, and where to look: the log says what a terminal shows."""
    runner.say(f"{'✓' if report.ok else '✗'} {report.summary}")
    tables = (line for table in report.tables for line in aligned(table))
    for line in (*tables, *timed(report.timings), *report.advice):
        runner.say(f"  {line}")


def _annotate(runner: Runner, findings: Sequence[Finding], root: Path) -> None:
    for severity in Severity:
        for finding in [finding for finding in findings if finding.severity is severity][:ANNOTATIONS]:
            at = None if finding.path is None else _relative(finding.path, root)
            line = None if at is None else finding.line
            runner.issue(severity.value, finding.text, title=f"mlflow-uv {finding.rule}", file=at, line=line)


def _write_outputs(step: Step[Any, Any, Any], report: Report[Any]) -> None:
    path = os.environ.get("GITHUB_OUTPUT")
    if not path:
        return
    with Path(path).open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
        for field in fields_of(step.outputs):
            if not re.fullmatch(r"[a-z][a-z0-9-]*", field.kebab):
                raise AssertionError(field.kebab)
            file.write(prepare_key_value_message(field.kebab, _text(getattr(report.outputs, field.name))) + "\n")


def _text(value: object) -> str:
    match plain(value):
        case None:
            return ""
        case str() as text:
            return text
        case other:
            return json.dumps(other, ensure_ascii=False)


def summary(name: str, report: Report[Any], root: Path) -> str:
    """The job summary of one step, as Markdown."""
    parts = [_heading(name, ok=report.ok), _escape(report.summary) + "\n\n"]
    if report.findings:
        parts.append("| | where | what | mend |\n|---|---|---|---|\n")
        for finding in sorted(report.findings, key=lambda finding: list(Severity).index(finding.severity)):
            where = f"{_relative(finding.path, root)}:{finding.line}" if finding.path is not None else ""
            what = f"{finding.what}: {finding.why}" if finding.why else finding.what
            parts.append(f"| {finding.severity.value} | {_cell(where)} | {_cell(what)} | {_cell(finding.fix)} |\n")
        parts.append("\n")
    for table in report.tables:
        parts.append(f"**{_cell(table.title)}**\n\n")
        parts.extend(f"| {' | '.join(map(_cell, row))} |\n" for row in (table.columns, ("---",) * len(table.columns)))
        parts.extend(f"| {' | '.join(map(_cell, row))} |\n" for row in table.rows)
        parts.append("\n")
    if report.timings:
        parts.append("| step | | seconds |\n|---|---|---:|\n")
        parts.extend(f"| {t.step} | {_cell(t.summary)} | {t.seconds:.1f} |\n" for t in report.timings)
        parts.append("\n")
    if report.advice:
        # A terminal shows columns, Markdown does not.
        parts.extend(f"- {_escape(re.sub(' +', ' ', line))}\n" for line in report.advice)
    return "".join(parts)


def _heading(name: str, *, ok: bool) -> str:
    return f"### {'✓' if ok else '✗'} mlflow-uv {name}\n\n"


def _reproduce(name: str, given: Mapping[str, object]) -> str:
    switches = {"true": "", "false": "no-"}
    words = ["mlflow-uv", name]
    for key, value in given.items():
        prefix = switches.get(str(value))
        words += [f"--{key}", str(value)] if prefix is None else [f"--{prefix}{key}"]
    line = shlex.join(words).replace("`" * 3, "'''")
    return f"On a laptop:\n\n```\n{line}\n```\n"


def _summarise(text: str) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    # The log is masked by the runner, a summary is not; and a path in it may be no text.
    text = mask(text, secrets_in(os.environ)).encode(errors="replace").decode()
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text if len(text.encode()) < SUMMARY_LIMIT else text[: SUMMARY_LIMIT // 4] + "\n\n(cut)\n")


def _relative(path: PurePath, root: Path) -> str:
    try:
        return PurePath(os.path.relpath(path, root) if path.is_absolute() else path).as_posix()
    except ValueError:
        return str(path)


def _escape(text: str) -> str:
    """Text without tags. Between backticks that pair it is code, where an entity would be shown as it stands."""
    text = re.sub("``+", lambda found: "'" * len(found[0]), text)
    parts = text.split("`")
    code = len(parts) % 2 == 1 and not re.search(r"\\`|[\r\n]", text)
    return "`".join(
        part if code and number % 2 else part.replace("&", "&amp;").replace("<", "&lt;")
        for number, part in enumerate(parts)
    )


def _cell(text: str) -> str:
    """One cell of a row. A backslash before a pipe would undo the one that escapes it."""
    line = re.sub(r"\r\n|\r|\n", "<br>", _escape(text))
    return re.sub(r"(\\*)\|", lambda found: "&#92;" * len(found[1]) + "\\|", line)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
