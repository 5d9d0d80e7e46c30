"""Text from outside in Markdown, in workflow commands, on a terminal and in JSON: it is shown, and does nothing."""

import html
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import ChainLink, Finding, Mark, Report, Table, TableKind, Timing
from mlflow_uv.command.wording import CommandLine
from mlflow_uv.core.security.control_characters import visible, visible_lines, without_sequences
from mlflow_uv.core.security.markdown import code_block, inline, link
from mlflow_uv.surfaces.escaping.commands import command, fenced_line, text_lines
from mlflow_uv.surfaces.terminal import Terminal, as_json
from tests.runner import obeyed, summary_for

# An address that no page of ours leads to.
CANARY = "https://canary.example/leak"
# What acts in a medium that it reaches bare.
ATTACKS = (
    f"[a]({CANARY})", f"![a]({CANARY})", f"`[a]({CANARY})`", f"a`[a]({CANARY})`b", f"``[a]({CANARY})`", f"<{CANARY}>",
    CANARY, f"x{CANARY}", f"({CANARY})", "www.canary.example", "a@canary.example", "mailto:a@canary.example",
    "xmpp:a@canary.example/b", f"[a]: {CANARY}", "[a]", "[a][a]", f'<img src="{CANARY}">', f"<a href='{CANARY}'>",
    "<script>", "</td>", "</code>", "<!-- a", "<br", "<wbr", "&lt;b&gt;", "&#91;", "&", "@octocat", "a @org/team", "#1",
    "org/repo#1", "GH-1", "org/repo@da39a3ee5e6b4b0d3255bfef95601890afd80709", "GHSA-aaaa-bbbb-cccc", "CVE-2026-1",
    ":+1:", ":x:", "$a$", "$$a$$", "$`a`$", "[^1]", "[^1]: a", "> [!NOTE]\n> a", "# a", "a\n===", "a\n---", "- a",
    "+ a", "* a", "1. a", "1) a", "- [x] a", "***", "---", "___", "*a*", "_a_", "**a**", "~~a~~",
    "```\na", "~~~\na", "    a",
    "\ta", "a  \nb", "a\\\nb", "\\", "|", "a|b", "\\|", "|-|-|", ":-:", "a\n\n# b", "a\r# b", "a\x85# b",
    "a\u2028# b", "\x1b[31mred\x1b[0m", "\x9b31m", f"\x1b]8;;{CANARY}\x1b\\a\x1b]8;;\x1b\\", f"\x9d8;;{CANARY}\x9ca",
    "\x1b]0;title\x07", "\x1bc", "\x1b(0", "\x1bP$q\x1b\\", "\x1b", "\0", "\x7f", "\b\b", "a\u202eb", "\u2066a\u2069",
    "\u061c", "\u200e\u200f", "\ud800", "\udce8", "::error::a", " ::add-mask::a", "a\r::stop-commands::a",
    "##[set-env name=A]b", "\N{NO-BREAK SPACE}::error::a", "%0A::error::a", ",file=a", "👩‍🔬 é ü 模型 نموذج",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=6) | st.sampled_from("`|\\<>&[]()!*_~#@:$^ \n\r-1."),
                max_size=6).map("".join)  # fmt: skip
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# What GitHub turns into links and pictures in the text of a page, after Markdown was read.
LINKED = re.compile(
    r"(?<![\w`])@[a-z0-9]|[\w.+-]+@[\w-]+\.\w|://|\bwww\.|#\d|\bGH-\d|\b(?:CVE|GHSA)-\w|:[\w+-]+:|\$[^$]+\$",
    re.IGNORECASE,
)
OURS = {"table", "thead", "tbody", "tr", "th", "td", "p", "br", "code", "wbr", "span"}
# What a summary is made of, besides tables and paragraphs.
FRAME = {"h3", "h4", "strong", "ul", "li", "pre", "sub", "blockquote", "details", "summary"}


