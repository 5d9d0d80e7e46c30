"""What GitHub reads from a step, and what no text can make it read."""

import json
import shlex
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import ChainLink, Finding, Mark, Report, Severity, Table, Timing
from mlflow_uv.command.step import Doc, Field, FieldKind, Step, fields_of
from mlflow_uv.core.security.control_characters import visible_lines
from mlflow_uv.steps.catalog import all_steps, step_of
from mlflow_uv.surfaces.cli import _parser
from mlflow_uv.surfaces.github import (
    ANNOTATIONS,
    GithubRunner,
    _act,
    _annotate,
    _say,
    _write_outputs,
)
from mlflow_uv.surfaces.jobsummary import command_line
from tests.runner import Obeyed, obeyed, summary_for, words

# Lines that would act if they reached the runner bare.
ATTACKS = (
    "::set-output name=x::1",
    "  \t::error file=a::b",
    "::add-mask::a",
    "::stop-commands::x",
    "::x::",
    "text ##[add-path]/evil",
    "##[set-env name=A]b",
    "fine\r::set-env name=A::b",
    "\N{NO-BREAK SPACE}::error::a",
    "::endgroup::",
)
NASTY = st.sampled_from(ATTACKS) | st.text(alphabet=":#[]\r a%", max_size=8)


def test_the_model_of_the_runner_obeys_what_reaches_it_bare() -> None:
    """
    The tests below mean something: each of the attacks would act.
    """
    harmless = [attack for attack in ATTACKS if attack != "::x::" and not _obeys(attack)]

    assert [] == harmless


def _obeys(line: str) -> bool:
    try:
        return bool(obeyed(line))
    except AssertionError:
        return True  # it stopped the commands


class Interrupted(GithubRunner):
    """A console that another thread uses, too, as soon as a fence is written: it waits until that one has printed."""

    def _write(self, text: str) -> None:
        """Print a line."""
        super()._write(text)
        if text.startswith("::stop-commands::") and threading.current_thread() is threading.main_thread():
            other = threading.Thread(target=self.say, args=("done",))
            other.start()
            other.join(0.2)  # or until this one is through


def test_no_thread_opens_the_fence_around_a_line_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Parts of an image are made in one thread, and the release is verified in another.
    """
    runner = Interrupted(words())

    runner.foreign("::add-path::/evil")
    runner.say("end")

    assert [] == obeyed(capsys.readouterr().out)


@given(st.lists(st.tuples(st.sampled_from(["foreign", "say", "issue"]), NASTY), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_foreign_is_ever_a_command(capsys: pytest.CaptureFixture[str], events: list[tuple[str, str]]) -> None:
    """
    Whatever other programs print and our lines quote, in any order: the runner obeys our own commands and no other.
    """
    runner = GithubRunner(words())
    for kind, text in events:
        if kind == "issue":
            runner.issue("error", text, title=text)
        else:
            {"foreign": runner.foreign, "say": runner.say}[kind](text)
    runner.say("done")

    found = obeyed(capsys.readouterr().out)

    assert ["\n".join(visible_lines(text)) for kind, text in events if kind == "issue"] == [
        command.data for command in found
    ]
    assert {"error"} >= {command.name for command in found}


def test_an_annotation_is_one_line_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Line ends, colons and commas survive the way to GitHub; the path is relative to the workspace.
    """
    finding = Finding(rule="r", what="a: b, c\nd%0A", fix="x", path=Path("/w/m, n/uv.lock"), line=7)

    _annotate(GithubRunner(words()), [finding], Path("/w"))

    expected = {"title": "mlflow-uv r", "file": "m, n/uv.lock", "line": "7"}
    assert [Obeyed("error", "a: b, c\nd%0A. Fix: x", expected)] == obeyed(capsys.readouterr().out)


