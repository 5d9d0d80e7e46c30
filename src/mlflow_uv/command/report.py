"""Defines what a step reports: findings, outputs, and the console for progress messages."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import PurePath
from typing import Generic, Protocol, TypeVar

from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .errors import sentence

Outputs = TypeVar("Outputs")


MOST_NAMED = 5  # in a sentence


def counted(number: int, noun: str) -> str:
    """`1 lock`, `2 locks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def first_names(names: Sequence[str], *, most: int = MOST_NAMED) -> str:
    """`a, b and 3 more`: the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class Severity(Enum):
    """The severity of a finding; only an error fails the step."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@lazy_dataclass
class Finding:
    """A result that requires action, with a file and line (1-based) if there is one."""

    rule: str
    what: str
    why: str = ""
    fix: str = ""
    severity: Severity = Severity.ERROR
    path: PurePath | None = None
    line: int = 1

    @property
    def text(self) -> str:
        """The three parts in one line, without the place."""
        return sentence(self.what, self.why, self.fix)


@lazy_dataclass
class Timing:
    """The duration of a step of a release, and its summary in one line."""

    step: str
    seconds: float
    summary: str


class TableKind(Enum):
    """What a table is about, which decides where a page shows it: differences to the champion first, details last."""

    CHANGES = "changes"
    RESULTS = "results"
    DETAILS = "details"


@lazy_dataclass
class Table:
    """A table of the report; every row has a cell for each column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kind: TableKind = TableKind.RESULTS


class Mark(Enum):
    """What is known about a link of the chain; the value is the sign for it."""

    HOLDS = "✓"
    BROKEN = "✗"
    UNVERIFIED = "?"
    MISSING = "·"


@lazy_dataclass
class ChainLink:
    """A link of the chain, and its short identity: a commit, a digest, a version or a tag; empty without one."""

    name: str
    mark: Mark
    identity: str = ""


def render_chain(links: Iterable[ChainLink]) -> str:
    """
    The chain in one line.

    ✓ is for a link that holds, ✗ for a broken one, ? for an unverified one, · for one that does not exist yet.
    """
    return " ── ".join(" ".join(filter(None, (link.mark.value, link.name, link.identity))) for link in links)


@lazy_dataclass
class WebLink:
    """The address of a page about the result, over HTTP or HTTPS."""

    title: str
    address: str


@lazy_dataclass
class Report(Generic[Outputs]):
    """
    The result of a step.

    `summary` is one line of text. `result` is printed on standard output when text is requested, `advice` are lines
    about where to look and what to do next. `verdict` is the result for readers who know neither steps nor links; where
    it is empty, the summary is. `chain` has the links of a release in order, `links` are pages about the result. A step
    that was `cancelled` has what was finished before.
    """

    outputs: Outputs
    summary: str
    findings: tuple[Finding, ...] = ()
    result: str | None = None
    advice: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = ()
    tables: tuple[Table, ...] = ()
    verdict: str = ""
    chain: tuple[ChainLink, ...] = ()
    links: tuple[WebLink, ...] = ()
    cancelled: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """The chain, if there is one, and the advice."""
        return (f"chain:       {render_chain(self.chain)}", *self.advice) if self.chain else self.advice

    @property
    def ok(self) -> bool:
        """Whether the step ended, and no finding is an error."""
        return not self.cancelled and all(finding.severity is not Severity.ERROR for finding in self.findings)


class Console(Protocol):
    """Prints progress messages of a step, which are not part of its result. Surfaces implement it."""

    def say(self, text: str) -> None:
        """Print one line."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Print the name of a step of a release, which runs in the block."""

    def group(self, title: str, *, folded: bool = True) -> AbstractContextManager[None]:
        """Group the lines printed in the block under a title; a folded group is shown open only if the block fails."""

    def foreign(self, line: str) -> None:
        """Print one line of another program, so that it is not read as a command or a message of this one."""

    def conceal(self, secret: str) -> None:
        """Mask a secret that the step got while it runs, from now on."""
