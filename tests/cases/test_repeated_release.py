"""Doing it again: the newest model is found, changed code is another release, and nothing we make is in the way."""

import json
import shutil
from pathlib import Path

import pytest

from tests import projects

from .sample_project import SampleProject, error, training

INPUTS_CHANGED = 27
# Another process edits the parameters while training runs, as a person would.
EDITED = """\
import os, subprocess, sys

if not os.path.exists("edited.mark"):
    edit = "from pathlib import Path; Path('params.json').write_text('{}')"
    subprocess.run([sys.executable, "-c", edit], check=True)
"""

PACKAGE = """\
[project]
name = "{name}"
version = "0.1"
requires-python = ">=3.11"
dependencies = []

[build-system]
requires = ["setuptools>=70"]
build-backend = "setuptools.build_meta"
"""


def package(folder: Path, name: str, answer: str) -> None:
    """Write a packaged project, built by a backend that leaves folders behind."""
    (folder / "src" / name).mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(PACKAGE.format(name=name))
    (folder / "src" / name / "__init__.py").write_text(f"ANSWER = {answer!r}\n")


def ignored(sample: SampleProject, pattern: str) -> None:
    """Let git ignore a file."""
    with (sample.folder / ".gitignore").open("a") as file:
        file.write(f"{pattern}\n")


@pytest.fixture
def beside(sample: SampleProject) -> Path:
    """A local package beside the repository, which the project depends on by its path."""
    folder = sample.folder.parent / "outer"
    shutil.rmtree(folder, ignore_errors=True)  # that of another test; `sample` restores its own folder alone
    package(folder, "outer", "one")
    manifest = sample.folder / "pyproject.toml"
    sample.consumer.edit(manifest, 'dependencies = ["mlflow', 'dependencies = ["outer", "mlflow')
    manifest.write_text(manifest.read_text() + '\n[tool.uv.sources]\nouter = { path = "../outer" }\n')
    projects.lock(sample.folder)
    sample.train_with("import outer\n" + training(predict='return [outer.ANSWER for _ in model_input["x"]]'))
    return folder


@pytest.mark.extended
def test_the_newest_model_is_found_again(sample: SampleProject) -> None:
    """
    After a second training, a plain re-run does not take the alias back to the first.
    """
    trained = sample.run("release", "--engine", "none", "--retrain")
    again = sample.run("release", "--engine", "none")

    assert (0, 0, True) == (trained.code, again.code, again.outputs["reused"])
    assert (trained.outputs["version"], {"candidate": "2"}) == (again.outputs["version"], sample.store.aliases)


def test_a_model_that_answers_differently_each_time_is_told_at_once(sample: SampleProject) -> None:
    """
    A fickle model is found while it is logged, not blamed on the server that was built for it.
    """
    sample.train_with("import random\n" + training(predict='return [random.random() for _ in model_input["x"]]'))

    result = sample.run("log-model")

    assert (1, ["answers-fickle"]) == (result.code, result.rules)


@pytest.mark.extended
def test_a_tolerance_is_recorded_and_told(sample: SampleProject) -> None:
    """
    Who looks at the release later sees how far its answers could be off.
    """
    result = sample.run("smoke-test", "--tolerance", "0.5")

    record = json.loads(sample.consumer.record.read_text())
    assert (0, 0.5) == (result.code, record["answers"]["tolerance"])
    assert "within 0.5" in result.answer["summary"]


@pytest.mark.extended
def test_nothing_goes_on_from_a_model_that_was_not_proved(sample: SampleProject) -> None:
    """
    What failed in log-model cannot be registered by the next command: its record is still the one before.
    """
    before = sample.consumer.record.read_text()
    sample.train_with(training("with mlflow.start_run():\n    log(input_example=None)"))

    result = sample.run("log-model")

    assert (1, ["no-input-example", "no-signature"]) == (result.code, result.rules)
    assert result.answer["summary"].endswith("trained, but not verified")
    assert before == sample.consumer.record.read_text()


@pytest.mark.extended
def test_changed_code_beside_the_repository_is_another_release(sample: SampleProject, beside: Path) -> None:
    """
    No commit knows it, so the package itself is part of the key; training and serving get the new code.
    """
    first = sample.run("release", "--engine", "none")
    same = sample.run("log-model")
    package(beside, "outer", "two")
    changed = sample.run("release", "--engine", "none")

    answers = json.loads((sample.consumer.model / "mlflow-uv" / "answers.json").read_text())
    assert (0, 0, 0) == (first.code, same.code, changed.code), changed.stderr
    assert (True, False) == (same.outputs["reused"], changed.outputs["reused"])
    assert ["two", "two"] == answers[0]["predictions"]
    assert [] == [path.name for path in beside.iterdir() if path.name not in ("src", "pyproject.toml")]


