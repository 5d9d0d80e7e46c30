"""A version is served in several ways, and each fault of a model is named with its way."""

import os
import sqlite3
import subprocess
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.tools.system.content import digests_in

from .sample_project import SampleProject, error, training

BAD_INPUT = 2
# How code of a model can tell in which way it is served.
BY_UV = 'os.path.basename(__import__("sys").prefix).startswith("mlflow-")'
BY_SERVE = '"__pyfunc_model_path__" in os.environ'
BY_PREDICT = '"predict" in " ".join(__import__("sys").orig_argv)'
BY_PROCESS = '"MLFLOW_UV_MODEL" in os.environ'
WRITTEN = 'os.path.join(os.environ["__pyfunc_model_path__"].removeprefix("file://"), "state.txt")'


def release(sample: SampleProject, *, load: str = "pass", predict: str) -> None:
    """Register version 2 of the model, which loads and predicts so."""
    sample.train_with(training(load=load, predict=predict))
    result = sample.run("release", "--steps", "log-model register")
    assert result.code == 0, result.stderr


def register_as_it_is(sample: SampleProject) -> None:
    """Let the registry have the digest of the files that version 1 has now."""
    digest = tree_digest(digests_in(sample.consumer.model))
    with closing(sqlite3.connect(sample.store.path)) as connection, connection:
        connection.execute("UPDATE model_version_tags SET value = ? WHERE key = 'mlflow-uv.model-sha256'", (digest,))


def test_a_version_is_equal_in_two_ways_and_a_test_report_has_both(sample: SampleProject, tmp_path: Path) -> None:
    """
    The registry is only read, and the JUnit file has a test case for each way.
    """
    file = tmp_path / "ways.xml"
    before = sample.store.rows("SELECT * FROM model_version_tags")

    result = sample.run("verify", "models:/wine/1", "--ways", "process locked-load", "--junit-file", str(file))

    ways = ["locked-load", "process"]
    assert (0, ways, [], []) == (
        result.code, result.outputs["equal"], result.outputs["unequal"], result.outputs["unavailable"],
    ), result.stderr  # fmt: skip
    assert before == sample.store.rows("SELECT * FROM model_version_tags")
    (suite,) = ET.parse(file).getroot()
    assert ("wine version 1", "2", "0") == (suite.get("name"), suite.get("tests"), suite.get("failures"))
    assert [(way, 0) for way in ways] == [(case.get("name"), len(case)) for case in suite]


def test_an_unknown_way_is_refused(sample: SampleProject) -> None:
    """
    With the most similar one.
    """
    result = sample.run("verify", "models:/wine/1", "--ways", "uv-sevre")

    code, kind, sentence, fix = error(result)
    assert (BAD_INPUT, "BadInput", "did you mean `uv-serve`?") == (code, kind, fix)
    assert "`uv-sevre` is not a way of serving a model: they are locked-load, locked-predict" in sentence


def test_a_model_without_recorded_requests_cannot_be_verified(sample: SampleProject) -> None:
    """
    It is wrong input; nothing is served.
    """
    (sample.consumer.model / "mlflow-uv" / "cases.json").unlink()
    register_as_it_is(sample)

    result = sample.run("verify", "models:/wine/1", "--ways", "process")

    code, kind, sentence, fix = error(result)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert "wine version 1 has no recorded predictions to compare with: its file mlflow-uv/cases.json" in sentence
    assert fix.endswith("mlflow-uv log-model")


@pytest.mark.extended
def test_a_version_is_equal_in_the_environments_of_uv_and_of_the_lock(sample: SampleProject) -> None:
    """
    Loaded, by MLflow's commands, and by this program's server.
    """
    result = sample.run("verify", "models:/wine@candidate", "--ways", "uv locked process")

    ways = ["locked-load", "locked-predict", "locked-serve", "uv-load", "uv-predict", "uv-serve", "process"]
    assert (0, ways, []) == (result.code, result.outputs["equal"], result.rules), result.stderr


