"""A Markdown table stays a table whatever its cells contain."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlflow_uv.command.report import Finding, Report, Severity, Table, Timing
from mlflow_uv.core.security.control_characters import visible, visible_lines
from mlflow_uv.surfaces.cells import cells as cells_of
from mlflow_uv.surfaces.github import GithubRunner, _say
from mlflow_uv.surfaces.terminal import aligned
from tests.runner import obeyed, summary_for, words

# What would end a cell, a row or a table, or begin something else, if it got there bare.
ATTACKS = (
    "a | b", "a\\| b", "a\\\\| b", "\\", "|", "a\nb", "a\r| b |\r\r# b", "a\n\n# b", "<b>", "</td><script>",
    "<!--", "`<b>`", "\\`<b>`", "``<b>`", "`a`<b>`c`", "`a|b`", "`a\n\n<b>`", "```\n<b>\n```", "&lt;b>", "---",
    "\x1b[31m", "::error::a", "a\r::add-mask::b", "##[set-env name=A]b", "\u2028", "\0",
)  # fmt: skip
CELL = st.sampled_from(ATTACKS) | st.text(alphabet="|\\`<>&\n\r:#[-a ", max_size=12) | st.text(max_size=6)
# What our own words are made of: their emphasis, code and breaks, and what parts a mention.
OURS = {"strong", "code", "br", "p", "h3", "ul", "li", "wbr", "span", "pre", "sub", "details", "summary", "blockquote"}
INLINE = {"<br>", "<wbr>", *(f"<{end}{tag}>" for tag in ("code", "span", "sub") for end in ("", "/"))}
FOLDED = "<details>\n<summary>Repeat this step in a clone</summary>\n"
GITHUB = MarkdownIt("commonmark").enable("table")


def tables(columns: int = 3) -> st.SearchStrategy[Table]:
    """Tables of that many columns with anything in them."""
    row = st.tuples(*[CELL] * columns)
    return st.builds(Table, title=CELL.map("Of {}".format), columns=row, rows=st.lists(row, max_size=3).map(tuple))


class Seen(HTMLParser):
    """The shape of a page: for each table the number of cells in each row, and every other tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[int]] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # what a parser is asked
        match tag:
            case "table":
                self.tables.append([])
            case "tr":
                self.tables[-1].append(0)
            case "td" | "th":
                self.tables[-1][-1] += 1
            case "thead" | "tbody":
                pass
            case _:
                self.tags.add(tag)

    def handle_comment(self, data: str) -> None:  # the same
        self.tags.add("comment")


def cells(row: str) -> list[str]:
    """The cells of a row as GitHub's own parser cuts it: an escaped character first, then a pipe (scanners.re)."""
    inner = row.strip().removeprefix("|")
    parts = re.findall(r"((?:\\[!-/:-@\[-`{-~]|[^|])*)\|", inner)
    assert "".join(f"{part}|" for part in parts) == inner, row
    return [part.strip().replace("\\|", "|") for part in parts]


@pytest.mark.parametrize("attack", ["a | b", "a\\| b", "a\\", "a |"])
def test_the_model_of_a_row_is_not_blind(attack: str) -> None:
    """
    The tests below mean something: bare, or escaped without thought, these make another number of cells.
    """
    naive = attack.replace("|", "\\|")

    found = {len(cells(f"|{row}|x|")) for row in (attack, naive)}

    assert found != {2}


@given(tables())
def test_a_table_in_a_summary_keeps_its_shape(table: Table) -> None:
    """
    As a Markdown parser sees it: one table, as many rows and cells as there are, and no untrusted tag.
    """
    report = Report(outputs=None, summary="s", tables=(table,))

    seen = Seen(GITHUB.render(summary(report)))

    assert [[3] * (1 + len(table.rows))] == seen.tables
    assert set() == seen.tags - OURS


@given(tables())
def test_a_cell_in_a_summary_says_what_was_said(table: Table) -> None:
    """
    As GitHub cuts rows: every cell holds its own text, with line ends as breaks and no block of code.
    """
    text = summary(Report(outputs=None, summary="s", tables=(table,)))

    rows = [cells(line) for line in re.split(r"\r\n|\r|\n", text) if line.startswith("|")]

    assert [tuple(map(spoken, row)) for row in (table.columns, *table.rows)] == [
        tuple(map(read, row)) for row in (rows[0], *rows[2:])
    ]


def spoken(text: str) -> str:
    """A text with an escape for what steers, without the space at its ends and the backticks that became code."""
    return "\n".join(visible_lines(text)).replace("`", "").strip()


