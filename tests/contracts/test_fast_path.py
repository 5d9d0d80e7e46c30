"""
Contract: with the fast path the server answers every request as MLflow's own code does, byte by byte.

The corpus compares both in one process: statuses, media types, bodies and, through the models' answers, what each model
saw of its input. `bin/test --extended` compares ten times as many requests, and older versions of MLflow.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter, synced
from tests.contracts.scoring_requests import KEPT, request
from tests.contracts.serving_process import JSON, Starter
from tests.waiting import CEILING_S

Corpus = Callable[..., dict[str, Any]]
CORE, LARGE, PROCESSES = 20_000, 200_000, 2
FLOATS, MANY_FLOATS = 200_000, 1_000_000
SEED = 1
FAULTS = (
    "float32 columns stay float64",
    "int32 columns become int64",
    "null becomes zero",
    "null in text becomes a word",
    "floats are accepted as integers",
    "large integers are accepted",
    "rows lie in memory one after the other",
    "negative zero loses its sign",
    "the order of the request is kept",
    "the model gets what messages show",
    "the model gets other values",
    "parameters are lost",
    "floats are written with 15 digits",
    "floats are read with 15 digits",
    "small floats are written without an exponent",
    "numbers that need an exponent change places",
    "numbers are written without spaces",
    "the members of a record change places",
    "the values of a record change places",
    "null becomes zero in answers",
    "null is written as null",
    "integers are written as floats",
    "float32 is written with its own digits",
    "arrays lie row after row",
    "names keep letters that are not ASCII",
)
MODEL = """
import sys
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
Model(
    signature=ModelSignature(Schema([ColSpec(DataType.double, "x"), ColSpec(DataType.double, "y")])),
    flavors={"python_function": {"loader_module": "told", "code": "code"}},
).save(sys.argv[1])
"""
LOADER = """
class Told:
    def predict(self, frame):
        return frame.to_dict("list")

def _load_pyfunc(path):
    return Told()
