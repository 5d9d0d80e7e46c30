"""The output of a step for people and for programs that read JSON."""

import io
import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolMissing
from mlflow_uv.command.report import Finding, Report, Severity, Table, Timing
from mlflow_uv.command.wording import CommandLine
from mlflow_uv.surfaces.terminal import Detail, Terminal, aligned, as_json, plain, shown, wants_colours


class Verdict(Enum):
    """A verdict."""

    GOOD = "good"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Some outputs."""

    the_verdict: Verdict = Verdict.GOOD
    path: Path | None = None
    names: tuple[str, ...] = ("a", "b")


@pytest.fixture
def stream() -> io.StringIO:
    """A terminal's stream."""
    return io.StringIO()


@pytest.fixture
def plain_terminal(stream: io.StringIO) -> Terminal:
    """A terminal without colours."""
    return Terminal(stream, colours=False)


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (
            Finding(rule="r", what="it is so", why="because", fix="do it", path=Path("uv.lock"), line=3),
            "uv.lock:3: error: it is so: because. Fix: do it\n",
        ),
        (Finding(rule="r", what="it is so", severity=Severity.WARNING), "warning: it is so\n"),
        (Finding(rule="r", what="it is so", fix="do it", severity=Severity.NOTICE), "notice: it is so. Fix: do it\n"),
    ],
)
def test_a_finding_is_one_line_that_editors_understand(
    plain_terminal: Terminal, stream: io.StringIO, finding: Finding, line: str
) -> None:
    """
    `path:line: severity: what: why. Fix: command`, each part only if it is there.
    """
    plain_terminal.finding(finding)

    assert line == stream.getvalue()


def test_an_error_is_said_in_three_parts(plain_terminal: Terminal, stream: io.StringIO) -> None:
    """
    What is so, why, and the command that helps.
    """
    plain_terminal.error(ToolMissing(what="uv is not installed", why="it is not on PATH", fix="pip install uv"))

    assert "error: uv is not installed: it is not on PATH. Fix: pip install uv\n" == stream.getvalue()


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("\x1b[2J\x1b[31mred\x07", "red\\x07"),
        ("\x1b]8;;https://a.example\x1b\\link\x1b]8;;\x1b\\ \x9b1mbold", "link bold"),
        ("\x1b]0;never ends", "\\x1b]0;never ends"),
        ("a\u202eb", "a\\u202eb"),
        ("10%\r20%\r100%", "100%"),
        ("tab\tstays, ü too", "tab\tstays, ü too"),
    ],
)
def test_what_others_print_cannot_move_the_cursor(
    plain_terminal: Terminal, stream: io.StringIO, line: str, seen: str
) -> None:
    """
    Sequences are dropped, other controls are shown, and of a progress bar the last state is kept.
    """
    plain_terminal.foreign(line)

    assert f"  │ {seen}\n" == stream.getvalue()


def test_a_report_ends_with_its_verdict_and_where_to_look(plain_terminal: Terminal, stream: io.StringIO) -> None:
    """
    Findings first, then times, then one line that says how it went.
    """
    report = Report(
        outputs=Outputs(),
        summary="all is well",
        findings=(Finding(rule="r", what="n", severity=Severity.NOTICE),),
        timings=(Timing(step="export", seconds=0.123, summary="3 pins"),),
        advice=("look here",),
    )

    plain_terminal.report(report)

    assert "notice: n\n\n  export     0.1 s  3 pins\n✓ all is well\n  look here\n" == stream.getvalue()


def test_colours_are_only_paint(stream: io.StringIO) -> None:
    """
    Without its colours a line says the same.
    """
    colourful = Terminal(stream, colours=True)

    colourful.finding(Finding(rule="r", what="w"))

    assert "\x1b[31merror\x1b[0m: w\n" == stream.getvalue()


