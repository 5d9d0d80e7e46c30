"""However a model is made, it is released the same way; made again, it is found again."""

import json
import subprocess

import pytest

from .lab import ONCE, Lab, error, training

FINDINGS, BAD_INPUT = 1, 2
GUESSING = {"MLFLOW_UV_AUTO_DETECT": "false"}
SAVING = 'mlflow.pyfunc.save_model("saved", python_model=Double(), input_example=EXAMPLE)'
PROJECT = 'name: wine\nentry_points:\n  main:\n    command: "python train.py"\n'


def save_model(lab: Lab) -> None:
    """Save a model into the project's folder, as a person would, and commit it."""
    (lab.folder / "train.py").write_text(training(SAVING))
    python, *_ = (lab.consumer.home / "cache" / "environments").glob("wine-*/bin/python")  # any has MLflow
    subprocess.run((python, "train.py"), cwd=lab.folder, check=True, capture_output=True)
    lab.consumer.edit(lab.folder / "pyproject.toml", 'train = "python train.py"\n', "")
    lab.commit()


def test_a_release_works_from_a_folder_with_an_odd_name(lab: Lab) -> None:
    """
    Quotes, spaces, signs of the shell and other scripts in a path are part of a name, everywhere.
    """
    odd = {"'", '"', " ", "$", "&", "ß"}

    assert odd <= set(str(lab.folder)) & set(str(lab.consumer.home))
    assert (["FINISHED"], {"candidate": "1"}) == (lab.store.runs, lab.store.aliases)
    assert "tested" == lab.store.tags("1")["state"]


def test_a_saved_model_becomes_a_version(lab: Lab) -> None:
    """
    A folder that `save_model` wrote is logged, proved and registered like a model that was trained just now.
    """
    save_model(lab)

    logged = lab.run("log-model", "--model", "saved")
    registered = lab.run("register")

    assert (0, 0, True, "2") == (
        logged.code, registered.code, registered.outputs["created"], registered.outputs["version"],
    )  # fmt: skip
    assert [] == [name for name in ("uv.lock", "pyproject.toml") if (lab.consumer.model / name).exists()]


@pytest.mark.parametrize("name", ["saved", "another"], ids=["empty", "not there"])
def test_a_folder_that_is_no_model_is_refused(lab: Lab, name: str) -> None:
    """
    What is not a model, or not there, is wrong input, and the run that was opened for it does not stay open.
    """
    lab.consumer.edit(lab.folder / "pyproject.toml", 'train = "python train.py"\n', "")
    (lab.folder / name).mkdir()

    said = lab.run("log-model", "--model", "saved")

    code, kind, sentence, _ = error(said)
    assert (BAD_INPUT, "BadInput", ["FINISHED", "FAILED"]) == (code, kind, lab.store.runs)
    assert "`saved`" in sentence


def test_an_entry_point_of_an_mlproject_becomes_a_version(lab: Lab) -> None:
    """
    `mlflow run` trains in the project's environment, and what it logs is released.
    """
    lab.consumer.edit(lab.folder / "pyproject.toml", 'train = "python train.py"', 'entry-point = "main"')
    (lab.folder / "MLproject").write_text(PROJECT)
    lab.commit()

    logged = lab.run("log-model")
    registered = lab.run("register")

    assert (0, 0, True) == (logged.code, registered.code, registered.outputs["created"])
    assert ["FINISHED", "FINISHED"] == lab.store.runs


def test_two_ways_at_once_are_refused(lab: Lab) -> None:
    """
    A model is made in one way.
    """
    said = lab.run("log-model", "--model", "saved", "--entry-point", "main")

    code, kind, sentence, fix = error(said)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert "`entry-point` and `model`" in sentence
    assert fix


def test_no_way_at_all_is_told_with_the_line_to_add(lab: Lab) -> None:
    """
    A project that says nothing gets the line that says it.
    """
    lab.consumer.edit(lab.folder / "pyproject.toml", 'train = "python train.py"\n', "")

    said = lab.run("log-model")

    assert (BAD_INPUT, 'add `train = "python train.py"` to [tool.mlflow-uv] in pyproject.toml') == (
        said.code, error(said)[3],
    )  # fmt: skip


