"""A model that Spark serves otherwise than training is found out, in a batch and in a stream."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.waiting import happens

from .sample_project import SampleProject, training

pytestmark = pytest.mark.usefixtures("java_program")
ON_SPARK = '"pyspark" in __import__("sys").modules'
WAYS = ["spark-batch", "spark-stream"]


def release(sample: SampleProject, predict: str) -> None:
    """Register a version of a model that predicts so."""
    sample.train_with(training(predict=predict))
    result = sample.run("release", "--steps", "log-model register")
    assert result.code == 0, result.stderr


def test_spark_answers_as_training_did(sample: SampleProject) -> None:
    """
    In a batch and in a stream that was restarted in the middle; Spark is installed once.
    """
    result = sample.run("verify", "models:/wine@candidate", "--ways", "spark")

    assert (0, WAYS, []) == (result.code, result.outputs["equal"], result.outputs["unequal"]), result.stderr


@pytest.mark.extended
def test_other_predictions_and_errors_on_spark_are_named(sample: SampleProject) -> None:
    """
    The value that differs, and the error of the worker, are in the report.
    """
    release(sample, f'return [(3.0 if {ON_SPARK} else 2.0) * x for x in model_input["x"]]')
    differs = sample.run("verify", "models:/wine/2", "--ways", "spark")
    release(sample, f'return [2.0 * x for x in model_input["x"]][: len({ON_SPARK} or [1]) * 9]')
    fails = sample.run("verify", "models:/wine/3", "--ways", "spark-batch")

    assert (1, WAYS, [*["way-different"] * 2, "not-isolated"]) == (
        differs.code,
        differs.outputs["unequal"],
        differs.rules,
    ), differs.stderr
    assert "$.predictions[0] is 3.0, expected is 2.0" in differs.stderr
    assert (1, ["spark-batch"], ["way-failed", "not-isolated"]) == (
        fails.code,
        fails.outputs["unequal"],
        fails.rules,
    ), fails.stderr
    assert "TypeError: object of type 'bool' has no len()" in fails.stderr


@pytest.mark.extended
def test_a_query_that_takes_too_long_is_ended(sample: SampleProject) -> None:
    """
    With Java and the workers of Python.
    """
    release(sample, f'time.sleep(900 if {ON_SPARK} else 0)\n        return [2.0 * x for x in model_input["x"]]')

    result = sample.run("verify", "models:/wine/2", "--ways", "spark-batch", "--time-limit", "60")

    assert (1, ["spark-batch"], "way-failed") == (result.code, result.outputs["unequal"], result.rules[0])
    assert "did not respond within 60 s: it was stopped" in result.answer["findings"][0]["why"]


@pytest.mark.extended
def test_a_cluster_runs_the_interpreter_of_the_model(sample: SampleProject, java_program: str, tmp_path: Path) -> None:
    """
    A standalone master with a worker whose own `python3` fails; the stream is restarted there, too.
    """
    created = sample.run("verify", "models:/wine/1", "--ways", "spark-batch", "--dry-run")
    assert created.code == 0, created.stderr
    spark = next((sample.consumer.home / "cache").glob("serving/*/lib/python*/site-packages/pyspark/bin/spark-class"))

    with cluster(spark, java_program, tmp_path) as master:
        result = sample.run("verify", "models:/wine/1", "--ways", "spark", "--spark-master", master)

    assert (0, WAYS) == (result.code, result.outputs["equal"]), result.stderr
    assert 2 == len(list((tmp_path / "work").glob("app-*"))), "both ways ran on the worker"


def has_started(process: "subprocess.Popen[bytes]", text: str, log: Path) -> bool:
    """Whether a program printed this, or ended."""
    return text in log.read_text(errors="replace") or process.poll() is not None


@contextmanager
def cluster(spark: Path, java: str, folder: Path) -> Iterator[str]:
    """A master and a worker on loopback, without a Python of their own; the URL of the master."""
    broken = folder / "bin" / "python3"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 9\n")
    broken.chmod(0o755)
    java_home = Path(java).resolve().parents[1]
    variables = {
        "PATH": f"{broken.parent}:/usr/bin:/bin", "JAVA_HOME": str(java_home), "SPARK_LOCAL_IP": "127.0.0.1",
        "LC_ALL": "C.UTF-8",  # Java reads its class path in the encoding of the locale
    }  # fmt: skip
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    place = ("--host", "127.0.0.1", "--webui-port", "0")
    commands = (
        ("org.apache.spark.deploy.master.Master", *place, "--port", str(port)),
        (
            "org.apache.spark.deploy.worker.Worker", *place, "--cores", "2", "--memory", "1500m",
            "--work-dir", str(folder / "work"), master,
        ),
    )  # fmt: skip
    with ExitStack() as stack:
        for number, command in enumerate(commands):
            log = folder / f"{number}.log"
            with log.open("wb") as file:
                process = subprocess.Popen((spark, *command), env=variables, stdout=file, stderr=file)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            started = ("I have been elected leader", "Successfully registered with master")[number]
            assert happens(partial(has_started, process, started, log)), log.read_text(errors="replace")
            assert process.poll() is None, log.read_text(errors="replace")
        yield master
