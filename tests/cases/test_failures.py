"""What goes wrong before a model is registered ends with the right code, says what mends it, and leaves nothing."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner import obeyed

from .sample_project import ONCE, SampleProject, error, training

FINDINGS, NO_PROJECT, NO_COMMIT, NO_TRAINING, NO_MODEL, NO_ANSWER, NO_LOCK = 1, 4, 7, 9, 10, 14, 16
CRASH = "with mlflow.start_run():\n    mlflow.log_param('a', 1)\n    raise ValueError('the data is gone')"


def make_stale(sample: SampleProject) -> None:
    """Ask for one package more than the lock has."""
    sample.consumer.edit(sample.folder / "pyproject.toml", '"scikit-learn>=1.7"', '"scikit-learn>=1.7", "six>=1"')


def take_lock_away(sample: SampleProject) -> None:
    """Lose the lock."""
    (sample.folder / "uv.lock").unlink()


def break_lock(sample: SampleProject) -> None:
    """Leave a merge's mark in the lock."""
    lock = sample.folder / "uv.lock"
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text())


LOCKS = pytest.mark.parametrize(
    ("fault", "rule"),
    [(make_stale, "lock-requirement-added"), (take_lock_away, "lock-missing"), (break_lock, "lock-conflict")],
    ids=["stale", "missing", "unreadable"],
)


@LOCKS
def test_a_lock_that_is_not_fresh_stops_a_release_at_its_first_step(sample: SampleProject, fault, rule: str) -> None:
    """
    The finding of check-lock is the answer of the whole release, and nothing is trained.
    """
    fault(sample)
    models = sample.store.models

    result = sample.run("release")

    (finding,) = result.answer["findings"]
    assert (FINDINGS, rule, models) == (result.code, finding["rule"], sample.store.models)
    assert "uv lock" in finding["fix"]
    assert "stopped at check-lock" in result.answer["summary"]
    assert "✓ commit ── ✗ lock ── · selection ── · requirements ── · model" in result.stderr


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        pytest.param(make_stale, "lock-requirement-added", id="stale"),
        pytest.param(take_lock_away, "lock-missing", marks=pytest.mark.extended, id="missing"),
        pytest.param(break_lock, "lock-conflict", marks=pytest.mark.extended, id="unreadable"),
    ],
)
@pytest.mark.parametrize("step", ["export", "log-model"])
def test_nothing_is_made_from_a_lock_that_is_not_fresh(sample: SampleProject, fault, rule: str, step: str) -> None:
    """
    A step that needs the lock says why it cannot use it, and never falls back to something else.
    """
    fault(sample)

    result = sample.run(step)

    code, kind, _, fix = error(result)
    assert (NO_LOCK, "LockNotFresh") == (code, kind), rule
    assert "uv lock" in fix


def test_a_manifest_that_is_not_toml_is_named_with_its_line(sample: SampleProject) -> None:
    """
    check-lock finds it, and what needs the settings in it has no answer.
    """
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text("[project]\nname = wine\n")

    checked, exported, released = (sample.run(step) for step in ("check-lock", "export", "release"))

    assert (FINDINGS, NO_PROJECT, NO_PROJECT) == (checked.code, exported.code, released.code)
    assert ["lock-unreadable"] == checked.rules
    assert {"correct line 2 of pyproject.toml"} == {error(result)[3] for result in (exported, released)}


@pytest.mark.parametrize(
    ("command", "what"),
    [
        pytest.param("python -c 'raise SystemExit(7)'", "training exited with 7: it printed nothing", id="code"),
        pytest.param("python nowhere.py", "training exited with 2: ", marks=pytest.mark.extended, id="no file"),
        pytest.param(
            "no-such-program --fast",
            "`no-such-program` was not found, so training cannot start: ",
            marks=pytest.mark.extended,
            id="no program",
        ),
    ],
)
def test_training_that_does_not_end_well_is_told(sample: SampleProject, command: str, what: str) -> None:
    """
    The code and the last line of the training are in the message.
    """
    result = sample.run("log-model", "--train", command)

    code, kind, sentence, fix = error(result)
    assert (NO_TRAINING, "TrainingFailed") == (code, kind)
    assert sentence.startswith(what)
    assert fix


def test_what_a_failed_training_left_behind_is_said_with_what_makes_it_no_input(sample: SampleProject) -> None:
    """
    A log that grows would end the next training, which fails no more.
    """
    fails = ("--train", "sh -c 'echo begun >> train.log; exit 7'")
    ignored = sample.folder / ".gitignore"
    before = ignored.read_text()

    first = sample.consumer.run("log-model", *fails)
    line = next(line for line in first.stderr.splitlines() if "training left files that git does not ignore" in line)
    subprocess.run(line.partition("Fix: ")[2].partition(", or ")[0], shell=True, cwd=sample.folder, check=True)
    second = sample.consumer.run("log-model", *fails)
    ignored.write_text(before)
    (sample.folder / "train.log").unlink()

    assert (NO_TRAINING, NO_TRAINING) == (first.code, second.code), first.stderr
    assert "training left files that git does not ignore: train.log: " in line
    assert "training left files" not in second.stderr


