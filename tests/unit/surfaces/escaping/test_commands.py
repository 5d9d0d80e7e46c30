"""Each finding becomes one annotation with its text unchanged and nothing added."""

import io
from contextlib import redirect_stdout
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlflow_uv.command.errors import sentence
from mlflow_uv.command.report import Finding, Report, Severity
from mlflow_uv.core.security.control_characters import visible, visible_lines
from mlflow_uv.surfaces.github import GithubRunner, _annotate, _summarise
from tests.runner import Obeyed, obeyed, summary_for, words

# What the runner's reader of a line looks at: ActionCommand.cs, and what ends a line.
SIGNS = (
    "::", ":", ",", "=", "%", "%0A", "%250A", "%3A", "%25", "\n", "\r", "\r\n", "##[error]", "]", " ", "\t", "\0",
    "\u2028", "\x85", "::error::", "::add-mask::", "::stop-commands::", "endgroup", "file=", "ü", "🐍",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(SIGNS) | st.text(max_size=4), max_size=8).map("".join)
# Names of files hold neither NUL nor, between slashes, nothing.
NAME = TEXT.map(lambda text: text.replace("\0", "").replace("/", "")).filter(lambda text: text not in ("", ".", ".."))
# In two parts, so that no generated text is the whole: a path below it is shown relative to it.
CHECKOUT = Path("/", "checkout")
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def message(text: str) -> str:
    """A message as GitHub shows it: its lines, with an escape for what steers."""
    return "\n".join(visible_lines(text))


def lines_in(log: str) -> list[str]:
    """The lines of a log as the runner cuts it."""
    return log.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]


@given(TEXT, TEXT, TEXT, st.lists(NAME, min_size=1, max_size=3), st.integers(1, 10**6), st.sampled_from(Severity), TEXT)
@FIXTURES
def test_an_annotation_arrives_as_it_was_meant(
    capsys: pytest.CaptureFixture[str], what: str, why: str, fix: str, names: list[str], line: int, level: Severity,
    rule: str,
) -> None:  # fmt: skip
    """
    Any message, title and file: one line, one command, and the runner reads what was said, what steers as escapes.
    """
    place = PurePosixPath(*names)
    finding = Finding(rule=rule, what=what, why=why, fix=fix, path=CHECKOUT / place, line=line, severity=level)

    _annotate(GithubRunner(words()), [finding], CHECKOUT)

    log = capsys.readouterr().out
    meant = {"title": visible(f"mlflow-uv {rule}"), "file": visible(str(place)), "line": str(line)}
    assert 1 == len(lines_in(log))
    assert [Obeyed(level.value, message(sentence(what, why, fix)), meant)] == obeyed(log)


@given(
    st.sampled_from(["error", "warning", "notice", "group"]),
    TEXT,
    st.dictionaries(st.from_regex(r"[a-zA-Z]{1,8}", fullmatch=True), TEXT, max_size=4),
)
@FIXTURES
def test_a_command_has_the_properties_that_it_was_given(
    capsys: pytest.CaptureFixture[str], name: str, text: str, given_ones: dict[str, str]
) -> None:
    """
    However many there are, none leaks into another or into the message; what ends them is not trimmed away.
    """
    GithubRunner(words()).issue(name, text, **given_ones, last="x")

    log = capsys.readouterr().out
    assert 1 == len(lines_in(log))
    shown = {key: visible(value) for key, value in given_ones.items()}
    assert [Obeyed(name, message(text), {**shown, "last": "x"})] == obeyed(log)


EVENTS = st.lists(
    st.tuples(st.sampled_from(["foreign", "say", "issue", "group"]), TEXT), max_size=10
)  # fmt: skip


@given(EVENTS)
@FIXTURES
def test_what_others_print_is_never_a_command(
    capsys: pytest.CaptureFixture[str], events: list[tuple[str, str]]
) -> None:
    """
    In whatever order it comes between our own lines and groups, the runner obeys ours and no other.
    """
    runner = GithubRunner(words())
    meant: list[Obeyed] = []
    for kind, text in events:
        match kind:
            case "foreign":
                runner.foreign(text)
            case "say":
                runner.say(text)
            case "issue":
                runner.issue("notice", text, title=text, line=1)
                meant.append(Obeyed("notice", message(text), {"title": visible(text), "line": "1"}))
            case "group":
                with runner.group(text):
                    runner.foreign(text)
                meant += [Obeyed("group", message(text)), Obeyed("endgroup", "")]
    runner.say("the end")

    found = obeyed(capsys.readouterr().out)

    assert meant == found


def test_who_knows_the_fence_does_not_get_out(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A program that reads the log of its own step finds the token there; printing it resumes nothing.
    """
    runner = GithubRunner(words())
    runner.foreign("first")
    token = capsys.readouterr().out.split("::stop-commands::")[1].splitlines()[0]

    for line in (f"::{token}::", f" ::{token}::", f"x\r::{token}::", f"::{token[:9]}{token}{token[9:]}::"):
        runner.foreign(line)
        runner.foreign("::error::out")
    runner.say("the end")

    log = f"::stop-commands::{token}\n{capsys.readouterr().out}"
    assert [] == obeyed(log)


def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A folder may be called by bytes that are not UTF-8: the log and the summary are, and nothing is lost.
    """
    log = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    path = Path("/w") / b"mod\xe8le".decode(errors="surrogateescape") / "uv.lock"
    finding = Finding(rule="r", what="w", path=path)

    with redirect_stdout(log):
        _annotate(GithubRunner(words()), [finding], Path("/w"))
    report = Report(outputs=None, summary="s", findings=(finding,))
    _summarise(summary_for("check-lock").of_report(report, {}))

    log.seek(0)
    assert [Obeyed("error", "w", {"title": "mlflow-uv r", "file": "mod\\xe8le/uv.lock", "line": "1"})] == obeyed(
        log.read()
    )
    assert "> <strong>w</strong>\n>\n> <sub>mod&#92;xe8le/uv.lock:1</sub>\n" in (tmp_path / "summary").read_text()
