"""However a model is made, it is released the same way; made again, it is found again."""

import json
import subprocess

import pytest

from .sample_project import ONCE, SampleProject, error, training

FINDINGS, BAD_INPUT = 1, 2
GUESSING = {"MLFLOW_UV_AUTO_DETECT": "false"}
SAVING = 'mlflow.pyfunc.save_model("saved", python_model=Double(), input_example=EXAMPLE)'
PROJECT = 'name: wine\nentry_points:\n  main:\n    command: "python train.py"\n'


def save_model(sample: SampleProject) -> None:
    """Save a model into the project's folder, as a person would, and commit it."""
    (sample.folder / "train.py").write_text(training(SAVING))
    python, *_ = (sample.consumer.home / "cache" / "environments").glob("wine-*/bin/python")  # any has MLflow
    subprocess.run((python, "train.py"), cwd=sample.folder, check=True, capture_output=True)
    sample.consumer.edit(sample.folder / "pyproject.toml", 'train = "python train.py"\n', "")
    sample.commit()


def test_a_release_works_from_a_folder_with_an_odd_name(sample: SampleProject) -> None:
    """
    Quotes, spaces, signs of the shell and other scripts in a path are part of a name, everywhere.
    """
    odd = {"'", '"', " ", "$", "&", "ß"}

    assert odd <= set(str(sample.folder)) & set(str(sample.consumer.home))
    assert (["FINISHED"], {"candidate": "1"}) == (sample.store.runs, sample.store.aliases)
    assert "tested" == sample.store.tags("1")["state"]


def test_a_saved_model_becomes_a_version(sample: SampleProject) -> None:
    """
    A folder that `save_model` wrote is logged, proved and registered like a model that was trained just now.
    """
    save_model(sample)

    logged = sample.run("log-model", "--model", "saved")
    registered = sample.run("register")

    assert (0, 0, True, "2") == (
        logged.code, registered.code, registered.outputs["created"], registered.outputs["version"],
    )  # fmt: skip
    assert [] == [name for name in ("uv.lock", "pyproject.toml") if (sample.consumer.model / name).exists()]


@pytest.mark.parametrize(
    "name",
    [pytest.param("saved", id="empty"), pytest.param("another", marks=pytest.mark.extended, id="not there")],
)
def test_a_folder_that_is_no_model_is_refused(sample: SampleProject, name: str) -> None:
    """
    What is not a model, or not there, is wrong input, and the run that was opened for it does not stay open.
    """
    sample.consumer.edit(sample.folder / "pyproject.toml", 'train = "python train.py"\n', "")
    (sample.folder / name).mkdir()

    result = sample.run("log-model", "--model", "saved")

    code, kind, sentence, _ = error(result)
    assert (BAD_INPUT, "BadInput", ["FINISHED", "FAILED"]) == (code, kind, sample.store.runs)
    assert "`saved`" in sentence


@pytest.mark.extended
def test_an_entry_point_of_an_mlproject_becomes_a_version(sample: SampleProject) -> None:
    """
    `mlflow run` trains in the project's environment, and what it logs is released.
    """
    sample.consumer.edit(sample.folder / "pyproject.toml", 'train = "python train.py"', 'entry-point = "main"')
    (sample.folder / "MLproject").write_text(PROJECT)
    sample.commit()

    logged = sample.run("log-model")
    registered = sample.run("register")

    assert (0, 0, True) == (logged.code, registered.code, registered.outputs["created"])
    assert ["FINISHED", "FINISHED"] == sample.store.runs


def test_two_ways_at_once_are_refused(sample: SampleProject) -> None:
    """
    A model is made in one way.
    """
    result = sample.run("log-model", "--model", "saved", "--entry-point", "main")

    code, kind, sentence, fix = error(result)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert "`entry-point` and `model`" in sentence
    assert fix


def test_no_way_at_all_is_told_with_the_line_to_add(sample: SampleProject) -> None:
    """
    A project that says nothing gets the line that says it.
    """
    sample.consumer.edit(sample.folder / "pyproject.toml", 'train = "python train.py"\n', "")

    result = sample.run("log-model")

    assert (BAD_INPUT, 'add `train = "python train.py"` to [tool.mlflow-uv] in pyproject.toml') == (
        result.code, error(result)[3],
    )  # fmt: skip


@pytest.mark.extended
def test_guessed_requirements_fail_where_they_are_only_verified(sample: SampleProject) -> None:
    """
    With `requirements: verify`, a list that MLflow guessed from imports is a finding that shows what it lacks.
    """
    result = sample.run("log-model", "--requirements", "verify", variables=GUESSING)

    (finding,) = result.answer["findings"]
    assert (FINDINGS, "requirements-guessed", "--requirements lock") == (result.code, finding["rule"], finding["fix"])
    assert finding["why"].startswith("--- uv.lock\n+++ model\n")
    assert "\n-six==1.17.0\n" in finding["why"]