def test_a_finding_without_a_place_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Empty properties are not printed: GitHub would put the annotation on a file without a name.
    """
    _annotate(GithubRunner(words()), [Finding(rule="r", what="w", severity=Severity.NOTICE)], Path("/w"))

    assert "::notice title=mlflow-uv r::w\n" == capsys.readouterr().out


def test_annotations_are_of_every_project_and_count_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """
    GitHub shows ten of each severity: first one of each folder, and the last says how many are in the summary alone.
    """
    findings = [
        Finding(rule="r", what=f"{number}.{again}", severity=severity, path=Path(f"/w/{number}/uv.lock"))
        for number in range(9)
        for again in range(3)
        for severity in (Severity.NOTICE, Severity.ERROR)
    ]

    _annotate(GithubRunner(words()), findings, Path("/w"))

    commands = obeyed(capsys.readouterr().out)
    assert ["error"] * ANNOTATIONS + ["notice"] * ANNOTATIONS == [command.name for command in commands]
    for severity in (commands[:ANNOTATIONS], commands[ANNOTATIONS:]):
        assert [f"{number}.0" for number in range(9)] == [command.data for command in severity[:-1]]
        assert ("and 18 more: see the job summary", {"title": "mlflow-uv"}) == (
            severity[-1].data,
            severity[-1].properties,
        )


def test_ten_findings_are_ten_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    """
    What fits is shown whole.
    """
    findings = [Finding(rule="r", what=str(number), severity=Severity.WARNING) for number in range(ANNOTATIONS)]

    _annotate(GithubRunner(words()), findings, Path("/w"))

    assert [str(number) for number in range(10)] == [command.data for command in obeyed(capsys.readouterr().out)]


def test_a_group_is_closed_also_when_its_work_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """
    What comes after a failure is not folded away with it.
    """
    runner = GithubRunner(words())

    with pytest.raises(ZeroDivisionError), runner.group("title"):
        runner.foreign(f"::endgroup::{1 / 0}")

    assert ["group", "endgroup"] == [command.name for command in obeyed(capsys.readouterr().out)]


class Verdict(Enum):
    """A verdict."""

    GOOD = "good"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """One of every kind."""

    the_verdict: Annotated[Verdict, Doc("V.")]
    path: Annotated[Path | None, Doc("P.")]
    names: Annotated[tuple[str, ...], Doc("N.")]
    changed: Annotated[bool, Doc("C.")]
    count: Annotated[int, Doc("K.")]
    text: Annotated[str, Doc("T.")]


STEP: Step[Outputs, Outputs, None] = Step(
    name="it", summary="It.", inputs=Outputs, outputs=Outputs, run=lambda inputs, _tools: report(inputs)
)


def report(outputs: Outputs, *findings: Finding) -> Report[Outputs]:
    """A report."""
    return Report(outputs=outputs, summary="one | line", findings=findings)


GOOD = Outputs(the_verdict=Verdict.GOOD, path=None, names=("a", "ü"), changed=False, count=3, text="x")


def read_outputs(path: Path) -> dict[str, str]:
    """GITHUB_OUTPUT as the runner reads it."""
    found, lines = {}, iter(path.read_text().split("\n"))
    for line in lines:
        if "<<" not in line:
            assert line == "", f"not an output: {line}"
            continue
        name, _, delimiter = line.partition("<<")
        value = []
        for inner in lines:
            if inner == delimiter:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


@pytest.mark.parametrize("text", ["x", "", "a\nb", "x<<EOF\nEVIL=1\nEOF", "evil=2\nother=3"])
def test_outputs_are_kebab_case_and_what_they_hold_stays_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """
    Keys are as documented, values are text or JSON, and no value can become a second output.
    """
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    outputs = Outputs(the_verdict=Verdict.GOOD, path=None, names=("a", "ü"), changed=False, count=3, text=text)

    _write_outputs(STEP, outputs)

    expected = {"the-verdict": "good", "path": "", "names": '["a", "ü"]', "changed": "false", "count": "3"}
    assert expected | {"text": text} == read_outputs(tmp_path / "out")


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_a_step_that_fails_puts_out_what_a_workflow_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step[Any, Any, Any]
) -> None:
    """
    Every output is there and empty; what is JSON where the step succeeds is JSON, so that `fromJSON` reads it.
    """
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))

    _write_outputs(step, None)

    found = read_outputs(tmp_path / "out")
    assert {field.kebab for field in fields_of(step.outputs)} == set(found)
    assert {"", "[]", '{"include": []}'} >= set(found.values())
    for field in fields_of(step.outputs):
        if field.kind is FieldKind.LIST:
            assert "[]" == found[field.kebab], field.kebab
    if "projects" in found:
        assert {"include": []} == json.loads(found["projects"])


def test_the_summary_says_everything_that_annotations_cannot() -> None:
    """
    Every finding with its place, cells that hold no untrusted markup, timings and advice.
    """
    finding = Finding(rule="r", what="<b> | `x`", why="a\nb", fix="uv lock", path=Path("/w/uv.lock"), line=2)
    step = Report(
        outputs=GOOD,
        summary="s",
        findings=(finding,),
        timings=(Timing(step="t", seconds=1.26, summary="u"),),
        advice=("look <here>",),
    )

    found = summary_of("check-lock", step)

    assert found.startswith("### ✗ s\n\n<sub><code>mlflow-uv check-lock</code> · 1 s</sub>\n\n")
    what = "<strong>&lt;b> &#124; <code>x</code></strong>"
    assert f"> [!CAUTION]\n> {what}\n>\n> a<br>b\n>\n> Fix: uv lock\n>\n> <sub>uv.lock:2</sub>\n\n" in found
    assert "| t | u | 1.3 |\n" in found
    assert "- look &lt;here>\n" in found


def test_advice_in_a_summary_has_no_columns() -> None:
    """
    Spaces that line words up on a terminal are noise in Markdown.
    """
    step = Report(outputs=GOOD, summary="s", advice=("changed:     nothing",))

    found = summary_of("release", step)

    assert "- changed: nothing\n" in found


def test_the_log_ends_with_what_a_terminal_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The summary, how long each step took, and where to look; none of it is a command.
    """
    timings = (Timing(step="export", seconds=1.26, summary="u"), Timing(step="log-model", seconds=12, summary="v"))
    step = Report(outputs=GOOD, summary="s", timings=timings, advice=("chain:  ✓", "::error::x"))

    _say(GithubRunner(words()), step)

    lines = ["✓ s", "  export        1.3 s  u", "  log-model    12.0 s  v", "  chain:  ✓", "  : :error::x"]
    assert lines == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("raw", ["[]", '"x"', "5", "null", "{", "[[]]", "true"])
