"""Prints progress, findings and reports for a person at a terminal, or an answer as JSON."""

import errno
import json
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Protocol, TextIO

from ..command.errors import BadProject, NoSpace, StepError, ToolFailed, Unforeseen
from ..command.outputs import output_values
from ..command.report import Console, Finding, Report, Severity, Table, Timing
from ..command.wording import CommandLine, Phrasing, Wording, step_call, worded
from ..core.security.control_characters import escaped_json, visible, visible_lines, without_sequences
from ..core.security.masking import forms_of, mask, secrets_in

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ELSEWHERE = "set MLFLOW_UV_HOME, UV_CACHE_DIR and TMPDIR to"
_DISK_FIXES = {
    **dict.fromkeys(_FULL, f"free space there, or {_ELSEWHERE} a larger disk"),
    errno.EROFS: f"{_ELSEWHERE} folders that can be written",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM), f"let this user read and write it, or {_ELSEWHERE} folders of this user"
    ),
}
_COLOURS = {"bold": "1", "dim": "2", Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTICE: "36", "good": "32"}


class Detail(Enum):
    """How much is printed: findings alone, what happens, or also the output of every program."""

    QUIET = "quiet"
    USUAL = "usual"
    VERBOSE = "verbose"


KEPT = 60  # lines of folded output that are shown when it fails
# For a stream of another encoding than UTF-8, as of a locale that has none of these.
_PLAIN_SIGNS = {"│": "|", "▸": ">", "✓": "v", "✗": "x", "·": "-", "─": "-"}


class LiveDisplay(Protocol):
    """Shows what is going on below the lines that are printed; see LiveLine."""

    def part(self, name: str) -> AbstractContextManager[None]:
        """Show a part of a step while the block runs."""

    def above(self) -> AbstractContextManager[None]:
        """Let the block print lines."""

    def show(self, text: str) -> None:
        """Show the newest line of a program."""


