"""Defines what a step reports: findings, outputs, and the console for progress messages."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Generic, Protocol, TypeVar

from .errors import sentence

Outputs = TypeVar("Outputs")


def counted(number: int, noun: str) -> str:
    """`1 lock`, `2 locks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Severity(Enum):
    """How much a finding weighs: only an error fails the step."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """An answer that somebody has to act on, at a file and line (1-based) where there is one."""

    rule: str
    what: str
    why: str = ""
    fix: str = ""
    severity: Severity = Severity.ERROR
    path: PurePath | None = None
    line: int = 1

    @property
    def text(self) -> str:
        """The three parts as one sentence, without the place."""
        return sentence(self.what, self.why, self.fix)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """How long a step of a release took, and what it said in one line."""

    step: str
    seconds: float
    summary: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What is better read in rows than in sentences; every row has a cell for each column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report(Generic[Outputs]):
    """
    The answer of one step.

    `summary` is one line for a person. `result` is what stdout gets when the step was asked for text,
    `advice` the lines that say where to look and what to do next.
    """

    outputs: Outputs
    summary: str
    findings: tuple[Finding, ...] = ()
    result: str | None = None
    advice: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


class Console(Protocol):
    """Where a step tells of work under way. Surfaces implement it; nothing it says is part of the answer."""

    def say(self, text: str) -> None:
        """Say one line of ours."""

    def group(self, title: str, *, folded: bool = True) -> AbstractContextManager[None]:
        """Put what is said inside under a title; what is folded is only read when it fails."""

    def foreign(self, line: str) -> None:
        """Pass on one line that another program printed, so that nothing reads it as ours."""