@pytest.mark.extended
def test_what_the_lock_says_passes_where_it_is_only_verified(sample: SampleProject) -> None:
    """
    With `requirements: verify`, a list that MLflow took from the lock is accepted.
    """
    result = sample.run("log-model", "--requirements", "verify")

    assert (0, []) == (result.code, result.rules)


@pytest.mark.extended
def test_guessed_requirements_are_accepted_where_that_was_asked_for(sample: SampleProject) -> None:
    """
    `requirements: infer` releases with MLflow's own list, and the record says so.
    """
    result = sample.run("release", "--requirements", "infer", "--engine", "none", variables=GUESSING)

    record = json.loads(sample.consumer.record.read_text())
    assert (0, "infer", "tested") == (result.code, record["requirements"]["source"], result.outputs["state"]), (
        result.stderr
    )
    assert {"candidate": "2"} == sample.store.aliases


@pytest.mark.extended
def test_a_release_that_was_made_is_found_again(sample: SampleProject) -> None:
    """
    With nothing changed, nothing is trained and no second version is made; `retrain` makes both.
    """
    before = json.loads(sample.consumer.record.read_text())

    again = sample.run("release", "--steps", "log-model register")
    after = json.loads(sample.consumer.record.read_text())
    trained = sample.run("log-model", "--retrain")
    registered = sample.run("register")

    assert (0, True, False) == (again.code, again.outputs["reused"], again.outputs["created"])
    assert before["model"] == after["model"]
    assert (False, True, "2") == (
        trained.outputs["reused"], registered.outputs["created"], registered.outputs["version"],
    )  # fmt: skip
    assert before["model"]["model_id"] != trained.outputs["model-id"]


@pytest.mark.extended
def test_uncommitted_changes_are_another_release(sample: SampleProject) -> None:
    """
    A dirty tree is recorded with a digest of what differs, and has a key of its own.
    """
    before = json.loads(sample.consumer.record.read_text())
    sample.consumer.edit(sample.folder / "train.py", "2.5", "3.5")

    result = sample.run("log-model")

    after = json.loads(sample.consumer.record.read_text())
    assert (0, False) == (result.code, result.outputs["reused"])
    assert before["commit"]["sha"] == after["commit"]["sha"]
    assert (None, True) == (before["commit"]["dirty"], bool(after["commit"]["dirty"]))
    assert before["release_key"] != after["release_key"]


@pytest.mark.extended
def test_a_model_that_was_changed_in_the_store_is_not_used_again(sample: SampleProject) -> None:
    """
    The files are digested before a model is reused: one that was tampered with is trained anew.
    """
    sample.consumer.edit(sample.consumer.model / "MLmodel", "flavors:", "# harmless\nflavors:")

    result = sample.run("log-model")

    assert (0, False) == (result.code, result.outputs["reused"])
    assert "was changed after its digest was recorded" in result.stderr


@pytest.mark.extended
def test_a_training_that_registers_by_itself_is_adopted(sample: SampleProject) -> None:
    """
    The version that training made is the version of the release: no second one is made, and it gets our tags.
    """
    sample.train_with(training(ONCE.replace("log()", "log(registered_model_name='wine')")))

    logged = sample.run("log-model")
    registered = sample.run("register")

    assert (0, 0, False, "2") == (
        logged.code, registered.code, registered.outputs["created"], registered.outputs["version"],
    )  # fmt: skip
    assert ["1", "2"] == sample.store.versions
    tags = sample.store.tags("2")
    assert ("registered", logged.outputs["model-sha256"]) == (tags["state"], tags["model-sha256"])


@pytest.mark.extended
def test_a_training_may_choose_its_experiment(sample: SampleProject) -> None:
    """
    A run in another experiment than ours is found, and nothing is written into the checkout.
    """
    sample.train_with(training(f"mlflow.set_experiment('cellar')\n{ONCE}"))

    result = sample.run("log-model")

    runs = "runs JOIN experiments USING (experiment_id)"
    query = f"SELECT experiments.name FROM {runs} WHERE run_uuid = '{result.outputs['run-id']}'"
    assert (0, [("cellar",)]) == (result.code, sample.store.rows(query))


@pytest.mark.extended
def test_a_model_that_was_logged_without_a_run_is_released_once_it_has_one(sample: SampleProject) -> None:
    """
    MLflow 3 logs such a model; its record would have no place. What the error says is done, and the model released.
    """
    sample.train_with(training("log()"))
    refused = sample.run("log-model")
    sample.train_with(training(ONCE))

    released = sample.run("log-model")

    code, _, what, fix = error(refused)
    assert (2, "call `log_model` inside `with mlflow.start_run():`, and train again") == (code, fix)
    assert "`double` was logged without a run: the record of a release is kept in the run of its model" in what
    assert (0, True) == (released.code, bool(released.outputs["run-id"])), released.stderr
