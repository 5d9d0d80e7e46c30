"""
Writes text from outside as GitHub Flavored Markdown that shows the text and nothing else.

Everything that GitHub reads in the source (CommonMark, tables, footnotes, alerts, formulas) is a character reference.
What it looks for afterwards in the text of the page (mentions, references, addresses, emoji) knows no references: there
a `<wbr>`, which is an element and no character, parts what belongs together, so that a copy of the text stays exact.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ...command.lazy_pattern import lazy_pattern
from .control_characters import visible_columns, visible_lines

_REFERENCES = {
    "&": "&amp;",
    "<": "&lt;",
    "$": "<span>&#36;</span>",
    **{sign: f"&#{ord(sign)};" for sign in "\\`*_[]|~"},
}
_SIGN = lazy_pattern("|".join(map(re.escape, _REFERENCES)))
# What is markup only where a line begins: headings, quotes, lists, rules, tables, and code by its indentation.
_BEGINNING = lazy_pattern(r"\A(?P<spaces> *)(?P<digits>[0-9]*(?=[.)](?: |$)))?(?P<sign>[#>+=.)-])?")
_OF_AN_ADDRESS = "/:?#@!,=%-._+"  # kept: in an address they are neither Markdown nor a character reference
# What GitHub looks for in text: @name, a@b.example, #1, a/b#1, GH-1, CVE-1, :sign:, www. and addresses with a scheme.
_PARTED = lazy_pattern(r"[@#](?=\S)|:(?=//|[\w+-]+:)|\bwww(?=\.)|\b(?:GH|GHSA|CVE)(?=-)", re.IGNORECASE)


def inline(text: str) -> str:
    """
    One line for a paragraph, a list item, a heading or a cell of a table; line ends become `<br>`.

    What stands between paired backticks is shown as code, whoever wrote them: it is escaped all the same.
    """
    # A break alone in a line would begin a block of HTML.
    return re.sub(r"\A(?:<br>)+|(?:<br>)+\Z", "", "<br>".join(map(_line, visible_lines(text))))


def code(text: str) -> str:
    """One line as code, for the same places as `inline`; backticks are part of the text."""
    return f"<code>{'<br>'.join(_escaped(line, first=False) for line in visible_lines(text))}</code>"


def link(text: str, address: str) -> str:
    """
    A link to a page over HTTP or HTTPS with a text; the text alone for any other address.

    Every character of the address that RFC 3986 does not allow, and each that Markdown would read, is percent-encoded.
    """
    if not re.match(r"https?://[^/\\@]+(?:/|\Z)", address):
        return inline(text)
    return f"[{inline(text)}]({quote(address, safe=_OF_AN_ADDRESS, errors='replace')})"


def table_row(cells: Iterable[str]) -> str:
    """A row of a table with these texts."""
    return f"| {' | '.join(map(inline, cells))} |\n"


def code_block(text: str) -> str:
    """A block of code with the text in it, each line visible."""
    return _fenced("", text.removesuffix("\n").split("\n"))


def suggestion_block(lines: Sequence[str]) -> str:
    """A block of a review comment that GitHub offers to put in the place of the commented lines; none deletes them."""
    return _fenced("suggestion", lines)


def _fenced(language: str, lines: Sequence[str]) -> str:
    shown = [visible_columns(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((fence + language, *shown, fence, ""))


def _line(text: str) -> str:
    parts = text.split("`")
    paired = len(parts) % 2 == 1 and all(parts[1::2])
    if not paired:
        return _escaped(text, first=True)
    return "".join(
        f"<code>{_escaped(part, first=False)}</code>" if number % 2 else _escaped(part, first=number == 0)
        for number, part in enumerate(parts)
    )


def _escaped(text: str, *, first: bool) -> str:
    parts, marks = _PARTED.split(text), _PARTED.findall(text)
    escaped = [_SIGN.sub(lambda match: _REFERENCES[match[0]], part) for part in parts]
    line = escaped[0] + "".join(f"{mark}<wbr>{part}" for mark, part in zip(marks, escaped[1:], strict=True))
    return _BEGINNING.sub(_at_the_beginning, line, count=1) if first else line


def _at_the_beginning(match: re.Match[str]) -> str:
    sign = f"&#{ord(match['sign'])};" if match["sign"] else ""
    return f"{'&#32;' * len(match['spaces'])}{match['digits'] or ''}{sign}"
