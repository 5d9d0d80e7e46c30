"""A version is served in several ways, and each fault of a model is named with its way."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.tools.system.content import digests_in
from tests.waiting import happens

from .consumer import Consumer
from .sample_project import SampleProject, error, training

BAD_INPUT = 2
# The command line of our server; other programs of its folder have a file behind it.
SERVER = re.compile(r"/mlflow_uv/serving *$")
# How code of a model can tell in which way it is served.
BY_UV = 'os.path.basename(__import__("sys").prefix).startswith("mlflow-")'
BY_SERVE = '"__pyfunc_model_path__" in os.environ'
BY_PREDICT = '"predict" in " ".join(__import__("sys").orig_argv)'
BY_PAYLOAD = '"payloads" in " ".join(__import__("sys").orig_argv)'
VERIFIED = '"VERIFIED_KEY" in os.environ'
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


def test_a_version_is_equal_in_several_ways_and_a_test_report_has_all(sample: SampleProject, tmp_path: Path) -> None:
    """
    With `dry-run` the registry is only read; the JUnit file has a test case for each way.
    """
    file = tmp_path / "ways.xml"
    before = sample.store.rows("SELECT * FROM model_version_tags")

    ways = ("--ways", "process locked-load process-v2", "--junit-file", str(file))
    result = sample.run("verify", "models:/wine/1", *ways, "--dry-run")

    names = ["locked-load", "process", "process-v2"]
    assert (0, names, [], []) == (
        result.code, result.outputs["equal"], result.outputs["unequal"], result.outputs["unavailable"],
    ), result.stderr  # fmt: skip
    assert before == sample.store.rows("SELECT * FROM model_version_tags")
    (suite,) = ET.parse(file).getroot()
    assert ("wine version 1", "3", "0") == (suite.get("name"), suite.get("tests"), suite.get("failures"))
    assert [(way, 0) for way in names] == [(case.get("name"), len(case)) for case in suite]


def test_the_results_are_in_the_record_of_the_version_and_audit_shows_them(sample: SampleProject) -> None:
    """
    From the registry and from the file of the record; later results of other ways are added, and the file is updated.
    """
    record = sample.consumer.record
    alone = record.with_name("alone.json")

    first = sample.run("verify", "models:/wine@candidate", "--ways", "process")
    audited = sample.run("audit", "models:/wine/1")
    alone.write_bytes(record.read_bytes())
    second = sample.run("verify", str(alone), "--ways", "locked-load")

    assert (0, ["not-isolated"], 0) == (first.code, first.rules, second.code), first.stderr + second.stderr
    assert ("verification" in audited.outputs["holds"], []) == (True, audited.outputs["broken"]), audited.stderr
    assert "Ways of serving" in audited.stderr
    link = json.loads(alone.read_text())["verification"]
    assert [("locked-load", "equal"), ("process", "equal")] == [(way["way"], way["verdict"]) for way in link["ways"]]
    again = sample.run("audit", "models:/wine/1")
    assert ([], ["models:/wine/1"]) == (again.outputs["broken"], [f"models:/wine/{again.outputs['version']}"])


@pytest.mark.extended
def test_a_record_that_is_not_the_published_one_is_refused(sample: SampleProject) -> None:
    """
    An edited one, and that of a version that was verified since.
    """
    file = sample.consumer.record.with_name("other.json")
    edited = json.loads(sample.consumer.record.read_text())
    edited["answers"]["tolerance"] = 0.9
    file.write_text(json.dumps(edited))

    result = sample.run("verify", str(file), "--ways", "process")

    code, kind, sentence, _ = error(result)
    assert (11, "ChainBroken") == (code, kind)
    assert "the registry has the digest of another record of this version" in sentence


@pytest.mark.extended
def test_a_release_can_verify(sample: SampleProject) -> None:
    """
    With the record that it made; a second one reuses the model and records the results again. An unequal way fails it.
    """
    first = sample.run("release", "--engine", "none", "--verify", "--ways", "process")
    again = sample.run("release", "--engine", "none", "--verify", "--ways", "process")
    otherwise = f'return [(3.0 if {BY_PREDICT} else 2.0) * x for x in model_input["x"]]'
    sample.train_with(training(predict=otherwise))
    unequal = sample.run("release", "--engine", "none", "--verify", "--ways", "locked-predict", traceback=True)
    audited = sample.run("audit", "models:/wine/2")

    assert [(0, ["process"]), (0, ["process"])] == [(each.code, each.outputs["equal"]) for each in (first, again)]
    assert "verify" in [timing["step"] for timing in first.answer["timings"]]
    assert (1, ["locked-predict"]) == (unequal.code, unequal.outputs["unequal"]), unequal.stderr
    assert "✗ verification" in unequal.stderr
    assert ("ways-unequal", []) == (audited.rules[-1], audited.outputs["broken"]), audited.stderr


@pytest.mark.extended
def test_the_commit_of_a_version_is_trained_again_as_a_project(sample: SampleProject) -> None:
    """
    In a copy of the commit and with its own store: what is edited since, and the store, have no part in it.

    A model that training does not repeat is said to differ.
    """
    without = sample.run("verify", "models:/wine/1", "--ways", "project", "--dry-run")
    (sample.folder / "MLproject").write_text('name: wine\nentry_points: {main: {command: "python train.py"}}\n')
    sample.commit()
    first = sample.run("release", "--engine", "none")
    runs = sample.store.runs
    (sample.folder / "train.py").write_text("raise SystemExit('edited since')")
    equal = sample.run("verify", "models:/wine/2", "--ways", "project")
    kept = sample.store.runs, (sample.folder / "train.py").read_text()
    salted = training(predict='return [SALT * x for x in model_input["x"]]')
    sample.train_with(f"import uuid\nSALT = float(uuid.uuid4().int % 10**9)\n{salted}")
    released = sample.run("release", "--engine", "none")
    other = sample.run("verify", "models:/wine/3", "--ways", "project")

    assert (1, ["way-unavailable"]) == (without.code, without.rules), without.stderr
    assert "the project has no MLproject file at the commit of the version" in without.stderr
    assert (0, ["project"]) == (first.code or equal.code, equal.outputs["equal"]), equal.stderr
    assert (runs, "raise SystemExit('edited since')") == kept
    assert (0, 1, ["project"]) == (released.code, other.code, other.outputs["unequal"]), other.stderr
    assert "the model that `mlflow run` trained again predicts otherwise" in other.stderr


def test_who_cancels_gets_the_ways_that_were_tried(sample: SampleProject, tmp_path: Path) -> None:
    """
    As JSON and JUnit XML, with an error; nothing is left running.
    """
    file = tmp_path / "ways.xml"
    ways = ("--ways", "locked-load process", "--junit-file", str(file))

    process = sample.start("verify", "models:/wine/1", *ways)
    assert happens(lambda: process.poll() is not None or any(map(SERVER.search, sample.processes())))
    process.send_signal(signal.SIGTERM)
    result = sample.ended(process)

    cancelled = result.answer["findings"][-1]
    assert (143, False, ["locked-load"]) == (result.code, result.answer["ok"], result.outputs["equal"]), result.stderr
    assert ("cancelled", "`process` was not tried") == (cancelled["rule"], cancelled["why"])
    assert ["locked-load"] == [case.get("name") for case in ET.parse(file).iter("testcase")]
    assert happens(lambda: not sample.processes()), sample.processes()


@pytest.mark.extended
@pytest.mark.engine
def test_the_image_of_a_version_is_equal(consumer: Consumer, engine_complaint: str) -> None:
    """
    In both protocols, each in a container of its own, which is isolated and removed.
    """
    assert not engine_complaint

    result = consumer.run("verify", "models:/wine/1", "--ways", "image image-v2")

    assert (0, ["image", "image-v2"], []) == (result.code, result.outputs["equal"], result.rules), result.stderr


@pytest.mark.engine
@pytest.mark.extended
def test_an_image_that_predicts_otherwise_is_named(sample: SampleProject, image: str) -> None:
    """
    It did not when it was tested: the value of a variable makes the difference, and only there.
    """
    otherwise = 'os.path.isdir("/opt/mlflow-uv") and os.environ["MODE"] == "other"'
    sample.train_with(training(predict=f'return [(3.0 if {otherwise} else 2.0) * x for x in model_input["x"]]'))
    released = sample.run(
        "release", "--engine", "any", "--image", image, "--serve-env", "MODE", variables={"MODE": "same"}
    )
    assert released.code == 0, released.stderr

    ways = ("--ways", "locked-load image", "--serve-env", "MODE")
    result = sample.run("verify", "models:/wine/2", *ways, variables={"MODE": "other"})

    assert (1, ["locked-load"], ["image"]) == (
        result.code, result.outputs["equal"], result.outputs["unequal"],
    ), result.stderr  # fmt: skip
    assert "$.predictions[0] is 3.0, expected is 2.0" in result.answer["findings"][0]["why"]


@pytest.mark.extended
def test_a_model_that_predicts_otherwise_in_v2_is_named(sample: SampleProject) -> None:
    """
    The same server gives the predictions of training in MLflow's protocol.
    """
    in_v2 = 'any("protocols/v2" in frame.filename for frame in __import__("traceback").extract_stack())'
    release(sample, predict=f'return [(3.0 if {in_v2} else 2.0) * x for x in model_input["x"]]')

    result = sample.run("verify", "models:/wine/2", "--ways", "process process-v2")

    assert (1, ["process"], ["process-v2"]) == (
        result.code, result.outputs["equal"], result.outputs["unequal"],
    ), result.stderr  # fmt: skip
    assert "request 1: $.predictions[0] is 3.0, expected is 2.0" in result.answer["findings"][0]["why"]


@pytest.mark.extended
def test_a_model_that_is_slow_or_prints_secrets_and_commands_harms_no_output(
    sample: SampleProject, tmp_path: Path
) -> None:
    """
    No variable of the caller reaches it, none that it was given is shown, and no line is a command of a runner.
    """
    release(
        sample,
        load=f"time.sleep(900 if {BY_PAYLOAD} and {VERIFIED} else 0)",
        predict=(
            f'if {VERIFIED}:\n            print("::warning::planted", flush=True)\n'
            '            lines = "\\x1b[31m\\0::error::planted\\n::set-output name=planted::"\n'
            "            raise ValueError(lines + str(dict(os.environ)))\n"
            '        return [2.0 * x for x in model_input["x"]]'
        ),
    )
    file = tmp_path / "ways.xml"
    given = {"VERIFIED_KEY": "canary-of-the-model"}
    caller = {
        "UV_INDEX_PRIVATE_PASSWORD": "canary-of-the-index", "MLFLOW_TRACKING_TOKEN": "canary-of-the-store",
        "GITHUB_TOKEN": "canary-of-the-runner", "AWS_SECRET_ACCESS_KEY": "canary-of-the-cloud",
    }  # fmt: skip

    ways = "locked-load locked-predict locked-serve process"
    result = sample.run(
        "verify", "models:/wine/2", "--ways", ways, "--serve-env", "VERIFIED_KEY", "--time-limit", "60",
        "--junit-file", str(file), variables={**caller, **given}, traceback=True,
    )  # fmt: skip

    assert (1, ways.split()) == (result.code, result.outputs["unequal"]), result.stderr
    (slow, *others) = (finding["why"] for finding in result.answer["findings"] if finding["rule"] == "way-failed")
    assert slow.startswith("it is too slow: `python")
    assert slow.endswith("did not respond within 60 s: it was stopped")
    assert [True] * 3 == ["planted" in why for why in others]
    assert 4 == len(list(ET.parse(file).iter("testcase")))
    everything = result.stdout + result.stderr + file.read_text()
    assert "canary" not in everything
    assert [] == [line for line in everything.splitlines() if line.strip().startswith("::")]


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
    assert (0, ways, ["not-isolated"]) == (result.code, result.outputs["equal"], result.rules), result.stderr


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

    rules = ["way-failed", "way-failed", "not-isolated"]
    assert (1, ["process"], rules) == (result.code, result.outputs["equal"], result.rules), result.stderr
    slow, writes, _ = (finding["why"] for finding in result.answer["findings"])
    assert "it is too slow: `python` did not end within 40 s: it was stopped" == slow
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
        finding["why"].partition(": ")[0] + ": " for finding in result.answer["findings"][:2]
    ]
    assert all("gone" in finding["why"] for finding in result.answer["findings"][:2]), result.stderr


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
