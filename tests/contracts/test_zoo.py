"""Models of many kinds: this program's server responds as MLflow's code, to every request that is derived for them."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.report import Finding
from mlflow_uv.core.model.derived_requests import derive_requests
from mlflow_uv.core.model.ignored_answers import ignored_paths
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin
from mlflow_uv.core.model.streams import requests_stream
from mlflow_uv.ops.image.serving_check import Expected, check_reply
from mlflow_uv.tools.mlflow.model_requests import ModelReply
from mlflow_uv.tools.mlflow.model_scan import suspicions
from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter, synced

# The training programs with their arguments, and the paths of answers that hold a time or an id.
OF_CODE: dict[str, tuple[str, ...]] = {
    "nested.py": (),
    "parameters.py": (),
    "text.py": (),
    "from_code.py": (),
    "stream.py": (),
    "frame.py": (),
    "chat.py": ("$.created", "$.id"),
    "agent.py": ("$.id", "$.output[*].id"),
}
IN_CORE = ("nested.py", "parameters.py")
OF_LIBRARIES = (
    "gaps.py",
    "dates.py",
    "scikit.py classifier skops",
    "scikit.py classifier cloudpickle",
    "scikit.py regressor skops",
    "scikit.py regressor cloudpickle",
    "boosted.py xgboost",
    "boosted.py booster",
    "boosted.py lightgbm",
    "regression.py",
    "tensors.py plain",
    "tensors.py named",
)
TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Zoo:
    """A process of the environment of all models, which logs them and responds to requests."""

    process: "subprocess.Popen[str]"
    log: Path

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to a question, of which the process prints one line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.log.read_text()[-3000:]
        answer: dict[str, Any] = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer


class QuietServer:
    """A server that runs, and has logged nothing."""

    def code(self) -> None:
        """It runs."""

    def log(self) -> str:
        """Nothing was logged."""
        return ""


@contextmanager
def zoo_of(python: Path, root: Path, folder: Path) -> Iterator[Zoo]:
    """The training programs in a folder, and a process of an environment that runs them."""
    project = shutil.copytree(root / "tests" / "zoo", folder / "project")
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            (python, root / "tests" / "contracts" / "serving_zoo.py"),
            cwd=project,
            env={**os.environ, **QUIET, "PYTHONPATH": str(root / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        yield Zoo(process=process, log=log)
        process.kill()


@pytest.fixture(scope="module")
def code_zoo(mlflow: MlflowInterpreter, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    """For models that need MLflow only, in the environment that other tests have."""
    with zoo_of(mlflow.python, root, tmp_path_factory.mktemp("zoo")) as zoo:
        yield zoo


@pytest.fixture(scope="module")
def library_zoo(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    """For models of libraries, in the environment of the lock beside their programs."""
    place = tmp_path_factory.mktemp("zoo")
    with zoo_of(synced(root / "tests" / "zoo", place / "environment"), root, place) as zoo:
        yield zoo


def recorded(bodies: list[tuple[str, str]], training: list[dict[str, Any]]) -> list[RecordedRequest]:
    """The requests with the responses of MLflow's code."""
    return [
        RecordedRequest(name=name, origin=RequestOrigin.DERIVED, body=body, **response)
        for (name, body), response in zip(bodies, training, strict=True)
    ]


def findings(requests: list[RecordedRequest], served: list[dict[str, Any]], paths: tuple[str, ...]) -> list[Finding]:
    """What `smoke-test` would say of these responses."""
    expected = Expected(
        requests=tuple(requests), tolerance=TOLERANCE, deadline_s=0, network=True, ignored=ignored_paths(paths)
    )
    server: Any = QuietServer()
    return [
        finding
        for request, response in zip(requests, served, strict=True)
        for finding in check_reply(request, ModelReply(**response), expected, server)
    ]


def require_equal(zoo: Zoo, command: str, paths: tuple[str, ...]) -> None:
    """The example is answered, and each derived request is answered alike or refused alike; something is refused."""
    logged = zoo.ask(log=command.split())
    derived = derive_requests(logged["signature"], logged["example"])
    # What requests a stream is answered by this program's server alone; see test_serving_streams.
    derived = tuple(request for request in derived if not requests_stream(request.body))
    bodies = [request.body for request in derived]
    responses = zoo.ask(respond={"model": logged["model"], "example": logged["example"], "derived": bodies})
    named = [("the example", json.dumps(logged["example"])), *((request.name, request.body) for request in derived)]
    requests = recorded(named, responses["training"])
    assert [] == findings(requests, responses["served"], paths)
    assert {200, 400} == {request.status for request in requests}
    # The same response with one plausible and wrong value is not that of training.
    wrong = [{**responses["served"][0], "body": responses["served"][0]["body"].replace("[", "[7, ", 1)}]
    assert ["answers-differ"] == [finding.rule for finding in findings(requests[:1], wrong, paths)]


@pytest.mark.installs
@pytest.mark.parametrize(
    "command",
    [pytest.param(command, marks=() if command in IN_CORE else pytest.mark.extended) for command in OF_CODE],
)
def test_the_server_responds_to_a_model_of_code_as_mlflow_does(code_zoo: Zoo, command: str) -> None:
    """
    Functions of text, tables and messages.
    """
    require_equal(code_zoo, command, OF_CODE[command])


@pytest.mark.extended
@pytest.mark.parametrize("command", OF_LIBRARIES)
def test_the_server_responds_to_a_model_of_a_library_as_mlflow_does(library_zoo: Zoo, command: str) -> None:
    """
    Tables with strings, gaps and dates, trees, regressions and tensors.
    """
    require_equal(library_zoo, command, ())


@pytest.mark.extended
@pytest.mark.parametrize("program", [*OF_CODE, *OF_LIBRARIES])
def test_no_model_of_the_zoo_is_suspicious(program: str, code_zoo: Zoo, library_zoo: Zoo) -> None:
    """
    The scan of pickles accepts what the libraries write, in the formats that MLflow saves models in.
    """
    zoo = code_zoo if program in OF_CODE else library_zoo

    model = Path(zoo.ask(log=program.split())["model"])

    assert () == suspicions(model)