def test_guessed_requirements_fail_where_they_are_only_verified(lab: Lab) -> None:
    """
    With `requirements: verify`, a list that MLflow guessed from imports is a finding that shows what it lacks.
    """
    said = lab.run("log-model", "--requirements", "verify", variables=GUESSING)

    (finding,) = said.answer["findings"]
    assert (FINDINGS, "requirements-guessed", "--requirements lock") == (said.code, finding["rule"], finding["fix"])
    assert finding["why"].startswith("--- uv.lock\n+++ model\n")
    assert "\n-six==1.17.0\n" in finding["why"]


@pytest.mark.extended
def test_what_the_lock_says_passes_where_it_is_only_verified(lab: Lab) -> None:
    """
    With `requirements: verify`, a list that MLflow took from the lock is accepted.
    """
    said = lab.run("log-model", "--requirements", "verify")

    assert (0, []) == (said.code, said.rules)


def test_guessed_requirements_are_accepted_where_that_was_asked_for(lab: Lab) -> None:
    """
    `requirements: infer` releases with MLflow's own list, and the record says so.
    """
    said = lab.run("release", "--requirements", "infer", "--engine", "none", variables=GUESSING)

    record = json.loads(lab.consumer.record.read_text())
    assert (0, "infer", "tested") == (said.code, record["requirements"]["source"], said.outputs["state"]), said.stderr
    assert {"candidate": "2"} == lab.store.aliases


def test_a_release_that_was_made_is_found_again(lab: Lab) -> None:
    """
    With nothing changed, nothing is trained and no second version is made; `retrain` makes both.
    """
    before = json.loads(lab.consumer.record.read_text())

    again = lab.run("release", "--steps", "log-model register")
    after = json.loads(lab.consumer.record.read_text())
    trained = lab.run("log-model", "--retrain")
    registered = lab.run("register")

    assert (0, True, False) == (again.code, again.outputs["reused"], again.outputs["created"])
    assert before["model"] == after["model"]
    assert (False, True, "2") == (
        trained.outputs["reused"], registered.outputs["created"], registered.outputs["version"],
    )  # fmt: skip
    assert before["model"]["model_id"] != trained.outputs["model-id"]


def test_uncommitted_changes_are_another_release(lab: Lab) -> None:
    """
    A dirty tree is recorded with a digest of what differs, and has a key of its own.
    """
    before = json.loads(lab.consumer.record.read_text())
    lab.consumer.edit(lab.folder / "train.py", "2.5", "3.5")

    said = lab.run("log-model")

    after = json.loads(lab.consumer.record.read_text())
    assert (0, False) == (said.code, said.outputs["reused"])
    assert before["commit"]["sha"] == after["commit"]["sha"]
    assert (None, True) == (before["commit"]["dirty"], bool(after["commit"]["dirty"]))
    assert before["release_key"] != after["release_key"]


def test_a_model_that_was_changed_in_the_store_is_not_used_again(lab: Lab) -> None:
    """
    The files are digested before a model is reused: one that was tampered with is trained anew.
    """
    lab.consumer.edit(lab.consumer.model / "MLmodel", "flavors:", "# harmless\nflavors:")

    said = lab.run("log-model")

    assert (0, False) == (said.code, said.outputs["reused"])
    assert "was changed since" in said.stderr


def test_a_training_that_registers_by_itself_is_adopted(lab: Lab) -> None:
    """
    The version that training made is the version of the release: no second one is made, and it gets our tags.
    """
    lab.train_with(training(ONCE.replace("log()", "log(registered_model_name='wine')")))

    logged = lab.run("log-model")
    registered = lab.run("register")

    assert (0, 0, False, "2") == (
        logged.code, registered.code, registered.outputs["created"], registered.outputs["version"],
    )  # fmt: skip
    assert ["1", "2"] == lab.store.versions
    tags = lab.store.tags("2")
    assert ("registered", logged.outputs["model-sha256"]) == (tags["state"], tags["model-sha256"])


def test_a_training_may_choose_its_experiment(lab: Lab) -> None:
    """
    A run in another experiment than ours is found, and nothing is written into the checkout.
    """
    lab.train_with(training(f"mlflow.set_experiment('cellar')\n{ONCE}"))

    said = lab.run("log-model")

    query = f"SELECT e.name FROM runs r JOIN experiments e USING (experiment_id) WHERE run_uuid = '{said.outputs['run-id']}'"  # noqa: S608, E501
    assert (0, [("cellar",)]) == (said.code, lab.store.rows(query))