"""


def conversing(python: Path, corpus: Path, serving: Path) -> "Iterator[Corpus]":
    """A process that compares, with a function that tells it what."""
    with subprocess.Popen(
        [python, "-I", corpus, serving, "--converse"],
        env={**os.environ, **QUIET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        writing, reading = process.stdin, process.stdout

        def compare(**command: Any) -> dict[str, Any]:
            writing.write(json.dumps(command) + "\n")
            writing.flush()
            return dict(json.loads(reading.readline()))

        yield compare
        process.communicate(timeout=CEILING_S)


@pytest.fixture(scope="module")
def corpus(root: Path, mlflow: MlflowInterpreter, serving: Path) -> "Iterator[Corpus]":
    """The corpus with the MLflow of examples/wine."""
    yield from conversing(mlflow.python, root / "tests" / "contracts" / "fast_path_corpus.py", serving)


def compared_floats(root: Path, mlflow: MlflowInterpreter, serving: Path, count: int, **variables: str) -> Any:
    """How the server and the standard library of an interpreter read and write floats."""
    script = root / "tests" / "contracts" / "float_texts.py"
    isolation = "-s" if variables else "-I"
    compared = mlflow.run(isolation, script, serving, str(SEED), str(count), cwd=root, **variables)
    assert 0 == compared.returncode, compared.stderr
    return json.loads(compared.stdout)


def read_fast(result: dict[str, Any]) -> dict[str, int]:
    """How many requests of each model the fast path read."""
    paths = ((*key.split(": ", 1), count) for key, count in result["read"].items())
    return {model: count for path, model, count in paths if path == "fast"}


def test_every_answer_is_the_same_with_the_fast_path(corpus: Corpus) -> None:
    """
    Kept and generated requests, valid and invalid, of every format to models of every kind of signature.
    """
    result = corpus(seed=SEED, requests=CORE)

    fast = read_fast(result)
    assert [] == result["differences"]
    assert result["requests"] > CORE * 0.98
    assert {"columns of double", "columns of float", "columns of string", "mixed", "many", "optional", "parameters",
            "tensor of doubles", "tensor of bytes", "named tensors"} <= fast.keys()  # fmt: skip
    assert sum(fast.values()) > CORE / 5


@pytest.mark.extended
def test_ten_times_as_many_answers_are_the_same(root: Path, mlflow: MlflowInterpreter, serving: Path) -> None:
    """
    Other requests than those of the core suite, on two processors.
    """
    script = root / "tests" / "contracts" / "fast_path_corpus.py"
    with ExitStack() as opened, ThreadPoolExecutor(PROCESSES) as pool:
        corpora = [
            opened.enter_context(contextmanager(conversing)(mlflow.python, script, serving)) for _ in range(PROCESSES)
        ]
        running = [
            pool.submit(corpus, seed=SEED + 1 + number, requests=LARGE // PROCESSES)
            for number, corpus in enumerate(corpora)
        ]
        results = [each.result() for each in running]

    assert [[]] * PROCESSES == [result["differences"] for result in results]
    assert sum(result["requests"] for result in results) > LARGE * 0.98


@pytest.mark.extended
@pytest.mark.parametrize("version", ["2.22", "3.1"])
def test_older_mlflow_answers_the_same(root: Path, serving: Path, tmp_path: Path, version: str) -> None:
    """
    The fast path has the results of MLflow's functions as older versions and pandas 2 have them.
    """
    python = synced(root / "tests" / "older" / f"mlflow-{version}", tmp_path / "environment", "--no-install-project")

    for compare in conversing(python, root / "tests" / "contracts" / "fast_path_corpus.py", serving):
        result = compare(seed=SEED, requests=CORE)

    assert [] == result["differences"]
    assert sum(read_fast(result).values()) > CORE / 5


def test_floats_are_read_and_written_as_the_standard_library_does(
    root: Path, mlflow: MlflowInterpreter, serving: Path
) -> None:
    """
    Texts near the middle of two floats, of any length and magnitude, and texts about which parsers of JSON disagree.
    """
    result = compared_floats(root, mlflow, serving, FLOATS)

    assert {"version": result["version"], "used": True, "count": FLOATS, "differences": []} == result


@pytest.mark.extended
@pytest.mark.parametrize(
    ("version", "used"),
    [("2.10.1", False), *((f"2.{minor}", True) for minor in (14.6, 16.3, 20.1, 27.2, 33.2, 41.5, "46.0", 50.4))],
)
def test_each_supported_reader_of_json_has_the_same_floats(
    root: Path, mlflow: MlflowInterpreter, serving: Path, tmp_path: Path, version: str, *, used: bool
) -> None:
    """
    The oldest and the newest version of pydantic-core that the server uses, some between them, and one that is older.
    """
    install = ("uv", "pip", "install", "--quiet", "--python", mlflow.python, "--target", tmp_path, "--no-deps")
    subprocess.run([*install, f"pydantic-core=={version}"], check=True, timeout=CEILING_S)

    result = compared_floats(root, mlflow, serving, MANY_FLOATS, PYTHONPATH=str(tmp_path))

    assert {"version": version, "used": used, "count": MANY_FLOATS, "differences": []} == result


def test_requests_that_hypothesis_looks_for_are_answered_the_same(corpus: Corpus) -> None:
    """
    Where they are not, the smallest such request is shown.
    """
    models = corpus(describe=True)["models"]

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(sorted(models)), st.randoms(use_true_random=False))
    def compared(model: str, random: Random) -> None:
        body, media = request(random, models[model])
        result = corpus(given=[[model, 20, body.decode("latin-1"), media]])
        assert [] == result["differences"]

    compared()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_fast_path_is_found(corpus: Corpus, fault: str) -> None:
    """
    A wrong type, a lost null, another text of a float and the like differ in the corpus.
    """
    result = corpus(seed=SEED, requests=500, fault=fault)

    assert 1 == len(result["differences"])


def test_every_planted_fault_is_tested(corpus: Corpus) -> None:
    """
    The list of this module is that of the corpus.
    """
    assert list(FAULTS) == corpus(describe=True)["faults"]


@pytest.mark.parametrize("version", ["2.20.4", "3.18.0", "4.0.0"])
def test_a_version_that_was_not_compared_is_left_alone(corpus: Corpus, version: str) -> None:
    """
    An MLflow that is older or newer than those of the corpus reads every request itself.
    """
    result = corpus(seed=SEED, requests=0, version=version)

    assert len(KEPT) <= result["requests"]
    assert ({}, []) == (result["read"], result["differences"])


@pytest.fixture(scope="module")
def told(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with two columns that answers with its input."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "code").mkdir()
    (folder / "code" / "told.py").write_text(LOADER)
    made = mlflow.run("-c", MODEL, folder / "MLmodel", cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize(("fast", "counted"), [("1", {"fast": 2.0, "mlflow": 1.0}), ("0", {})])
def test_the_switch_and_the_metric(start: Starter, told: Path, fast: str, counted: dict[str, float]) -> None:
    """
    The metric counts by path, and with FAST=0 MLflow reads everything; the answers are the same.
    """
    plain = json.dumps({"dataframe_split": {"columns": ["y", "x"], "data": [[1, 0.1], [None, 1e300]]}}).encode()
    odd = json.dumps({"dataframe_records": [{"x": "1.5", "y": True}]}).encode()
    with start(told, FAST=fast, METRICS="1") as served:
        served.ready()
        answers = [served.ask("POST", "/invocations", body, JSON) for body in (plain, odd, plain)]
        metrics = served.ask("GET", "/metrics")[2].decode()

    read = 'mlflow_uv_json_requests_total{path="'
    lines = [line.removeprefix(read) for line in metrics.splitlines() if line.startswith(read)]
    expected = {"predictions": {"x": [0.1, 1e300], "y": [1.0, float("nan")]}}
    assert json.dumps(expected) == answers[0][2].decode()
    assert b'{"predictions": {"x": [1.5], "y": [1.0]}}' == answers[1][2]
    assert counted == {path: float(number) for path, _, number in (line.partition('"} ') for line in lines)}
