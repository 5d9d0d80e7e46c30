"""
Writes the job summary of one step as Markdown.

First the verdict and the chain, then what stopped the step and its fix, what changed since the champion, the results,
and where to look. Details, times and the command that repeats the step are folded.
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from ..command.errors import StepError
from ..command.report import ChainLink, Finding, Report, Severity, Table, TableKind, Timing, WebLink, counted
from ..command.step import Step, fields_of
from ..core.security.markdown import code, code_block, inline, link
from ..core.security.masking import mask
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .phrasing import ActionPhrasing

LIMIT = 1_000_000  # bytes; GitHub drops a summary over 1 MiB whole
_TEXT = 5_000  # characters of one cell, item or paragraph
_HEADING = 160  # characters of a heading; a longer text is a paragraph
_RESULT = 20_000  # characters of a result that is shown; a longer one is in the log alone
_CALLOUTS = 3  # errors that are shown on top; the others are in the table of findings
_IDENTITY = 24  # characters of a short identity
_COLUMNS = 5  # of the chain, as many as a page has space for
_ROWS = 20  # rows of a table that is not folded
_CLOSED = "\n</details>\n\n"


@lazy_dataclass
class JobSummary:
    """
    Writes the summaries of a step for a workflow.

    `secrets` are masked before anything is escaped: the runner masks its log, but no summary.
    """

    step: Step[Any, Any, Any]
    phrasing: ActionPhrasing
    secrets: tuple[str, ...] = ()

    def of_report(self, report: Report[Any], given: Mapping[str, object]) -> str:
        """The summary of a report, with the line that repeats the step elsewhere."""
        errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
        on_top = errors[:_CALLOUTS]
        verdict = report.verdict or report.summary
        lead = report.summary if verdict != report.summary else ""
        callouts = [callout for finding in on_top for callout in self._of_finding(finding)]
        top = chain(self._top(verdict, lead, report, ok=report.ok), callouts)
        return _limited(chain(top, self._body(report, left_out=on_top), self._repeat(given)))

    def of_error(self, error: StepError, given: Mapping[str, object]) -> str:
        """The summary of an error, with what was done before it, and the line that repeats the step elsewhere."""
        done = error.so_far if isinstance(error.so_far, Report) else Report(outputs=None, summary="")
        place = self.place(error.path, error.line) if error.path is not None else ""
        top = self._top(done.verdict or error.what, done.summary, done, ok=False)
        callout = self._callout(error.what if done.verdict else "", error.why, error.fix, place)
        return _limited(chain(top, callout, self._body(done, left_out=()), self._repeat(given)))

    def place(self, path: PurePath, line: int) -> str:
        """`file:line`."""
        return f"{relative(path, self.phrasing.root)}:{line}"

    def _top(self, verdict: str, lead: str, report: Report[Any], *, ok: bool) -> Iterator[str]:
        """The verdict as a heading, the step and its duration, and the chain."""
        mark = "✓" if ok else "✗"
        text = self._text(verdict)
        fits = len(text) <= _HEADING and "\n" not in text
        yield f"### {mark} {self._inline(text) if fits else f'mlflow-uv {self.step.name}'}\n\n"
        if not fits:
            yield self._paragraph(text)
        seconds = sum(timing.seconds for timing in report.timings)
        parts = (f"`mlflow-uv {self.step.name}`", f"{seconds:.0f} s" if report.timings else "", lead)
        yield f"<sub>{self._inline(' · '.join(filter(None, parts)))}</sub>\n\n"
        if report.chain:
            yield from self._chain(report.chain)

    def _chain(self, links: Sequence[ChainLink]) -> Iterator[str]:
        """One cell for each link: its mark and name, and below its short identity; a wider table would be cut off."""
        cells = [self._cell(shown) for shown in links]
        columns = min(len(cells), _COLUMNS)
        for at in range(0, len(cells), columns):
            row = cells[at : at + columns]
            yield f"| {' | '.join(row + [''] * (columns - len(row)))} |\n"
            if not at:
                yield f"|{':-:|' * columns}\n"
        yield "\n"

    def _cell(self, shown: ChainLink) -> str:
        label = f"{shown.mark.value}\N{NO-BREAK SPACE}{shown.name}"
        name = f"<strong>{self._inline(label)}</strong>"
        return f"{name}<br>{code(_shortened(self._text(shown.identity)))}" if shown.identity else name

    def _of_finding(self, finding: Finding) -> Iterator[str]:
        place = self.place(finding.path, finding.line) if finding.path is not None else ""
        return self._callout(finding.what, finding.why, finding.fix, place)

    def _callout(self, what: str, why: str, fix: str, place: str) -> Iterator[str]:
        """An error with its evidence and its fix, as an alert of GitHub; elsewhere it is a quotation."""
        lines = [f"<strong>{self._inline(what)}</strong>"] if what else []
        lines += [self._inline(why)] if why else []
        lines += [f"Fix: {self._inline(fix)}"] if self._text(fix) else []
        lines += [f"<sub>{self._inline(place)}</sub>"] if place else []
        if lines:
            yield "> [!CAUTION]\n" + ">\n".join(f"> {line}\n" for line in lines) + "\n"

    def _body(self, report: Report[Any], *, left_out: Sequence[Finding]) -> Iterator[str]:
        changes, results, details = (
            [table for table in report.tables if table.kind is kind]
            for kind in (TableKind.CHANGES, TableKind.RESULTS, TableKind.DETAILS)
        )
        if changes:
            yield "#### What changed since the champion\n\n"
        for table in changes:
            yield from self._table(table, folded=len(table.rows) > _ROWS)
        if changes and results:
            yield "#### Results\n\n"
        for table in results:
            yield from self._table(table, folded=len(table.rows) > _ROWS)
        findings = [finding for finding in report.findings if finding not in left_out]
        if findings:
            yield from self._findings(findings)
        yield from self._where(report.links, report.advice)
        for table in details:
            yield from self._table(table, folded=True)
        if report.timings:
            yield from self._timings(report.timings)
        if report.result is not None and len(report.result) <= _RESULT:
            yield f"{code_block(mask(report.result, self.secrets))}\n"

    def _where(self, links: Sequence[WebLink], advice: Sequence[str]) -> Iterator[str]:
        """Pages about the result, and lines of advice without those that only help on another machine."""
        # A terminal shows columns, Markdown does not.
        lines = [re.sub(" +", " ", self._text(line)) for line in advice]
        shown = [f"- {link(self._text(page.title), mask(page.address, self.secrets))}\n" for page in links]
        shown += [f"- {self._inline(_with_code(line))}\n" for line in lines if line.strip()]
        if shown:
            yield from (*shown, "\n")

    def _findings(self, findings: Sequence[Finding]) -> Iterator[str]:
        """A table without the columns that are empty in every row."""
        rows = [
            (
                finding.severity.value,
                f"{finding.what}: {finding.why}" if finding.why else finding.what,
                finding.fix,
                self.place(finding.path, finding.line) if finding.path is not None else "",
            )
            for finding in sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
        ]
        columns = ("", "what", "fix", "where")
        shown = [at for at in range(len(columns)) if any(self._text(row[at]) for row in rows)]
        yield self._row(*(columns[at] for at in shown))
        yield f"|{'---|' * len(shown)}\n"
        yield from (self._row(*(row[at] for at in shown)) for row in rows)
        yield "\n"

    def _table(self, table: Table, *, folded: bool) -> Iterator[str]:
        title = self._inline(table.title[:1].upper() + table.title[1:])
        rows = (
            self._row(*table.columns),
            f"|{'---|' * len(table.columns)}\n",
            *(self._row(*row) for row in table.rows),
        )
        if folded:
            yield from _folded(f"{title} ({counted(len(table.rows), 'row')})", rows)
        else:
            yield from (f"{title}:\n\n", *rows, "\n")

    def _timings(self, timings: tuple[Timing, ...]) -> Iterator[str]:
        rows = (self._row(timing.step, timing.summary, f"{timing.seconds:.1f}") for timing in timings)
        return _folded("Steps and their times", ("| step | | seconds |\n|---|---|---:|\n", *rows))

    def _row(self, *cells: str) -> str:
        return f"| {' | '.join(map(self._inline, cells))} |\n"

    def _paragraph(self, text: str) -> str:
        return f"{self._inline(text)}\n\n"

    def _repeat(self, given: Mapping[str, object]) -> Iterator[str]:
        line = mask(command_line(self.step, given, self.phrasing), self.secrets)
        return _folded("Repeat this step in a clone", (code_block(line),))

    def _text(self, text: str) -> str:
        return mask(self.phrasing.text(text), self.secrets)

    def _inline(self, text: str) -> str:
        text = self._text(text)
        more = len(text) - _TEXT
        return inline(text if more <= 0 else f"{text[:_TEXT]}… ({more} more characters)")


def _shortened(identity: str) -> str:
    """An identity that is not wider than the other columns: the last parts of a long one, which have the version."""
    if len(identity) <= _IDENTITY:
        return identity
    end = identity[-_IDENTITY:]
    _, slash, parts = end.partition("/")
    return f"…{slash}{parts}" if parts else f"…{end}"


def _with_code(line: str) -> str:
    """A line of advice; the command in `serve it: COMMAND` and the like is code, and so is an address there."""
    match = re.fullmatch(r"([a-z ]+ it): ([^`]+)", line)
    return f"{match[1]}: `{match[2]}`" if match else line


def _folded(title: str, parts: Iterable[str]) -> Iterator[str]:
    """Parts that are shown on a click on the title, which is escaped already."""
    yield from (f"<details>\n<summary>{title}</summary>\n\n", *parts, _CLOSED)


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
    """Join as many whole parts as fit into LIMIT bytes, and close what is folded in the last one."""
    kept, size, folded = [], 0, False
    for part in parts:
        size += len(part.encode())
        if size > LIMIT:
            kept.append(f"{_CLOSED if folded else ''}\n\n(cut: the log has the rest)\n")
            break
        kept.append(part)
        folded = part.startswith("<details>") or (folded and part != _CLOSED)
    return "".join(kept)