@pytest.mark.extended
def test_a_model_that_is_wrong_in_some_ways_is_named_with_each(sample: SampleProject) -> None:
    """
    An environment of MLflow's, MLflow's server and its command, and a request that ends this program's server.
    """
    release(
        sample,
        load=f'assert not ({BY_SERVE}), "not in a server"',
        predict=(
            f"if {BY_PROCESS}:\n            os._exit(7)\n"
            f'        factor = float("nan") if {BY_PREDICT} else 3.0 if {BY_UV} else 2.0\n'
            '        return [factor * x for x in model_input["x"]]'
        ),
    )

    ways = "locked-load locked-predict locked-serve uv-load process"
    result = sample.run("verify", "models:/wine/2", "--ways", ways, traceback=True)

    assert (1, ["locked-load"]) == (result.code, result.outputs["equal"]), result.stderr
    assert ["locked-predict", "locked-serve", "uv-load", "process"] == result.outputs["unequal"]
    findings = {finding["what"]: (finding["rule"], finding["why"]) for finding in result.answer["findings"]}
    otherwise = "served by `{}`, the model does not give the predictions of training"
    assert {
        otherwise.format("locked-predict"), "the model cannot be served by `locked-serve`", otherwise.format("uv-load"),
        "the model cannot be served by `process`",
    } == set(findings)  # fmt: skip
    assert "expected is 2.0" in findings[otherwise.format("locked-predict")][1]
    assert "request 1: $.predictions[0] is 3.0, expected is 2.0" in findings[otherwise.format("uv-load")][1]
    assert "before it was healthy: AssertionError: not in a server" in str(findings)
    assert "got no response: the server ended" in findings["the model cannot be served by `process`"][1]


@pytest.mark.extended
def test_a_way_that_takes_too_long_is_ended_and_one_that_writes_is_undone(sample: SampleProject) -> None:
    """
    A command stops at the time limit; what a server wrote into the model's folder is not there for the next one.
    """
    release(
        sample,
        load=(
            f"time.sleep(900 if {BY_PREDICT} else 0)\n"
            f"        if {BY_SERVE}:\n            open({WRITTEN}, 'w').write('x')\n"
            f'        seen = {BY_PROCESS} and "state.txt" in os.listdir(os.environ["MLFLOW_UV_MODEL"])\n'
            "        self.factor = 3.0 if seen else 2.0"
        ),
        predict='return [self.factor * x for x in model_input["x"]]',
    )

    ways = ("--ways", "locked-predict locked-serve process", "--time-limit", "40")
    result = sample.run("verify", "models:/wine/2", *ways)

    assert (1, ["process"], ["way-failed"] * 2) == (result.code, result.outputs["equal"], result.rules), result.stderr
    slow, writes = (finding["why"] for finding in result.answer["findings"])
    assert "`python` did not end within 40 s: it was stopped" == slow
    assert "the model changed files of its own folder: state.txt" == writes


@pytest.mark.extended
def test_requirements_that_uv_cannot_install_are_named(sample: SampleProject) -> None:
    """
    The line of uv is the reason; the environment of the lock does not need that file.
    """
    requirements = sample.consumer.model / "requirements.txt"
    requirements.write_text(f"{requirements.read_text()}gone @ file:///nowhere/gone-1.0-py3-none-any.whl\n")
    register_as_it_is(sample)

    result = sample.run("verify", "models:/wine/1", "--ways", "locked-load uv-load uv-serve", traceback=True)

    assert (1, ["locked-load"], ["uv-load", "uv-serve"]) == (
        result.code, result.outputs["equal"], result.outputs["unequal"],
    ), result.stderr  # fmt: skip
    assert ["`mlflow models prepare-env --env-manager uv`: "] * 2 == [
        finding["why"].partition(": ")[0] + ": " for finding in result.answer["findings"]
    ]
    assert all("gone" in finding["why"] for finding in result.answer["findings"]), result.stderr


@pytest.mark.extended
@pytest.mark.usefixtures("pyenv_program")
def test_a_version_is_equal_in_a_virtualenv(sample: SampleProject, tmp_path: Path) -> None:
    """
    With the newest patch version that pyenv knows; before it is installed, the way cannot be tried.
    """
    root = tmp_path / "pyenv"
    (root / "versions").mkdir(parents=True)
    variables = {"PYENV_ROOT": str(root)}
    arguments = ("verify", "models:/wine/1", "--ways", "virtualenv-load")

    before = sample.run(*arguments, variables=variables)
    (finding,) = before.answer["findings"]
    pyenv, install, patch = finding["fix"].split()
    python = next((sample.consumer.home / "cache" / "environments").glob("wine-*/bin/python"))
    prefix = subprocess.run(
        (python, "-I", "-c", "import sys; print(sys.base_prefix)"), capture_output=True, text=True, check=True
    ).stdout.strip()
    (root / "versions" / patch).symlink_to(prefix)
    result = sample.run(*arguments, variables={**variables, "PATH": os.environ["PATH"]})

    assert (1, "way-unavailable", "error", ("pyenv", "install")) == (
        before.code, finding["rule"], finding["severity"], (pyenv, install),
    )  # fmt: skip
    assert (0, ["virtualenv-load"]) == (result.code, result.outputs["equal"]), result.stderr
