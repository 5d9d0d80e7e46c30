"""Writes the job summary of one step as Markdown: findings first, then results, tables and times."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from ..command.errors import StepError
from ..command.report import Finding, Report, Severity, Table, Timing
from ..command.step import Step, fields_of
from ..command.wording import Wording
from ..core.security.masking import mask
from .escaping.markdown import code_block, inline
from .phrasing import ActionPhrasing

LIMIT = 1_000_000  # bytes; GitHub drops a summary over 1 MiB whole
_TEXT = 5_000  # characters of one cell, item or paragraph
_RESULT = 20_000  # characters of a result that is shown; a longer one is in the log alone


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSummary:
    """
    Writes the summaries of a step for a workflow.

    `secrets` are masked before anything is escaped: the runner masks its log, but no summary.
    """

    step: Step[Any, Any, Any]
    phrasing: ActionPhrasing
    secrets: tuple[str, ...] = ()

    def of_report(self, report: Report[Any], given: Mapping[str, object]) -> str:
        """The summary of a report, with the line that repeats the step elsewhere if it failed."""
        repeat = () if report.ok else self._repeat(given)
        return _limited(chain([self._heading(ok=report.ok)], self._body(report), repeat))

    def of_error(self, error: StepError, given: Mapping[str, object]) -> str:
        """The summary of an error, with what was done before it, and the line that repeats the step elsewhere."""
        place = f"{self.place(error.path, error.line)}: " if error.path is not None else ""
        what = Wording(place, error.text)
        done = self._body(error.so_far) if isinstance(error.so_far, Report) else ()
        return _limited(chain([self._heading(ok=False), self._paragraph(what)], done, self._repeat(given)))

    def place(self, path: PurePath, line: int) -> str:
        """`file:line`."""
        return f"{relative(path, self.phrasing.root)}:{line}"

    def _body(self, report: Report[Any]) -> Iterator[str]:
        yield self._paragraph(report.summary)
        if report.findings:
            yield from self._findings(report.findings)
        for table in report.tables:
            yield from self._table(table)
        if report.timings:
            yield from self._timings(report.timings)
        if report.advice:
            # A terminal shows columns, Markdown does not.
            lines = (re.sub(" +", " ", self.phrasing.text(line)) for line in report.advice)
            yield from (f"- {self._inline(line)}\n" for line in lines if line.strip())
            yield "\n"
        if report.result is not None and len(report.result) <= _RESULT:
            yield f"{code_block(mask(report.result, self.secrets))}\n"

    def _findings(self, findings: tuple[Finding, ...]) -> Iterator[str]:
        yield "| | where | what | fix |\n|---|---|---|---|\n"
        for finding in sorted(findings, key=lambda finding: list(Severity).index(finding.severity)):
            where = self.place(finding.path, finding.line) if finding.path is not None else ""
            what = f"{finding.what}: {finding.why}" if finding.why else finding.what
            yield self._row(finding.severity.value, where, what, finding.fix)
        yield "\n"

    def _table(self, table: Table) -> Iterator[str]:
        yield f"<strong>{self._inline(table.title)}</strong>\n\n"
        yield self._row(*table.columns)
        yield f"|{'---|' * len(table.columns)}\n"
        yield from (self._row(*row) for row in table.rows)
        yield "\n"

    def _timings(self, timings: tuple[Timing, ...]) -> Iterator[str]:
        yield "| step | | seconds |\n|---|---|---:|\n"
        yield from (self._row(timing.step, timing.summary, f"{timing.seconds:.1f}") for timing in timings)
        yield "\n"

    def _row(self, *cells: str) -> str:
        return f"| {' | '.join(map(self._inline, cells))} |\n"

    def _paragraph(self, text: str) -> str:
        return f"{self._inline(text)}\n\n"

    def _heading(self, *, ok: bool) -> str:
        return f"### {'✓' if ok else '✗'} mlflow-uv {self.step.name}\n\n"

    def _repeat(self, given: Mapping[str, object]) -> tuple[str, ...]:
        line = mask(command_line(self.step, given, self.phrasing), self.secrets)
        return (f"On a laptop:\n\n{code_block(line)}",)

    def _inline(self, text: str) -> str:
        text = mask(self.phrasing.text(text), self.secrets)
        more = len(text) - _TEXT
        return inline(text if more <= 0 else f"{text[:_TEXT]}… ({more} more characters)")


def command_line(step: Step[Any, Any, Any], given: Mapping[str, object], phrasing: ActionPhrasing) -> str:
    """The inputs of an action as a command for a POSIX shell, in a clone, on a machine that has only uv."""
    texts = ((field, phrasing.text(str(given.get(field.kebab, "")))) for field in fields_of(step.inputs))
    words = chain.from_iterable(field.argv(text) for field, text in texts)
    return f"{phrasing.source.program} {shlex.join((step.name, *words))}"


def relative(path: PurePath, root: Path) -> str:
    """A path as GitHub names it: relative to the root of the checkout, with slashes."""
    try:
        return PurePath(os.path.relpath(path, root) if path.is_absolute() else path).as_posix()
    except ValueError:
        return str(path)


def _limited(parts: Iterable[str]) -> str:
    """Join as many whole parts as fit into LIMIT bytes; each part closes the markup it opens."""
    kept, size = [], 0
    for part in parts:
        size += len(part.encode())
        if size > LIMIT:
            kept.append("\n\n(cut: the log has the rest)\n")
            break
        kept.append(part)
    return "".join(kept)
