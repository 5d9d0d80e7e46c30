"""Renders the report on a version as one HTML file without scripts, with every value masked and escaped."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...command.report import ChainLink, Mark, Table, WebLink
from ...core.security.control_characters import visible
from ...core.security.masking import mask
from ...payloads.messages.lazy_dataclass import lazy_dataclass

LIMIT = 300_000  # bytes of the file
_LOWEST = 1.5  # share of a column that is not empty
_TEXT = 1_000  # characters of one value
_ROWS = (400, 100, 20, 5, 0)  # rows that are shown of a table: the first number with which the page is small enough

_RESULTS = lazy_pattern(r"; (?=[✓✗?] )")  # between several results in a cell, each of which has a line


@lazy_dataclass
class PageFact:
    """A name and its value, such as the commit of a version; a value in `code` is shown as it was recorded."""

    name: str
    value: str
    code: bool = True


@lazy_dataclass
class PageLink:
    """A link of the chain, and the reason for its mark and what repairs it; both empty where it holds."""

    link: ChainLink
    reason: str = ""
    fix: str = ""


@lazy_dataclass
class Bar:
    """A part of a picture: its label, what it measures as text, and its share of the whole from 0 to 100."""

    label: str
    value: str
    share: float


@lazy_dataclass
class BarChart:
    """Bars under a title, the largest as wide as the picture."""

    title: str
    bars: tuple[Bar, ...]


@lazy_dataclass
class Histogram:
    """Columns under a title, the highest as high as the picture, and a sentence about all of them."""

    title: str
    note: str
    columns: tuple[Bar, ...]


@lazy_dataclass
class ReportPage:
    """
    Everything that the page shows, from the verdict to the details.

    `champion` is the version that the tables in `changes` compare with; where it is empty, `uncompared` says why there
    is none. `pages` have addresses that are encoded already, over HTTP or HTTPS.
    """

    title: str
    verdict: str
    mark: Mark
    chain: tuple[PageLink, ...]
    champion: str
    uncompared: str
    changes: tuple[Table, ...]
    histograms: tuple[Histogram, ...]
    charts: tuple[BarChart, ...]
    tables: tuple[Table, ...]
    facts: tuple[PageFact, ...]
    pages: tuple[WebLink, ...]
    commands: tuple[PageFact, ...]
    written: str


def bar_chart(title: str, sizes: Sequence[tuple[str, float, str]]) -> BarChart:
    """A chart of labels, numbers of at least 0, and the numbers as text."""
    return BarChart(title=title, bars=_bars(sizes))


def histogram(title: str, note: str, sizes: Sequence[tuple[str, float, str]]) -> Histogram:
    """A histogram of labels, numbers of at least 0, and the numbers as text; a number above 0 has a visible column."""
    columns = (bar if bar.share == 0 else replace(bar, share=max(bar.share, _LOWEST)) for bar in _bars(sizes))
    return Histogram(title=title, note=note, columns=tuple(columns))


def _bars(sizes: Sequence[tuple[str, float, str]]) -> tuple[Bar, ...]:
    largest = max((size for _, size, _ in sizes), default=0) or 1
    return tuple(Bar(label=label, value=text, share=round(100 * size / largest, 2)) for label, size, text in sizes)


def render_page(page: ReportPage, *, secrets: tuple[str, ...]) -> bytes:
    """Return the page as UTF-8 in at most LIMIT bytes; of long tables only the first rows are shown."""
    for rows in _ROWS:
        document = _rendered(page, rows, secrets)
        if len(document) <= LIMIT:
            break
    return document


def _rendered(page: ReportPage, rows: int, secrets: tuple[str, ...]) -> bytes:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415  # no other step needs it

    def shown(value: Any) -> Any:
        if not isinstance(value, str) or hasattr(value, "__html__"):  # what a macro of the template rendered
            return value
        text = visible(mask(value, secrets))
        return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=shown)
    environment.filters["results"] = _RESULTS.split
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    short = replace(page, changes=_cut(page.changes, rows), tables=_cut(page.tables, rows))
    text: str = template.render(page=short)
    return text.encode()


def _cut(tables: tuple[Table, ...], rows: int) -> tuple[Table, ...]:
    """The tables with at most so many rows, and what is left out in their title."""
    return tuple(
        table
        if len(table.rows) <= rows
        else replace(table, rows=table.rows[:rows], title=f"{table.title} ({rows} of {len(table.rows)} rows)")
        for table in tables
    )
