"""Writes the comparison of a version with the champion as a part of the comment on a pull request, and alone."""

from collections.abc import Iterable, Iterator

from ...command.report import Table, counted
from ..lock_difference.comment import CommentPart, limited
from ..security.markdown import inline, table_row
from .comparison import VersionComparison

_SHORT = 7  # characters of a commit
_PLACES = {"image": "an image", "image with network": "an image with network", "process": "a process"}
_ROWS = 20  # of a table that is not folded


def parts_of(comparison: VersionComparison, origin: str = "") -> Iterator[CommentPart]:
    """Yield the parts of a comment about a version; `origin` says where the description of the champion is from."""
    verdict = comparison.verdict
    mark = "✗ " if comparison.version.state == "failed" else ""
    facts = (_released(comparison), _champion(comparison, origin))
    top = f"### {mark}{inline(verdict)}\n\n<sub>{inline(' · '.join(filter(None, facts)))}</sub>\n\n"
    yield CommentPart(text=top, essential=True)
    if comparison.why:
        why = f"{comparison.why[:1].upper()}{comparison.why[1:]}"
        yield CommentPart(text=f"{inline(why)}.\n\n", essential=True)
    for table in comparison.tables:
        yield CommentPart(text=_table(table))
    if comparison.notes:
        yield CommentPart(text="".join(f"- {inline(note)}\n" for note in comparison.notes) + "\n", essential=True)


def comment_of_release(comparison: VersionComparison) -> str:
    """The same as a document of its own."""
    return limited(parts_of(comparison))


def _released(comparison: VersionComparison) -> str:
    """What was released; of a pull request, its own job says so."""
    version = comparison.version
    head = version.head_of_pull_request or version.commit
    what = "released by the job of this pull request" if version.pull_request else f"version {version.version}"
    tested = f", tested in {_PLACES.get(version.served_by, version.served_by)}" if version.served_by else ""
    return f"{what}{f' from `{head[:_SHORT]}`' if head else ''}{tested}"


def _champion(comparison: VersionComparison, origin: str) -> str:
    champion = comparison.champion
    if champion is None:
        return ""
    commit = f" from `{champion.commit[:_SHORT]}`" if champion.commit else ""
    return f"champion: version {champion.version}{commit}{f', {origin}' if origin else ''}"


def _table(table: Table) -> str:
    title = inline(f"{table.title[:1].upper()}{table.title[1:]}")
    lines = "".join(_lines(table))
    if len(table.rows) > _ROWS:
        return f"<details>\n<summary>{title} ({counted(len(table.rows), 'row')})</summary>\n\n{lines}\n</details>\n\n"
    return f"<strong>{title}</strong>\n\n{lines}\n"


def _lines(table: Table) -> Iterable[str]:
    yield table_row(table.columns)
    yield f"|{'---|' * len(table.columns)}\n"
    yield from map(table_row, table.rows)