def read(cell: str) -> str:
    """The text of a cell as a browser shows it."""
    return html.unescape(re.sub(r"<(?!br)/?[a-z]+>", "", cell).replace("<br>", "\n")).replace("`", "").strip()


@given(CELL, CELL, CELL, CELL)
def test_findings_and_timings_keep_their_shape_too(what: str, why: str, fix: str, name: str) -> None:
    """
    The tables of findings and of timings are made of the same words.
    """
    path = Path("/w") / name.replace("\0", "")
    finding = Finding(rule="r", severity=Severity.NOTICE, what=f"w{what}", why=why, fix=f"f{fix}", path=path, line=3)
    timing = Timing(step="export", seconds=1.0, summary=what)
    report = Report(outputs=None, summary="s", findings=(finding, finding), timings=(timing,))

    seen = Seen(GITHUB.render(summary(report)))

    assert [[4, 4, 4], [3, 3]] == seen.tables
    assert set() == seen.tags - OURS


@given(CELL, CELL)
def test_a_summary_holds_no_untrusted_tag(words: str, advice: str) -> None:
    """
    Outside of tables too: what is not ours is read as text.
    """
    text = summary(Report(outputs=None, summary=f"a {words}", advice=(advice,)))

    tokens = [inner for token in GITHUB.parse(text) for inner in (token, *(token.children or ()))]

    tags = {token.content for token in tokens if token.type.startswith("html")}
    assert set() == tags - INLINE - {FOLDED, "</details>\n"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`yeast<2` is locked", "<code>yeast&lt;2</code> is locked"),
        ("`a|b` & c", "<code>a|b</code> &amp; c"),
        ("a<b", "a&lt;b"),
        ("it's ``odd<b>``", "it's ``odd&lt;b&gt;``"),
        ("one ` only <b>", "one ` only &lt;b&gt;"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_stands_in_backticks_is_shown_as_it_is(text: str, shown: str) -> None:
    """
    A range of versions is read in the summary as it is written in the manifest.
    """
    report = Report(outputs=None, summary="s", tables=(Table(title="t", columns=(text,), rows=()),))

    page = GITHUB.render(summary(report))

    assert f"<th>{shown}</th>" in page


def summary(report: Report[None]) -> str:
    """The job summary of a report."""
    return summary_for("export").of_report(report, {})


@given(tables())
def test_a_table_on_a_terminal_is_one_line_a_row(table: Table) -> None:
    """
    Its columns begin where they began above, and nothing in it steers the terminal.
    """
    title, *rows = aligned(table)

    assert 1 + len(table.rows) == len(rows)
    assert all(visible(line) == line for line in (title, *rows))
    shown = [tuple(map(visible, row)) for row in (table.columns, *table.rows)]
    for position in range(1, 3):
        begins = sum(max(cells_of(row[one]) for row in shown) + 2 for one in range(position))
        assert all(in_cells(line, begins - 2, begins).strip() == "" for line in rows), begins


def in_cells(line: str, first: int, end: int) -> str:
    """What a terminal shows in these cells of a line: characters may take two of them, or none."""
    places = (
        (cells_of(line[:at]), cells_of(line[: at + 1]), character) for at, character in enumerate(line)
    )  # where each begins and ends
    return "".join(character for begin, after, character in places if after > first and begin < end)


def test_an_empty_table_has_its_title_and_its_head() -> None:
    """
    No rows is no reason to fail.
    """
    found = aligned(Table(title="t", columns=("a", "bc"), rows=()))

    assert ("t", "a  bc") == found


@given(st.lists(tables(), max_size=2), CELL)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_cell_is_a_command_in_a_log(capsys: pytest.CaptureFixture[str], found: list[Table], line: str) -> None:
    """
    The log shows tables as a terminal does, and the runner obeys nothing of them.
    """
    _say(GithubRunner(words()), Report(outputs=None, summary=line, tables=tuple(found), advice=(line,)))

    assert [] == obeyed(capsys.readouterr().out)


def test_the_worst_stands_first() -> None:
    """
    Errors before warnings before notices, in the order in which they were found.
    """
    severities = (Severity.NOTICE, Severity.ERROR, Severity.WARNING, Severity.ERROR)
    findings = tuple(Finding(rule="r", what=str(n), severity=one) for n, one in enumerate(severities))

    text = summary(Report(outputs=None, summary="s", findings=findings))

    assert ["1", "3"] == re.findall(r"^> <strong>(\d)</strong>$", text, re.MULTILINE)
    assert ["2", "0"] == [cells(line)[1] for line in text.splitlines() if re.match(r"\| [enw]", line)]