class Terminal:
    """
    A console on a stream: output of other programs is dimmed and indented, colours follow `wants_colours`.

    A `live` display belongs to a terminal that a person looks at; several threads may print.
    """

    def __init__(  # noqa: PLR0913  # each is decided elsewhere
        self,
        stream: TextIO,
        *,
        colours: bool,
        caller: Mapping[str, str] | None = None,
        phrasing: Phrasing | None = None,
        detail: Detail = Detail.USUAL,
        live: LiveDisplay | None = None,
    ) -> None:
        self._stream = stream
        self._detail = detail
        self._live = live
        self._signs = {} if is_utf8(stream) else str.maketrans(_PLAIN_SIGNS)
        self._caller = caller or {}
        self._phrasing = phrasing or CommandLine()
        self._colours = colours
        self._kept: deque[str] | None = None

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of the caller, collected at the first line: a hook without findings prints none."""
        return secrets_in(self._caller)

    def conceal(self, secret: str) -> None:
        """See Console."""
        self.secrets = (*forms_of((secret,)), *self.secrets)

    def say(self, text: str) -> None:
        """See Console."""
        if self._detail is Detail.QUIET:
            return
        for line in visible_lines(worded(text, self._phrasing)):
            self._line(line)

    def working(self, name: str) -> AbstractContextManager[None]:
        """Show that a step runs, while the block runs."""
        return nullcontext() if self._live is None else self._live.part(mask(visible(name), self.secrets))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """See Console."""
        self.say(f"▸ {name}")
        with self.working(name):
            yield

    @contextmanager
    def group(self, title: str, *, folded: bool = True) -> Iterator[None]:
        """
        See Console. A folded group shows its newest line while it runs, and its last KEPT lines when it fails.

        With `--quiet` every group is folded, with `--verbose` none.
        """
        quiet = self._detail is Detail.QUIET
        if not quiet:
            self._line(self.paint(f"  {visible(title)}", "dim"))
        folds = quiet or (folded and self._detail is Detail.USUAL)
        before, self._kept = self._kept, deque(maxlen=KEPT) if folds else None
        try:
            with self.working(title):
                yield
        except BaseException:
            for line in self._kept or ():
                self._line(self.paint(f"  │ {line}", "dim"))
            raise
        finally:
            self._kept = before

    def foreign(self, line: str) -> None:
        """See Console. Control sequences are removed."""
        line = mask(line, self.secrets)
        clean = without_sequences(line.rsplit("\r", 1)[-1])
        kept = self._kept  # another thread may end the group
        if kept is None:
            self._line(self.paint(f"  │ {clean}", "dim"))
        else:
            kept.append(clean)
            if self._live is not None:
                self._live.show(clean)

    def paint(self, text: str, colour: "str | Severity") -> str:
        """Colour a text, or not."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colours else text

    def finding(self, finding: Finding) -> None:
        """One finding: `path:line: severity: what: why. Fix: command`."""
        severity = self.paint(finding.severity.value, finding.severity)
        self._line(f"{_place(finding.path, finding.line)}{severity}: {self._visible(finding.text)}")

    def error(self, error: StepError) -> None:
        """The findings and times of the steps before, then the error; lines after the first are indented."""
        if isinstance(error.so_far, Report):
            for finding in error.so_far.findings:
                self.finding(finding)
            for line in timed(error.so_far.timings):
                self._line(f"  {line}")
        text = "\n  ".join(visible_lines(worded(error.text, self._phrasing)))
        self._line(f"{_place(error.path, error.line)}{self.paint('error', Severity.ERROR)}: {text}")

    def report(self, report: Report[Any]) -> None:
        """Findings, tables, how long each step took, the summary, the chain, and where to look."""
        for finding in report.findings:
            self.finding(finding)
        if self._detail is Detail.QUIET and report.ok:
            return
        for table in report.tables:
            self._line("")
            for line in aligned(table):
                self._line(f"  {line}")
        mark = self.paint("✓", "good") if report.ok else self.paint("✗", Severity.ERROR)
        if report.timings:
            self._line("")
            for line in timed(report.timings):
                self._line(f"  {line}")
        self._line(f"{mark} {self._visible(report.summary)}")
        for line in report.lines:
            self._line(f"  {self._visible(line)}")

    def _visible(self, text: str) -> str:
        return visible(worded(text, self._phrasing))

    def _line(self, text: str) -> None:
        line = mask(text, self.secrets).translate(self._signs)
        with nullcontext() if self._live is None else self._live.above():
            print(line, file=self._stream, flush=True)


def _place(path: PurePath | None, line: int) -> str:
    return "" if path is None else f"{visible(shown(path))}:{line}: "


def timed(timings: Sequence[Timing]) -> tuple[str, ...]:
    """Step, seconds and summary in columns."""
    width = max((len(timing.step) for timing in timings), default=0)
    return tuple(f"{timing.step:<{width}}  {timing.seconds:6.1f} s  {visible(timing.summary)}" for timing in timings)


def aligned(table: Table) -> tuple[str, ...]:
    """A table in columns, under its title; each row is one line."""
    from .cells import cells, padded  # noqa: PLC0415  # a step without a table needs none of it

    title, *rows = ([visible(cell) for cell in row] for row in ((table.title,), table.columns, *table.rows))
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    return (*title, *("  ".join(map(padded, row, widths)).rstrip() for row in rows))


def shown(path: PurePath) -> str:
    """A path relative to the current folder where it is below it."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except ValueError:
        return str(path)


def wants_colours(stream: TextIO) -> bool:
    """Whether to use colours: NO_COLOR, then FORCE_COLOR, else whether the stream is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or moves_cursor(stream)


def moves_cursor(stream: TextIO) -> bool:
    """Whether a stream is a terminal that knows sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def is_utf8(stream: TextIO) -> bool:
    """Whether a stream writes UTF-8, or text that nothing encodes."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")


