"""How does a person at a terminal see a step? Logs on stderr, results on stdout."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, TextIO

from ..errors import StepError
from ..report import Finding, Report, Severity

_COLOURS = {"bold": "1", "dim": "2", Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTICE: "36", "good": "32"}


class Terminal:
    """A Voice for people: headings bold, what others print dimmed and indented, colours only where they are wanted."""

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self._stream = stream
        self._colours = colours

    def say(self, text: str) -> None:
        """See Voice."""
        self._line(text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """See Voice."""
        self._line(self.paint(title, "bold"))
        yield

    def foreign(self, line: str) -> None:
        """See Voice. Control characters cannot move the cursor or ring the bell."""
        clean = "".join(c if c.isprintable() or c == "\t" else "" for c in line.rsplit("\r", 1)[-1])
        self._line(self.paint(f"  │ {clean}", "dim"))

    def paint(self, text: str, colour: "str | Severity") -> str:
        """Colour a text, or not."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colours else text

    def finding(self, finding: Finding) -> None:
        """One finding: `path:line: severity: what: why. Fix: command`."""
        place = f"{shown(finding.path)}:{finding.line}: " if finding.path is not None else ""
        self._line(f"{place}{self.paint(finding.severity.value, finding.severity)}: {finding.text}")

    def error(self, error: StepError) -> None:
        """Why there is no answer."""
        self._line(f"{self.paint('error', Severity.ERROR)}: {error}")

    def report(self, report: Report[Any]) -> None:
        """Findings, the summary, how long each step took, and where to look."""
        for finding in report.findings:
            self.finding(finding)
        mark = self.paint("✓", "good") if report.ok else self.paint("✗", Severity.ERROR)
        if report.timings:
            self._line("")
            width = max(len(timing.step) for timing in report.timings)
            for timing in report.timings:
                self._line(f"  {timing.step:<{width}}  {timing.seconds:6.1f} s  {timing.summary}")
        self._line(f"{mark} {report.summary}")
        for line in report.advice:
            self._line(f"  {line}")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def shown(path: PurePath) -> str:
    """A path as short as it can be said from the current folder."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except ValueError:
        return str(path)


def wants_colours(stream: TextIO) -> bool:
    """The conventions of NO_COLOR and FORCE_COLOR, else whether a person is looking."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def plain(value: Any) -> Any:
    """A value of ours as JSON: records become kebab-case objects."""
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


def as_json(step: str, answer: "Report[Any] | StepError") -> str:
    """What `--format json` prints: one object, for an answer and for an error alike."""
    if isinstance(answer, StepError):
        body: dict[str, Any] = {
            "ok": False,
            "error": {
                "kind": type(answer).__name__,
                "exit-code": answer.exit_code,
                "what": answer.what,
                "why": answer.why,
                "fix": answer.fix,
            },
        }
    else:
        body = {
            "ok": answer.ok,
            "summary": answer.summary,
            "outputs": plain(answer.outputs),
            "findings": plain(answer.findings),
            "timings": plain(answer.timings),
        }
    return json.dumps({"schema": 1, "step": step, **body}, indent=2, ensure_ascii=False)


def terminal() -> Terminal:
    """The terminal of this process: stderr."""
    return Terminal(sys.stderr, colours=wants_colours(sys.stderr))