@pytest.mark.extended
def test_training_that_raises_in_a_run_leaves_a_failed_run(sample: SampleProject) -> None:
    """
    The run is FAILED, not RUNNING, and nothing of it is registered.
    """
    sample.train_with(training(CRASH))

    result = sample.run("release", traceback=True)

    assert (NO_TRAINING, "training exited with 1: ValueError: the data is gone") == (error(result)[0], error(result)[2])
    assert ["check-lock", "check-targets", "export", "log-model"] == [one["step"] for one in result.answer["timings"]]
    assert (["FINISHED", "FAILED"], ["1"]) == (sample.store.runs, sample.store.versions)


@pytest.mark.extended
def test_on_github_a_failed_training_is_at_its_line_with_what_was_done_before(
    sample: SampleProject, tmp_path: Path
) -> None:
    """
    The annotation stands at the deepest line of the project; the summary has the error on top, steps, times and chain.
    """
    sample.train_with(training(CRASH))
    summary = tmp_path / "summary"
    variables = {
        **sample.consumer.variables,
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(sample.folder),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "MLFLOW_UV_INPUTS": json.dumps({"project": str(sample.folder), "embedded": "true"}),
    }
    words = (sys.executable, "-I", "-m", "mlflow_uv.surfaces.github", "release")

    done = subprocess.run(words, cwd=sample.folder, env=variables, capture_output=True, text=True, check=False)

    (annotation,) = [command for command in obeyed(done.stdout) if command.name == "error"]
    program = (sample.folder / "train.py").read_text().splitlines()
    line = next(number for number, text in enumerate(program, 1) if "the data is gone" in text)
    assert (NO_TRAINING, True) == (done.returncode, "ValueError: the data is gone" in annotation.data), done.stdout
    assert {"file": "train.py", "line": str(line), "title": "mlflow-uv release"} == annotation.properties
    text = summary.read_text()
    assert text.startswith("### ✗ wine is not released: training exited with 1. No alias was moved\n")
    assert "> <strong>training exited with 1</strong>\n>\n> ValueError: the data is gone\n" in text
    assert f"> <sub>train.py:{line}</sub>\n" in text
    steps = re.findall(r"^\| ([a-z-]+) \| (.*) \| [\d.]+ \|$", text, re.MULTILINE)
    assert ["check-lock", "check-targets", "export", "log-model"] == [step for step, _ in steps]
    assert ("log-model", "training exited with 1") == steps[-1]
    assert "| ·\N{NO-BREAK SPACE}commit | ·\N{NO-BREAK SPACE}lock | " in text


@pytest.mark.extended
def test_a_run_that_training_forgot_to_end_is_ended(sample: SampleProject) -> None:
    """
    A training that is killed has no chance to end its run: we do.
    """
    sample.train_with(training("mlflow.start_run()\nos.kill(os.getpid(), 9)"))

    result = sample.run("log-model")

    assert (NO_TRAINING, ["FINISHED", "FAILED"]) == (result.code, sample.store.runs)


@pytest.mark.extended
def test_training_without_a_model_is_told_what_to_call(sample: SampleProject) -> None:
    """
    A run without a model is no release.
    """
    sample.train_with(training("with mlflow.start_run():\n    mlflow.log_param('a', 1)"))

    result = sample.run("log-model")

    code, kind, sentence, fix = error(result)
    assert (NO_MODEL, "ModelNotFound") == (code, kind)
    assert "training logged no model" in sentence
    assert "log_model" in fix


@pytest.mark.extended
def test_two_models_are_named_and_one_can_be_chosen(sample: SampleProject) -> None:
    """
    Which of several models is released is the user's to say, by its name.
    """
    sample.train_with(training("with mlflow.start_run():\n    log('ridge')\n    log('forest')"))

    undecided = sample.run("log-model")
    chosen = sample.run("log-model", "--logged-model", "forest")

    assert (NO_MODEL, 0) == (undecided.code, chosen.code)
    assert "forest, ridge" in error(undecided)[2]
    assert "--logged-model" in error(undecided)[3]
    names = {row[0]: row[1] for row in sample.store.rows("SELECT model_id, name FROM logged_models")}
    assert "forest" == names[chosen.outputs["model-id"]]


@pytest.mark.extended
def test_a_name_that_no_model_has_is_told_with_those_there_are(sample: SampleProject) -> None:
    """
    A wrong name is not taken for the only model there is.
    """
    result = sample.run("log-model", "--logged-model", "oak")

    assert (NO_MODEL, "training logged no model called `oak`: it logged double") == (error(result)[0], error(result)[2])