def test_inputs_that_are_not_an_object_are_wrong_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raw: str
) -> None:
    """
    Whoever calls the surface with junk gets an annotation and exit code 2, not a trace.
    """
    monkeypatch.setenv("MLFLOW_UV_INPUTS", raw)

    code = _act("check-lock")

    (error,) = obeyed(capsys.readouterr().out)
    assert (2, "error", True) == (code, error.name, error.data.startswith("MLFLOW_UV_INPUTS is not "))


@pytest.mark.parametrize("raw", [r'{"project": "a\ud800"}', r'{"\udfff": "x"}', r'{"targets": ["\ud83d"]}'])
def test_half_a_character_in_an_input_is_wrong_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raw: str
) -> None:
    """
    No path, message or file could have it.
    """
    monkeypatch.setenv("MLFLOW_UV_INPUTS", raw)

    code = _act("check-lock")

    (error,) = obeyed(capsys.readouterr().out)
    assert (2, "error", True) == (code, error.name, "is not text: it has half of a surrogate pair" in error.data)


def test_a_summary_that_is_too_long_is_cut_below_the_limit() -> None:
    """
    GitHub drops a summary over 1 MiB whole: better a part than nothing, and no row is cut in the middle.
    """
    table = Table(title="t", columns=("a",), rows=(("\N{SNOWMAN}" * 1000,),) * 1000)

    found = summary_of("export", Report(outputs=None, summary="s", tables=(table,)))

    last, *end = found.splitlines()[-4:]
    assert 900_000 < len(found.encode()) < 2**20
    assert "</details>" == found.splitlines()[-5]
    assert ("", ["", "", "(cut: the log has the rest)"]) == (last, end)


def test_one_long_text_leaves_room_for_the_others() -> None:
    """
    A cell is cut where nobody would read on, with how much is missing.
    """
    found = summary_of("export", Report(outputs=None, summary="x" * 10_000_000, advice=("look",)))

    assert "x… (9995000 more characters)\n" in found
    assert "- look\n" in found


UVX = "uvx --from git+https://github.com/org/mlflow-uv-action@v1 mlflow-uv"


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ({"project": "mein Modell"}, "export --project 'mein Modell'"),
        ({"project": "/w/mein Modell"}, "export --project 'mein Modell'"),
        ({"check": "true"}, "export --check"),
        ({"check": "false"}, "export --no-check"),
        ({"package": "true"}, "export --package true"),
        ({"package": "it's; rm -rf /"}, "export --package 'it'\"'\"'s; rm -rf /'"),
        ({"package": "-x"}, "export --package=-x"),
        ({}, "export"),
    ],
)
def test_the_command_for_a_laptop_can_be_pasted(inputs: dict[str, object], line: str) -> None:
    """
    What failed on a runner can be repeated at home in a clone, with the same inputs, in any shell, by uv alone.
    """
    found = summary_of("export", Report(outputs=None, summary="s", findings=(Finding(rule="r", what="w"),)), inputs)

    assert f"{UVX} {line}" == command_line(step_of("export"), inputs, words("export"))
    assert f"```\n{UVX} {line}\n```\n" in found


SAMPLES = {
    FieldKind.TEXT: ("plain", "two words", "true", 'it\'s "so"', "-x", "--flag", "$HOME `x`", "a\nb", "ä"),
    FieldKind.PATH: ("a/b.json", "mein Modell/x", "-odd", "--odd/x"),
    FieldKind.SWITCH: ("true", "false", "True"),
    FieldKind.NUMBER: ("3", "0.5"),
    FieldKind.LIST: ("a", "a, b", "a b", "-a,b"),
    FieldKind.WORDS: ("python train.py --fast 'a b'", "-m x"),
    FieldKind.QUOTED: ("alpha=0.5 note='a b'", "-odd=1"),
}
FIELDS = [(step, field) for step in all_steps() for field in fields_of(step.inputs)]