class Screen(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Whether somebody looks."""
        return True


@pytest.mark.parametrize(
    ("variables", "screen", "wanted"),
    [
        ({}, Screen(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Screen(), False),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, Screen(), False),
        ({"TERM": "dumb"}, Screen(), False),
    ],
)
def test_colours_follow_the_conventions(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], screen: io.StringIO, wanted: bool
) -> None:
    """
    NO_COLOR goes before FORCE_COLOR, and both before what kind of screen it is.
    """
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    found = wants_colours(screen)

    assert wanted is found


def test_a_path_is_said_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Relative to the current folder where it lies below it, whole where it does not.
    """
    monkeypatch.chdir(tmp_path)

    found = [shown(tmp_path / "a" / "uv.lock"), shown(Path("/elsewhere/uv.lock")), shown(Path("b/uv.lock"))]

    assert ["a/uv.lock", "/elsewhere/uv.lock", "b/uv.lock"] == found


def test_records_become_kebab_case_objects() -> None:
    """
    JSON has the names of the command line, not those of Python.
    """
    found = plain((Outputs(path=Path("a/b")),))

    assert [{"the-verdict": "good", "path": "a/b", "names": ["a", "b"]}] == found


def test_json_of_an_answer_is_one_object() -> None:
    """
    Whether it went well, the outputs, and every finding with its parts.
    """
    finding = Finding(rule="r", what="w", path=Path("uv.lock"))

    report = Report(outputs=Outputs(), summary="s", findings=(finding,))
    found = json.loads(as_json("export", report, CommandLine(), ()))

    assert {"schema": 1, "step": "export", "ok": False, "summary": "s"}.items() <= found.items()
    assert "good" == found["outputs"]["the-verdict"]
    assert ["error", "uv.lock", 1] == [found["findings"][0][key] for key in ("severity", "path", "line")]


def test_json_of_an_error_has_the_same_frame() -> None:
    """
    A program reads one shape for both, and the exit code in it.
    """
    found = json.loads(as_json("export", ToolMissing(what="w", why="y", fix="f"), CommandLine(), ()))

    error = {"kind": "ToolMissing", "exit-code": 5, "what": "w", "why": "y", "fix": "f"}
    assert {"schema": 1, "step": "export", "ok": False, "error": error} == found


def test_json_of_a_path_that_is_no_text_can_be_printed() -> None:
    """
    Bytes that are not UTF-8 are shown as such, and no reason to crash.
    """
    finding = Finding(rule="r", what="w", path=Path(os.fsdecode(b"mod\xe8le/uv.lock")))

    text = as_json("export", Report(outputs=Outputs(), summary="s", findings=(finding,)), CommandLine(), ())

    assert "mod\N{REPLACEMENT CHARACTER}le/uv.lock" == json.loads(text.encode())["findings"][0]["path"]


@pytest.mark.parametrize(
    ("detail", "printed"),
    [
        (Detail.QUIET, ["warning: odd"]),
        (Detail.USUAL, ["  title", "said", "warning: odd", "✓ done"]),
        (Detail.VERBOSE, ["  title", "  │ output", "said", "warning: odd", "✓ done"]),
    ],
)
def test_detail_decides_what_is_printed(stream: io.StringIO, detail: Detail, printed: list[str]) -> None:
    """
    Findings always; what happens unless it is to be quiet; the output of programs only where all is wanted.
    """
    console = Terminal(stream, colours=False, detail=detail)

    with console.group("title"):
        console.foreign("output")
    console.say("said")
    odd = Finding(rule="r", what="odd", severity=Severity.WARNING)
    console.report(Report(outputs=None, summary="done", findings=(odd,)))

    assert printed == stream.getvalue().splitlines()


def test_signs_are_plain_where_the_encoding_has_no_others() -> None:
    """
    In place of the codes that Python would print; letters that it lacks are shown by them.
    """
    written = io.BytesIO()
    console = Terminal(io.TextIOWrapper(written, encoding="iso-8859-1", errors="backslashreplace"), colours=False)

    console.foreign("größer, 模")
    console.report(Report(outputs=None, summary="done"))

    assert "  | größer, \\u6a21\nv done\n" == written.getvalue().decode("iso-8859-1")


def test_columns_are_aligned_by_what_a_terminal_draws() -> None:
    """
    Wide letters take two cells.
    """
    table = Table(title="t", columns=("name", "size"), rows=(("模型", "1"), ("wine", "2")))

    lines = aligned(table)

    assert ("t", "name  size", "模型  1", "wine  2") == lines


@pytest.mark.parametrize("folded", [True, False])
def test_a_quiet_failure_shows_why(stream: io.StringIO, *, folded: bool) -> None:
    """
    The last lines of what failed are printed, whether it would have been folded or not, and a result that is not good.
    """
    console = Terminal(stream, colours=False, detail=Detail.QUIET)

    def failing() -> None:
        with console.group("title", folded=folded):
            console.foreign("the reason")
            raise ToolMissing(what="a", why="b")

    with pytest.raises(ToolMissing):
        failing()
    console.report(Report(outputs=None, summary="bad", findings=(Finding(rule="r", what="odd"),)))

    assert ["  │ the reason", "error: odd", "✗ bad"] == stream.getvalue().splitlines()


def test_a_secret_that_a_step_gets_is_masked_from_then_on(plain_terminal: Terminal, stream: io.StringIO) -> None:
    """
    In messages, in the output of others, and in what is written as JSON with the secrets of the terminal.
    """
    plain_terminal.say("issued-token")
    plain_terminal.conceal("issued-token")
    plain_terminal.say("issued-token")
    plain_terminal.foreign("x issued-token")

    assert "issued-token\n***\n  │ x ***\n" == stream.getvalue()
    assert "issued-token" in plain_terminal.secrets