@pytest.mark.extended
def test_two_releases_at_once_take_turns(sample: SampleProject) -> None:
    """
    The second waits for the first, and finds what that one made: one more model, one more version.
    """
    sample.train_with(training(predict='return [3.0 * x for x in model_input["x"]]'))

    first, second = (sample.start("release", "--engine", "none") for _ in range(2))
    ended = [sample.ended(one) for one in (first, second)]

    assert [0, 0] == [result.code for result in ended]
    assert [False, True] == sorted(result.outputs["reused"] for result in ended)
    assert (["1", "2"], {"candidate": "2"}) == (sample.store.versions, sample.store.aliases)


def test_a_commit_of_documentation_trains_nothing(sample: SampleProject) -> None:
    """
    The model of before is found again, with the commit that trained it, and the step says which file changed.
    """
    before = json.loads(sample.consumer.record.read_text())
    (sample.folder / "README.md").write_text("# Another title\n")
    sample.commit()

    result = sample.run("log-model")

    after = json.loads(sample.consumer.record.read_text())
    assert (0, True, before["commit"]) == (result.code, result.outputs["reused"], after["commit"]), result.stderr
    assert f"no input changed since commit {before['commit']['sha']}; other changes: README.md" in result.stderr


def test_an_input_that_is_edited_while_training_runs_stops_the_release(sample: SampleProject) -> None:
    """
    The edit is made by another process while training waits; neither that model nor its run passes for the commit's.
    """
    (sample.folder / "params.json").write_text('{"factor": 2.0}\n')
    ignored(sample, "/edited.mark")
    sample.train_with(EDITED + training())
    versions, record = sample.store.versions, sample.consumer.record.read_text()

    # `sample.run` would refuse the edit.
    stopped = sample.consumer.run("release", "--engine", "none")
    versions_after, record_after = sample.store.versions, sample.consumer.record.read_text()
    sample.consumer.git("checkout", "--", "params.json")
    (sample.folder / "edited.mark").touch()
    again = sample.consumer.run("log-model")

    code, kind, sentence, fix = error(stopped)
    assert (INPUTS_CHANGED, "InputsChanged") == (code, kind), stopped.stderr
    assert sentence.startswith("params.json changed while training ran, so its model is not used: ")
    assert '`not-inputs = ["/params.json"]`' in fix
    assert (versions, record) == (versions_after, record_after)
    assert (0, False) == (again.code, again.outputs["reused"]), again.stderr
    dirty = "SELECT value FROM tags WHERE key = 'mlflow-uv.dirty' AND run_uuid != '{}'"
    assert ("true",) in sample.store.rows(dirty.format(again.outputs["run-id"]))


@pytest.mark.extended
def test_a_lock_that_changes_while_training_runs_stops_only_that_release(sample: SampleProject) -> None:
    """
    With the committed lock again, the next release trains and passes.
    """
    change = "import os\nif not os.path.exists('locked.mark'):\n    open('uv.lock', 'a').write('# x\\n')\n"
    ignored(sample, "/locked.mark")
    sample.train_with(change + training())

    stopped = sample.consumer.run("release", "--engine", "none")
    sample.consumer.git("checkout", "--", "uv.lock")
    (sample.folder / "locked.mark").touch()
    again = sample.consumer.run("release", "--engine", "none")

    code, kind, sentence, _ = error(stopped)
    assert (INPUTS_CHANGED, "InputsChanged") == (code, kind), stopped.stderr
    assert sentence.startswith("uv.lock changed while training ran")
    assert (0, False) == (again.code, again.outputs["reused"]), again.stderr


# Training edits a module of its own environment, as new files, so that uv's cache keeps its own.
EDITS_PACKAGE = """\
import os
from pathlib import Path

if not os.path.exists("edited.mark"):
    (module,) = Path(os.environ["VIRTUAL_ENV"]).glob("lib/python*/site-packages/cloudpickle/__init__.py")
    text = module.read_text()
    module.unlink()
    module.write_text(text + "# edited\\n")
"""


@pytest.mark.extended
def test_a_package_that_is_edited_while_training_runs_stops_the_release(sample: SampleProject) -> None:
    """
    The next release says that it makes the environment again, and trains with the package of the lock.
    """
    ignored(sample, "/edited.mark")
    sample.train_with(EDITS_PACKAGE + training())

    stopped = sample.consumer.run("log-model")
    (sample.folder / "edited.mark").touch()
    again = sample.consumer.run("log-model")

    code, kind, sentence, _ = error(stopped)
    assert (INPUTS_CHANGED, "InputsChanged") == (code, kind), stopped.stderr
    assert "cloudpickle/__init__.py` changed in the environment of training while training" in sentence
    assert "the environment is made again: its files were not recorded" in again.stderr
    assert (0, False) == (again.code, again.outputs["reused"]), again.stderr