class Page(HTMLParser):
    """What a browser gets: every tag, and each text that stands between two of them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self.texts.append("\n" if tag == "br" else "")

    def handle_endtag(self, tag: str) -> None:
        self.tags.add(tag)
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts and self.texts[-1] not in ("", "\n"):
            self.texts[-1] += data
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.add(f"comment {data}")

    @property
    def text(self) -> str:
        """All of it, space as a browser shows it."""
        return spaced("".join(self.texts))

    def linked(self) -> Iterator[str]:
        """What GitHub would make more of than text."""
        for text in self.texts:
            if found := LINKED.search(text):
                yield found[0]


def spaced(text: str) -> str:
    """A text with its space as a browser shows it, and without the line ends at its ends."""
    lines = (re.sub(r"[ \t\N{NO-BREAK SPACE}]+", " ", line).strip() for line in text.split("\n"))
    return "\n".join(lines).strip("\n")


def meant(text: str) -> str:
    """What a person should read: every character, those that steer as escapes."""
    return spaced("\n".join(visible_lines(text)))


@pytest.mark.parametrize("attack", ["@octocat", "a@b.example", CANARY, "www.a.example", "a/b#1", "GH-1", ":x:", "$a$"])
def test_the_model_of_the_page_is_not_blind(attack: str) -> None:
    """
    The tests below mean something: GitHub would act on these.
    """
    assert list(Page(GITHUB.render(attack)).linked())


@given(TEXT)
@example("&#64;octocat")
@example("#1")
@example(":x:")
@settings(max_examples=150)
def test_markdown_shows_a_text_and_nothing_else(text: str) -> None:
    """
    In a paragraph, after a bullet, in a heading, in a cell: no link, picture, heading, list, tag or formula.
    """
    for before, after, tags in (
        ("", "\n\n", {"p"}),
        ("- ", "\n\n", {"ul", "li", "p"}),
        ("### ", "\n", {"h3"}),
        ("<strong>", "</strong>\n", {"p", "strong"}),
        ("| a | ", " |\n|---|---|\n", {"table"}),
    ):
        page = Page(GITHUB.render(f"{before}{inline(text)}{after}"))

        assert set() == page.tags - tags - {"code", "br", "wbr", "span", "thead", "tr", "th"}
        assert [] == page.attributes
        assert [] == list(page.linked())


@given(TEXT)
@settings(max_examples=150)
def test_a_text_in_markdown_is_read_as_it_was_written(text: str) -> None:
    """
    Nothing is lost: what steers is an escape, and paired backticks are code.
    """
    page = GITHUB.render(f"a {inline(text)}")

    assert meant(f"a {text}").split() == Page(re.sub("</?code>", "`", page)).text.split()


@given(TEXT)
@settings(max_examples=150)
def test_a_block_of_code_holds_its_text(text: str) -> None:
    """
    Whatever fences stand in it, it is one block and all of it.
    """
    tokens = GITHUB.parse(f"a\n\n{code_block(text)}\nb")

    assert ["paragraph_open", "inline", "paragraph_close", "fence", "paragraph_open", "inline", "paragraph_close"] == [
        token.type for token in tokens
    ]
    lines = text.removesuffix("\n").split("\n")
    assert ["\t".join(map(visible, line.split("\t"))) for line in lines] == tokens[3].content.split("\n")[:-1]


@given(TEXT, TEXT, TEXT)
@settings(max_examples=20)
def test_a_summary_of_anything_leads_nowhere(what: str, why: str, fix: str) -> None:
    """
    Findings, tables, timings, advice, results, errors and the command that repeats it: no link, no picture, no control.
    """
    finding = Finding(rule=what, what=what, why=why, fix=fix, path=Path("/w") / why.replace("\0", ""))
    report = Report(
        outputs=None,
        summary=fix,
        findings=(finding,),
        verdict=why,
        chain=(ChainLink(name=what, mark=Mark.BROKEN, identity=fix),),
        tables=tuple(Table(title=what, columns=(why, fix), rows=((fix, what),), kind=kind) for kind in TableKind),
        timings=(Timing(step="export", seconds=1, summary=why),),
        advice=(what, why),
        result=fix,
    )
    error = BadInput(what=what, why=why, fix=fix)
    error.path, error.so_far = finding.path, report
    summary = summary_for("export")

    for text in (summary.of_report(report, {"project": why}), summary.of_error(error, {"project": what})):
        page = GITHUB.render(text)
        assert set() == Page(page).tags - OURS - FRAME
        assert [] == list(Page(re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)).linked())
        assert None is STEERING.search(text)


@given(TEXT, TEXT)
@example("@octocat ![p](https://evil.example/pixel.png)", 'x) <img src=y> "&copy;[a](b)')
@settings(max_examples=100)
def test_a_link_leads_to_its_address_alone(text: str, rest: str) -> None:
    """
    Whatever its text and its path are: one link, to the server that was given, and nothing else.
    """
    page = Page(GITHUB.render(f"- {link(text, f'https://mlflow.example/{rest}')}"))

    ((name, address),) = page.attributes
    assert (name, True) == ("href", str(address).startswith("https://mlflow.example/"))
    assert {"a"} == page.tags - OURS - FRAME


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "http:x", "https://a@b/", "//a", ""])
def test_an_address_of_another_kind_is_no_link(address: str) -> None:
    """
    Only pages over HTTP, of a server without credentials in its address.
    """
    assert inline("text") == link("text", address)


def test_an_unknown_key_is_no_link() -> None:
    """
    A key of a manifest that closes the backticks around it: it is shown as it stands.
    """
    key = f"a`[click]({CANARY})![p]({CANARY}/pixel.png)`b"
    error = BadInput(what=f"[tool.mlflow-uv] in pyproject.toml does not know `{key}`", why="known are `x`")

    page = Page(GITHUB.render(summary_for("check-lock").of_error(error, {})))

    assert set() == page.tags & {"a", "img"}
    assert f"[click]({CANARY})![p]({CANARY}/pixel.png)" in page.text


def test_a_secret_with_markup_in_it_is_hidden_from_a_summary() -> None:
    """
    It is hidden before it is escaped: afterwards nobody would know it.
    """
    secret = "a*b<c>|`d`"  # made up
    finding = Finding(rule="r", what=f"the server said {secret}")
    report = Report(outputs=None, summary=secret, findings=(finding,), result=secret)

    text = summary_for("export", secrets=(secret,)).of_report(report, {"project": secret})

    assert (secret not in html.unescape(text), inline(secret) not in text) == (True, True)
    assert 4 == text.count("&#42;&#42;&#42;") + text.count("***")


@given(TEXT, TEXT)
def test_an_annotation_holds_no_control(message: str, title: str) -> None:
    """
    One line, one command; what steers is an escape, also in its properties.
    """
    text = command("error", message, title=title, file=title, line=3)

    (found,) = obeyed(text)
    assert None is STEERING.search(text)
    assert 1 == len(text.splitlines())
    assert ("\n".join(visible_lines(message)), visible(title)) == (found.data, found.properties["file"])


@given(TEXT)
def test_a_line_of_ours_in_a_log_is_no_command_and_holds_no_control(text: str) -> None:
    """
    Whatever it quotes.
    """
    lines = text_lines(text)

    assert [] == obeyed("\n".join(lines))
    assert not any(STEERING.search(line) for line in lines)


@given(st.lists(TEXT, max_size=4))
def test_a_fence_holds_whatever_is_printed(lines: list[str]) -> None:
    """
    Also where a sequence that is taken away stood in the middle of its token.
    """
    fence = "0123456789abcdef"
    printed = [*lines, f"::{fence[:4]}\x1b[0m{fence[4:]}::", f"::{fence}::", "::error::a"]

    log = "\n".join(fenced_line(line.replace("\n", " "), fence=fence) for line in printed)

    assert [] == obeyed(f"::stop-commands::{fence}\n{log}\n::{fence}::")
    assert None is STEERING.search(log)


@given(TEXT, TEXT, TEXT)
def test_a_terminal_is_steered_by_us_alone(what: str, why: str, name: str) -> None:
    """
    A finding is one line, whatever its path is called; no escape sequence of it reaches the screen.
    """
    stream = io.StringIO()
    console = Terminal(stream, colours=False)
    path = Path(name.replace("\0", "") or "a")

    console.finding(Finding(rule="r", what=what, why=why, path=path))
    (line,) = stream.getvalue().removesuffix("\n").split("\n")
    error = BadInput(what=what, why=why)
    error.path = path
    console.error(error)
    console.say(what)
    console.foreign(why.replace("\n", " "))
    with console.group(what):
        console.foreign(what.replace("\n", " "))
    console.report(
        Report(outputs=None, summary=what, advice=(why,), timings=(Timing(step="s", seconds=1, summary=what),))
    )

    assert line.startswith(f"{visible(str(path))}:1: error: ")
    assert None is STEERING.search(stream.getvalue().replace("\n", ""))


def test_colours_of_ours_stay() -> None:
    """
    They are put around what was made visible.
    """
    stream = io.StringIO()

    Terminal(stream, colours=True).finding(Finding(rule="r", what="\x1b[32mall is well"))

    assert "\x1b[31merror\x1b[0m: \\x1b[32mall is well\n" == stream.getvalue()


@given(TEXT, TEXT)
def test_json_holds_no_control_and_loses_nothing(what: str, why: str) -> None:
    """
    A program reads what was said; a person who looks at it is not steered.
    """
    text = as_json("export", BadInput(what=what, why=why), CommandLine(), ())

    error = json.loads(text)["error"]
    assert None is STEERING.search(text.replace("\n", ""))
    assert tuple(re.sub("[\udc80-\udcff]", "\N{REPLACEMENT CHARACTER}", part) for part in (what, why)) == (
        error["what"],
        error["why"],
    )


@pytest.mark.parametrize("text", ["模型", "नमूना", "نموذج", "é", "👩‍🔬", "ü", "🏳️‍🌈", "a b", "ﬁ", "π"])
def test_names_of_every_script_stay_readable(text: str) -> None:
    """
    Letters, marks, joiners and emoji are no controls.
    """
    assert (text, text, text) == (visible(text), without_sequences(text), inline(text))


@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x9d", "\x1b[", "\x1b[0", "`", ":a", "@", "www.", "$", "\u202e", "\r", "<"]
)
@pytest.mark.parametrize(
    "escape", [visible, without_sequences, inline, code_block, lambda text: command("error", text)]
)
def test_a_long_line_is_read_once(piece: str, escape) -> None:
    """
    A sequence that never ends, or signs in a row: what is read again from each of them would not end here.
    """
    escape(piece * (100_000 // len(piece)))