@pytest.mark.parametrize(("step", "field"), FIELDS, ids=[f"{step.name}-{field.kebab}" for step, field in FIELDS])
def test_the_command_for_a_laptop_means_what_the_action_was_given(step: Step[Any, Any, Any], field: Field) -> None:
    """
    Every input of every step comes out of the parser of the command line as it went into the action.
    """
    needed = {other.kebab: "needed" for other in fields_of(step.inputs) if other.required}
    for text in field.choices or SAMPLES[field.kind]:
        line = command_line(step, needed | {field.kebab: text}, words(step.name))
        arguments = shlex.split(line.removeprefix(UVX))

        namespace = _parser(arguments).parse_args(arguments)

        expected = text.lower() == "true" if field.kind is FieldKind.SWITCH else text
        assert (step.name, expected) == (namespace.step.name, getattr(namespace, field.name)), line


def test_the_command_for_a_laptop_does_not_leave_its_block() -> None:
    """
    An input cannot end the code block it is shown in.
    """
    inputs = {"package": "```\n# heading"}

    found = summary_of("export", Report(outputs=None, summary="s", findings=(Finding(rule="r", what="w"),)), inputs)

    assert f"````\n{UVX} export --package '```\n# heading'\n````\n" in found


def summary_of(name: str, step: Report[Any], given: Mapping[str, object] | None = None) -> str:
    """The job summary of a report."""
    return summary_for(name).of_report(step, given or {})


def test_a_step_prints_its_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    The block of doctor is in the log, where the runner obeys none of it, and as a block of code in the summary.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_WORKSPACE", "/w")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a\\u001b[31m\\n::error::b"\n')

    code = _act("doctor")

    log = capsys.readouterr().out
    text = (tmp_path / "summary").read_text()
    assert (0, []) == (code, obeyed(log))
    for shown in (log, text):
        assert "project:               a\\x1b[31m\\n::error::b\n" in shown
    block = text.split("```\n")[1]
    assert block in log


def test_an_error_at_a_place_is_annotated_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A manifest that is not TOML stops a step at its line.
    """
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("MLFLOW_UV_INPUTS", json.dumps({"project": str(tmp_path)}))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = a\n")

    code = _act("export")

    (error,) = obeyed(capsys.readouterr().out)
    assert (4, "pyproject.toml", "2") == (code, error.properties["file"], error.properties["line"])
    assert "> <sub>pyproject.toml:2</sub>\n" in (tmp_path / "summary").read_text()


def test_what_was_done_before_an_error_is_told_below_it() -> None:
    """
    The verdict, the chain and the error on top; then the steps and their times.
    """
    error = BadInput(what="w", why="y")
    timings = (Timing(step="check-lock", seconds=1, summary="fresh"), Timing(step="export", seconds=2, summary="w"))
    chain = (ChainLink(name="lock", mark=Mark.HOLDS, identity="1a2b3c4"), ChainLink(name="model", mark=Mark.MISSING))
    error.so_far = Report(
        outputs=None, summary="stopped at export", verdict="wine is not released: w", timings=timings, chain=chain
    )

    text = summary_for("release").of_error(error, {})

    order = ["### ✗ wine is not released: w\n", "stopped at export", "lock</strong>", "> <strong>w</strong>\n>\n> y\n",
             "| check-lock | fresh", "| export | w", "Repeat this step in a clone"]  # fmt: skip
    assert sorted(map(text.index, order)) == list(map(text.index, order))


def test_a_step_that_there_is_not_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Its name is no part of a command.
    """
    code = _act("no\n::add-mask::a")

    assert (BadInput.exit_code, "::error::`no%0A::add-mask::a` is no step of mlflow-uv\n") == (
        code,
        capsys.readouterr().out,
    )


def test_a_secret_that_a_step_gets_is_masked_by_the_runner_and_here(capsys: pytest.CaptureFixture[str]) -> None:
    """
    In the log, also of later steps, and in what is written afterwards; it is a command although output is fenced.
    """
    runner = GithubRunner(words(), secrets=("before",))
    runner.foreign("some output")

    runner.conceal("issued%token\n1")
    runner.foreign("before and issued%token")
    runner.say("https://example.com/?x=issued%25token")

    printed = capsys.readouterr().out
    assert [Obeyed("add-mask", "issued%token\n1")] == obeyed(printed)
    assert "*** and ***" in printed
    assert printed.endswith("x=***\n")
    assert "issued%token" in runner.secrets
