"""Parsing of the command line, and its exit codes."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, Cancelled, NoSpace, StepError, ToolFailed, Unforeseen
from mlflow_uv.command.report import Report
from mlflow_uv.command.step import fields_of
from mlflow_uv.steps import check_lock, export
from mlflow_uv.steps.catalog import NAMES, RELEASE_NAME, all_steps
from mlflow_uv.surfaces.cli import _parsed, answer, cancellable, gather, given_in, main
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import LockTools
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with settings, and the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "wine"\n[tool.mlflow-uv]\nextras = ["serve"]\nrespect-env = true\n'
    )
    return tmp_path


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_help_explains_every_flag(step, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `--help` shows each input with its sentence.
    """
    monkeypatch.setenv("COLUMNS", "9999")  # argparse breaks lines at hyphens

    with pytest.raises(SystemExit) as caught:
        main([step.name, "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    missing = [
        f.kebab
        for f in fields_of(step.inputs)
        if (f.kebab.upper() if f.required else f"--{f.kebab}") not in shown or f.doc not in shown
    ]
    assert (0, []) == (caught.value.code, missing)


@pytest.mark.parametrize("words", [["no-such-step"], [], ["export", "--no-such-flag"], ["export", "--req", "x"]])
def test_words_that_nobody_knows_end_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    A wrong step or flag, abbreviations included, is wrong input.
    """
    code = main(words)

    assert (2, "") == (code, capsys.readouterr().out)


@pytest.mark.parametrize("words", [["export", "--format=json", "--no"], ["export", "--no", "--format", "json"]])
def test_a_wrong_word_is_told_in_json_where_json_was_asked_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Also where the words as a whole make no sense.
    """
    code = main(words)

    assert (2, "BadInput") == (code, json.loads(capsys.readouterr().out)["error"]["kind"])


@pytest.mark.parametrize(
    ("words", "step", "what", "why"),
    [
        (["--format", "json"], "", "the first argument is not a step", "the steps are release, init,"),
        (["--format=json", "export"], "", "the first argument is not a step", "the steps are release, init,"),
        (["exprot", "--format=json"], "exprot", "`exprot` is not a step", "did you mean `export`?"),
        (["export", "--format=json", "x"], "export", "`x` is not an argument of export", "it takes only flags"),
        (["export", "--format=json", "--uv"], "export", "argument --uv", "expected one argument"),
        (["audit", "--format=json"], "audit", "the following arguments are required", "VERSION-URI"),
    ],
)
def test_each_wrong_argument_has_a_reason_in_json(
    words: list[str], step: str, what: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A program that reads `why` finds it filled, and `step` holds no flag.
    """
    main(words)

    answer = json.loads(capsys.readouterr().out)
    assert (step, what, True) == (answer["step"], answer["error"]["what"], answer["error"]["why"].startswith(why))


@pytest.mark.parametrize("words", [["models:/x"], ["--version-uri", "models:/x"], ["--version-uri=models:/x"]])
def test_a_required_input_is_a_word_or_a_flag(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    The command line accepts the flag that a fix names, and the word that `--help` shows.
    """
    monkeypatch.chdir(tmp_path)

    code = main(["audit", *words])

    assert (2, True) == (code, capsys.readouterr().err.startswith("error: `models:/x` is not the URI"))


def test_a_value_that_is_not_a_choice_names_the_choices(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    In the words of every surface; `--help` lists them.
    """
    code = main(["check-lock", "--builds", "alow", "--project", str(project)])

    error = "error: --builds must be one of auto, allow, refuse: it is 'alow'\n"
    assert (2, error) == (code, capsys.readouterr().err)
    with pytest.raises(SystemExit):
        main(["check-lock", "--help"])
    assert "--builds {auto,allow,refuse}" in capsys.readouterr().out


def test_a_wrong_value_ends_with_2_and_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    No traceback for a user's mistake.
    """
    code = main(["export", "--package", "not a name", "--project", str(project)])

    assert (2, "error: --package is not a package name: it is 'not a name'\n") == (code, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["export", "--chek"],
            "error: `--chek` is not a flag of export: did you mean `--check`? Fix: mlflow-uv export --help\n",
        ),
        (
            ["rollback", "--zzz"],
            (
                "error: `--zzz` is not a flag of rollback: its flags are --format, --sarif, --project, --package,"
                " --extras, --groups, --model-name, --champion, --previous, --to, --dry-run, --tracking-uri,"
                " --embedded, --uv."
                " Fix: mlflow-uv rollback --help\n"
            ),
        ),
        (
            ["smoke-test", "--engine", "docker"],
            (
                "error: `--engine` is not a flag of smoke-test: it is one of release, build-image, doctor."
                " Fix: mlflow-uv smoke-test --help\n"
            ),
        ),
        (
            ["export", "zzz"],
            "error: `zzz` is not an argument of export: it takes only flags. Fix: mlflow-uv export --help\n",
        ),
        (
            ["audit", "models:/wine/1", "models:/wine/2"],
            (
                "error: `models:/wine/2` is not an argument of audit: besides flags it takes only VERSION-URI."
                " Fix: mlflow-uv audit --help\n"
            ),
        ),
        (["relase"], "error: `relase` is not a step: did you mean `release`? Fix: mlflow-uv --help\n"),
        (["build-image", "--push", "--engine"], "Fix: mlflow-uv build-image --help\n"),
        (
            ["--format", "json", "export"],
            (
                f"error: the first argument is not a step: the steps are {', '.join((RELEASE_NAME, *NAMES))}."
                " Fix: mlflow-uv --help\n"
            ),
        ),
        (["audit"], "the following arguments are required: VERSION-URI. Fix: mlflow-uv audit --help\n"),
        ([], "Fix: mlflow-uv --help\n"),
    ],
)
def test_a_wrong_word_has_the_help_of_its_step_as_its_fix(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    With the step or flag that was probably meant; the fix prints help.
    """
    main(words)

    error = capsys.readouterr().err
    fix = shlex.split(error.rpartition("Fix: ")[2])
    with pytest.raises(SystemExit) as caught:
        main(fix[1:])
    assert (True, 0, True) == (error.endswith(line), caught.value.code, "usage:" in capsys.readouterr().out)


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_fix_names_the_project_that_was_given(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    It is pasted where the user is, which is not the project.
    """
    (tmp_path / "my wine").mkdir()
    (tmp_path / "my wine" / "pyproject.toml").write_text('[project]\nname = "wine"\n')
    monkeypatch.chdir(tmp_path)

    main(["register", "--project", "my wine", "--format", output])

    shown = capsys.readouterr()
    fix = json.loads(shown.out)["error"]["fix"] if output == "json" else shown.err.rpartition("Fix: ")[2]
    step, flag, project = shlex.split(fix.partition(", or ")[0])[1:]
    namespace = _parsed([step, flag, project])
    assert ("log-model", {"project": "my wine"}) == (namespace.step.name, given_in(namespace))


@pytest.mark.parametrize("manifest", [None, "[project\n"], ids=["missing", "not TOML"])
def test_json_goes_to_stdout_also_for_an_error(
    manifest: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A program that asked for JSON gets JSON, whatever happened; each exit code has one kind.
    """
    if manifest is not None:
        (tmp_path / "pyproject.toml").write_text(manifest)

    code = main(["export", "--format", "json", "--project", str(tmp_path)])

    assert (4, True) == (code, '"kind": "BadProject"' in capsys.readouterr().out)


def test_what_was_given_goes_before_the_settings_and_those_before_the_defaults(project: Path) -> None:
    """
    The same layers for every surface.
    """
    found = gather(export.STEP, {"project": str(project), "extras": "gpu"}, source="--{}")

    assert (("gpu",), True, False) == (found.extras, found.respect_env, found.check)


def test_a_setting_that_nobody_knows_is_refused(project: Path) -> None:
    """
    A typing error in pyproject.toml is found by any step, whichever it was meant for.
    """
    with (project / "pyproject.toml").open("a") as file:
        file.write('requirement-file = "x"\n')

    with pytest.raises(BadInput) as caught:
        gather(check_lock.STEP, {}, source="--{}")

    assert "did you mean `requirements-file`?" == caught.value.why


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('policy = "strict"\n', "`policy` in [tool.mlflow-uv] is not a table"),
        ("[tool.mlflow-uv.policy]\nrequire-hash = true\n", "does not know `require-hash`"),
        ('[tool.mlflow-uv.policy]\nexcluded = ["<2"]\n', "(line 7 of pyproject.toml) holds '<2'"),
    ],
    ids=["no table", "key", "value"],
)
def test_a_policy_that_cannot_be_understood_stops_every_step(project: Path, step, lines: str, what: str) -> None:
    """
    A typing error in a rule is found before anything is done that the rule should have stopped.
    """
    with (project / "pyproject.toml").open("a") as file:
        file.write(lines)

    with pytest.raises(BadInput) as caught:
        gather(step, {"project": str(project)} if step.needs_project else {}, source="--{}")

    assert what in caught.value.what


def test_a_policy_is_no_input_of_a_step(project: Path) -> None:
    """
    A project may have one, and its settings mean what they meant.
    """
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.mlflow-uv.policy]\nexcluded = ["name<2"]\n')

    found = gather(export.STEP, {}, source="--{}")

    assert ("serve",) == found.extras


@pytest.mark.parametrize("key", ["project", "uv", "check"])
def test_what_belongs_to_one_run_is_no_setting(project: Path, key: str) -> None:
    """
    A project cannot set where it is, which program runs, or that nothing is written.
    """
    with (project / "pyproject.toml").open("a") as file:
        file.write(f'{key} = "x"\n')

    with pytest.raises(BadInput, match=f"does not know `{key}`"):
        gather(check_lock.STEP, {}, source="--{}")


@pytest.mark.parametrize(("ending", "code"), [(KeyboardInterrupt, 130), (Cancelled, 143), (BrokenPipeError, 0)])
def test_being_stopped_is_no_traceback(
    ending: type[BaseException], code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Ctrl-C, SIGTERM and a reader that went away each have their code.
    """

    def work() -> int:
        raise ending

    stdout = os.dup(1)
    try:
        found = cancellable(work)
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)

    assert (code, "") == (found, capfd.readouterr().out)


def test_sigterm_unwinds_the_work() -> None:
    """
    A runner that cancels a job sends SIGTERM: everything on the way out is still done.
    """
    done: list[str] = []

    def work() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            done.append("tidied")
        return 0

    code = cancellable(work)

    assert (143, ["tidied"]) == (code, done)


def test_a_mistake_of_ours_is_told_as_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What nobody foresaw is still one JSON object with a code of its own; the trace is on standard error.
    """

    def run(_inputs: check_lock.Inputs, _tools: LockTools) -> Report[check_lock.Outputs]:
        raise ZeroDivisionError("ours")

    step = replace(check_lock.STEP, run=run)

    with pytest.raises(Unforeseen, match="ZeroDivisionError: ours") as caught:
        answer(step, {"project": str(project)}, terminal(), source="--{}")

    assert 17 == caught.value.exit_code
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "imported"), [("mlflow_uv", "mlflow_uv.surfaces.cli"), ("mlflow_uv_hooks", "mlflow_uv_hooks.hook")]
)
def test_ctrl_c_while_a_program_is_imported_has_no_traceback(program: str, imported: str) -> None:
    """
    Imports take tenths of a second, in which people notice that they mistyped.
    """
    code = (
        "import runpy, signal, sys\n"
        # A job of a shell in the background ignores the signal, and so do its children.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {imported!r}:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        f"sys.path[:0] = {[str(ROOT / 'src'), str(ROOT / 'hooks')]!r}\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        f"runpy.run_module({program!r}, run_name='__main__', alter_sys=True)\n"
    )

    done = subprocess.run((sys.executable, "-I", "-c", code), capture_output=True, text=True, check=False)

    assert (130, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [("doctor", "--format", "json"), ("no-step", "--format", "json"), ("--help",)])
def test_an_output_that_cannot_be_written_is_one_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """
    It has a code of its own, and the interpreter adds nothing when it ends.
    """
    command = (sys.executable, "-c", "from mlflow_uv.surfaces.cli import main; raise SystemExit(main())", *arguments)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)

    assert (26, False, False) == (ended.returncode, "Exception" in ended.stderr, "Traceback" in ended.stderr)
    assert "error: standard output cannot be written: No space left on device" in ended.stderr


@pytest.mark.parametrize(
    ("number", "kind", "fix"),
    [
        (errno.ENOSPC, NoSpace, "free space there, or set MLFLOW_UV_HOME, UV_CACHE_DIR and TMPDIR to a larger disk"),
        (errno.EDQUOT, NoSpace, "free space there, or set MLFLOW_UV_HOME, UV_CACHE_DIR and TMPDIR to a larger disk"),
        (errno.EROFS, ToolFailed, "set MLFLOW_UV_HOME, UV_CACHE_DIR and TMPDIR to folders that can be written"),
        (errno.EACCES, ToolFailed, "let this user read and write it, or set MLFLOW_UV_HOME"),
    ],
)
def test_a_disk_that_cannot_be_used_is_no_mistake_of_ours(
    project: Path, capsys: pytest.CaptureFixture[str], number: int, kind: type[StepError], fix: str
) -> None:
    """
    The error has the path, and the variables that name another one.
    """

    def run(_inputs: check_lock.Inputs, _tools: LockTools) -> Report[check_lock.Outputs]:
        raise OSError(number, os.strerror(number), "/cache/environments")

    with pytest.raises(kind) as caught:
        answer(replace(check_lock.STEP, run=run), {"project": str(project)}, terminal(), source="--{}")

    assert f"{os.strerror(number)}: /cache/environments" == caught.value.why
    assert caught.value.fix.startswith(fix)
    assert "Traceback" not in capsys.readouterr().err


def test_a_home_that_is_read_only_is_named_and_another_one_is_used(
    project: Path, disk: Callable[[str], Path], tmp_path: Path
) -> None:
    """
    The records of releases are there; what the error says is done, and the release goes on.
    """
    (project / "pyproject.toml").write_text('[project]\nname = "wine"\nversion = "1"\nrequires-python = ">=3.11"\n')
    subprocess.run(("uv", "lock", "--offline", "--quiet"), cwd=project, check=True)
    read_only = disk("1m")
    subprocess.run(("mount", "-o", "remount,ro", read_only), check=True)
    argv = (sys.executable, "-I", "-m", "mlflow_uv", "release", "--steps", "check-lock")

    refused, released = (
        subprocess.run(
            argv,
            cwd=project,
            env={**os.environ, "MLFLOW_UV_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        for home in (read_only, tmp_path / "home")
    )

    assert (6, False) == (refused.returncode, "Traceback" in refused.stderr), refused.stderr
    assert f"Read-only file system: {read_only}" in refused.stderr
    assert "Fix: set MLFLOW_UV_HOME" in refused.stderr
    assert 0 == released.returncode, released.stderr