def plain(value: Any) -> Any:
    """A value as `json.dumps` takes it: dataclasses become objects with kebab-case keys."""
    match value:
        case Enum():
            return value.value
        case PurePath():
            return str(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {f.name.replace("_", "-"): plain(getattr(value, f.name)) for f in fields(value)}
    return value


def as_json(step: str, answer: "Report[Any] | StepError", phrasing: Phrasing, secrets: Sequence[str]) -> str:
    """What `--format json` prints: one object, for an answer and for an error alike. Outputs are not masked."""

    def phrased(value: object) -> Any:
        return _phrased(plain(value), phrasing, secrets)

    if isinstance(answer, StepError):
        body: dict[str, Any] = {
            "ok": False,
            "error": {
                "kind": answer.kind,
                "exit-code": answer.exit_code,
                **{part: phrased(getattr(answer, part)) for part in ("what", "why", "fix")},
                **({} if answer.path is None else {"path": plain(answer.path), "line": answer.line}),
            },
        }
        if isinstance(answer.so_far, Report):
            body |= {"findings": phrased(answer.so_far.findings), "timings": phrased(answer.so_far.timings)}
    else:
        body = {
            "ok": answer.ok,
            "summary": phrased(answer.summary),
            "outputs": {name.replace("_", "-"): plain(value) for name, value in output_values(answer.outputs).items()},
            "findings": phrased(answer.findings),
            "timings": phrased(answer.timings),
        }
    return escaped_json(json.dumps({"schema": 1, "step": step, **body}, indent=2, ensure_ascii=False))


def _phrased(value: Any, phrasing: Phrasing, secrets: Sequence[str]) -> Any:
    """A plain value with its texts formatted for a surface, and masked."""
    match value:
        case str():
            return mask(worded(value, phrasing), secrets)
        case list():
            return [_phrased(item, phrasing, secrets) for item in value]
        case dict():
            return {key: _phrased(item, phrasing, secrets) for key, item in value.items()}
    return value


def unforeseen(name: str, error: Exception, console: Console) -> StepError:
    """The StepError of a disk that cannot be written, else of an internal error, whose traceback is printed."""
    if isinstance(error, OSError) and (fix := _DISK_FIXES.get(error.errno or 0)) is not None:
        kind = NoSpace if error.errno in _FULL else ToolFailed
        why = f"{error.strerror}: {error.filename or 'the system names no file'}"
        return kind(what=f"{name} cannot use a file", why=why, fix=fix)
    if isinstance(error, RecursionError):
        return BadProject(
            what=f"{name} cannot read something that is nested too deeply",
            why="a marker, a value or the response of a server has hundreds of nested brackets",
            fix="look for it in the files of the project",
        )
    import traceback  # noqa: PLC0415  # only on the way to an error

    for line in "".join(traceback.format_exception(error)).splitlines():
        console.foreign(line)  # it may quote text from outside
    return Unforeseen(
        what=f"{name} failed unexpectedly",
        why=f"{type(error).__name__}: {error}",
        fix=Wording("report it, with the lines above and the output of ", step_call("doctor")),
    )


def terminal(
    phrasing: Phrasing | None = None, *, detail: Detail = Detail.USUAL, project: Path | None = None
) -> Terminal:
    """
    The console on standard error of this process; without a phrasing the program is called `mlflow-uv`.

    With the folder of a `project`, a terminal shows what is going on, unless nothing but findings is to be printed.
    """
    colours = wants_colours(sys.stderr)
    live = None
    if project is not None and detail is not Detail.QUIET and moves_cursor(sys.stderr) and is_utf8(sys.stderr):
        from .live_line import live_line  # noqa: PLC0415  # starts a thread

        live = live_line(sys.stderr, project, dim=_COLOURS["dim"] if colours else "")
    return Terminal(sys.stderr, colours=colours, caller=os.environ, phrasing=phrasing, detail=detail, live=live)