WRITES_CACHE = """\
import os
from pathlib import Path

(packages,) = Path(os.environ["VIRTUAL_ENV"]).glob("lib/python*/site-packages/cloudpickle")
(Path({folder!r} or packages) / "cache.json").write_text("[]")
"""


@pytest.mark.extended
def test_training_that_writes_into_a_package_is_released_once_it_writes_elsewhere(
    sample: SampleProject, tmp_path: Path
) -> None:
    """
    A new run alone ends in the same way, as the fix says; with a folder outside of the environment it does not.
    """
    sample.train_with(WRITES_CACHE.format(folder="") + training())
    stopped = [sample.consumer.run("log-model") for _ in range(2)]
    (tmp_path / "cache").mkdir()
    sample.train_with(WRITES_CACHE.format(folder=str(tmp_path / "cache")) + training())

    released = sample.consumer.run("log-model")

    for each in stopped:
        code, kind, sentence, fix = error(each)
        assert (INPUTS_CHANGED, "InputsChanged") == (code, kind), each.stderr
        assert "cloudpickle/cache.json` changed in the environment of training" in sentence
        assert "give the library that writes the file a folder outside of it" in fix
        assert "a new run alone can end in the same way" in fix
    assert 0 == released.code, released.stderr


@pytest.mark.extended
@pytest.mark.usefixtures("beside")
def test_a_package_outside_the_repository_that_changes_while_training_runs_stops_the_release(
    sample: SampleProject,
) -> None:
    """
    The wheel in the model was built before it.
    """
    change = "from pathlib import Path\nPath('../outer/src/outer/__init__.py').write_text('ANSWER = 3')\n"
    sample.train_with(change + training())

    stopped = sample.consumer.run("log-model")

    code, kind, sentence, _ = error(stopped)
    assert (INPUTS_CHANGED, "InputsChanged") == (code, kind), stopped.stderr
    assert sentence.startswith("../outer/src/outer/__init__.py changed while training ran")


@pytest.mark.extended
@pytest.mark.parametrize("content", ["'{}'", "str(time.time_ns())"], ids=["the same", "another each time"])
def test_an_input_that_a_build_writes_is_trained_with_if_it_stays_as_it_is(
    sample: SampleProject, beside: Path, content: str
) -> None:
    """
    The commit of the record says that the tree differs from it; one that never settles is an error before training.
    """
    (sample.folder / "params.json").write_text("{ }")
    target = str(sample.folder / "params.json")
    setup = f"import pathlib, setuptools, time\npathlib.Path({target!r}).write_text({content})\nsetuptools.setup()\n"
    (beside / "setup.py").write_text(setup)
    sample.train_with("open('trained.tmp', 'w')\n" + training())
    ignored(sample, "/*.tmp")
    sample.commit()

    result = sample.consumer.run("log-model")

    assert "params.json changed while training was prepared: prepared again" in result.stderr
    if content == "'{}'":
        assert (0, True) == (result.code, bool(json.loads(sample.consumer.record.read_text())["commit"]["dirty"]))
    else:
        code, kind, sentence, _ = error(result)
        assert (INPUTS_CHANGED, "InputsChanged", False) == (code, kind, (sample.folder / "trained.tmp").exists())
        assert sentence.startswith("params.json changed while training was prepared")


@pytest.mark.extended
def test_what_training_leaves_behind_is_told_before_and_after(sample: SampleProject) -> None:
    """
    The first release warns, the second says why it trains; with the file ignored, the third trains nothing.
    """
    extra = "from pathlib import Path\nPath('outputs').mkdir(exist_ok=True)\nPath('outputs/a.txt').write_text('a')\n"
    sample.train_with(extra + training())

    # `sample.run` would refuse the files that training leaves behind.
    first, second = (sample.consumer.run("log-model") for _ in range(2))
    with (sample.folder / ".gitignore").open("a") as file:
        file.write("/outputs/\n")
    third = sample.consumer.run("log-model")

    assert (0, False, True) == (first.code, first.outputs["reused"], "training-left-files" in first.rules)
    assert (0, False) == (second.code, second.outputs["reused"])
    assert "these inputs changed: outputs/a.txt" in second.stderr
    assert (0, True) == (third.code, third.outputs["reused"])
