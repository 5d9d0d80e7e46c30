"""A version is served in every way that MLflow offers, and each fault of a model is named with its way."""

import os
import sqlite3
import subprocess
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.tools.system.content import digests_in

from .sample_project import SampleProject, error

BAD_INPUT = 2


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