def test_a_model_that_cannot_answer_its_own_example_is_not_released(sample: SampleProject) -> None:
    """
    MLflow only warns of it while logging; here it is the end, before anything is registered.
    """
    sample.train_with(training(predict='return model_input["y"]'))

    result = sample.run("release", traceback=True)

    code, kind, sentence, fix = error(result)
    assert (NO_ANSWER, "ModelUnusable") == (code, kind)
    assert "KeyError" in sentence
    assert "input_example" in fix
    assert (["FINISHED", "FINISHED"], ["1"]) == (sample.store.runs, sample.store.versions)


@pytest.mark.extended
def test_a_model_without_an_example_is_a_finding(sample: SampleProject) -> None:
    """
    Autologging keeps no example unless it is asked to: nothing could be compared later.
    """
    sample.train_with(autologging(""))

    result = sample.run("release")

    (finding,) = [finding for finding in result.answer["findings"] if finding["severity"] == "error"]
    assert (FINDINGS, "no-input-example", ["1"]) == (result.code, finding["rule"], sample.store.versions)
    assert "log_input_examples=True" in finding["fix"]


@pytest.mark.extended
def test_autologging_with_an_example_works(sample: SampleProject) -> None:
    """
    Autologging is a way to log like any other.
    """
    sample.train_with(autologging("log_input_examples=True"))

    result = sample.run("log-model")

    assert (0, []) == (result.code, result.rules)


def autologging(options: str) -> str:
    """A training that leaves the logging to MLflow."""
    return (
        "import mlflow\nimport pandas as pd\nfrom sklearn.linear_model import LinearRegression\n\n"
        f"mlflow.sklearn.autolog({options})\n"
        'LinearRegression().fit(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), [2.0, 4.0, 6.0])\n'
    )


@pytest.mark.extended
def test_a_model_that_could_not_be_served_is_refused_before_training(sample: SampleProject) -> None:
    """
    With MLflow in a development group alone, the served selection cannot load a model.
    """
    sample.consumer.edit(
        sample.folder / "pyproject.toml",
        'dependencies = ["mlflow>=3.17,<4", "scikit-learn>=1.7"]\n',
        'dependencies = ["scikit-learn>=1.7"]\n[dependency-groups]\ndev = ["mlflow>=3.17,<4"]\n',
    )
    lock = sample.folder / "uv.lock"
    sample.consumer.edit(
        lock, '    { name = "mlflow" },\n    { name = "scikit-learn" },\n]\n\n[package.metadata]', DEVELOPING
    )
    sample.consumer.edit(
        lock, '    { name = "mlflow", specifier = ">=3.17,<4" },\n    { name = "scikit', '    { name = "scikit'
    )
    runs = sample.store.runs

    result = sample.run("log-model")

    code, kind, sentence, fix = error(result)
    assert (NO_PROJECT, "BadProject", runs) == (code, kind, sample.store.runs), sentence
    assert "the served selection has no MLflow" in sentence
    assert "--groups" in fix


DEVELOPING = """\
    { name = "scikit-learn" },
]

[package.dev-dependencies]
dev = [
    { name = "mlflow" },
]

[package.metadata.requires-dev]
dev = [{ name = "mlflow", specifier = ">=3.17,<4" }]

[package.metadata]"""


@pytest.mark.parametrize("fault", [".git", ".git/refs/heads/main"], ids=["no repository", "no commit"])
def test_without_a_commit_nothing_can_name_a_model(sample: SampleProject, fault: str) -> None:
    """
    A model that no commit names is not released; the commands that make one are told.
    """
    spoilt = sample.folder / fault
    shutil.rmtree(spoilt) if spoilt.is_dir() else spoilt.unlink()

    result = sample.run("log-model")

    code, kind, _, fix = error(result)
    assert (NO_COMMIT, "NotCommitted", "git init && git add -A && git commit") == (code, kind, fix)


@pytest.mark.extended
def test_what_training_prints_is_never_ours(sample: SampleProject) -> None:
    """
    Lines that look like workflow commands and megabytes of output reach nobody as a command, and stop nothing.
    """
    sample.train_with(training(f"print('::error::gotcha', flush=True)\nprint('x' * 99 + '\\n', end='')\n{LOUD}{ONCE}"))

    result = sample.run("log-model")

    assert (0, 50_000) == (result.code, result.stderr.count("y" * 99))
    assert "gotcha" in result.stderr
    assert [] == [line for line in result.stderr.splitlines() if line.lstrip().startswith("::")]


LOUD = "for _ in range(50_000):\n    print('y' * 99)\n"


@pytest.mark.extended
def test_a_process_that_training_left_behind_is_ended(sample: SampleProject) -> None:
    """
    A background child of the training does not outlive it, nor does it hold up the release.
    """
    left = "import subprocess\nsubprocess.Popen(['sleep', '600'])\n"
    sample.train_with(training(f"{left}{ONCE}"))

    result = sample.run("log-model")

    assert 0 == result.code
