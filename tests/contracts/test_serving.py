"""Contract: what the server, the health check and the inventory do, run by the packages the model is served with."""

import http.client
import json
import os
import signal
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.contracts.islands import Mlflow, free_port, wait_for

SECONDS = 90
Answer = tuple[int, str, bytes]
Start = Callable[..., AbstractContextManager[tuple[subprocess.Popen[bytes], int, Path]]]
JSON = {"Content-Type": "application/json"}
SLOW = textwrap.dedent("""
    import pathlib, time

    class Model:
        def predict(self, frame):
            pathlib.Path(frame["entered"][0]).touch()
            while not pathlib.Path(frame["leave"][0]).exists():
                time.sleep(0.01)
            return ["slowly"]

    def _load_pyfunc(path):
        return Model()
""")


@pytest.fixture(scope="session")
def serving(root: Path) -> Path:
    return root / "src" / "mlflow_uv" / "serving"


@pytest.fixture(scope="session")
def start(mlflow: Mlflow, serving: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start the server for a model in an empty folder; the value knows its port and where its words go."""

    @contextmanager
    def started(model: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
        folder = tmp_path_factory.mktemp("serving")
        port = free_port()
        with (folder.parent / f"{folder.name}.log").open("w") as log:
            process = subprocess.Popen(
                [mlflow.python, "-I", serving / "server.py"],
                cwd=folder,
                env={**os.environ, "MLFLOW_UV_MODEL": str(model), "HOST": "127.0.0.1", "PORT": str(port), **variables},
                stdout=log,
                stderr=log,
            )
            try:
                yield process, port, Path(log.name)
            finally:
                process.kill()
                process.wait(SECONDS)

    return started


@pytest.fixture(scope="session")
def wine(start: Start, wine_model: Path) -> Iterator[int]:
    """The port of a server for the wine model."""
    with start(wine_model) as (process, port, _):
        wait_for(f"http://127.0.0.1:{port}/ping", process)
        yield port


@pytest.fixture(scope="session")
def example(wine_model: Path) -> bytes:
    return (wine_model / "serving_input_example.json").read_bytes()


def ask(port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """Status, media type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.putrequest(method, path)
        for name, value in {**(headers or {}), "Content-Length": str(len(body or b""))}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, (response.getheader("content-type") or "").split(";")[0], response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_get_and_head_tell_that_it_is_there(wine: int, path: str) -> None:
    """
    What GET answers, HEAD answers without a body; MLflow alone would say 405.
    """
    get, head = ask(wine, "GET", path), ask(wine, "HEAD", path)

    assert (200, 200, b"") == (get[0], head[0], head[2])


def test_it_answers_what_the_training_environment_answered(
    wine: int, example: bytes, mlflow: Mlflow, wine_model: Path
) -> None:
    """
    The server and the payload `answer` say the same to the same request.
    """
    expected = mlflow.ask("answer", model=str(wine_model), requests=[json.loads(example)])["answers"][0]

    status, media_type, body = ask(wine, "POST", "/invocations", example, JSON)

    assert (200, "application/json", expected) == (status, media_type, json.loads(body))


def test_a_request_that_does_not_say_what_it_is_is_json(wine: int, example: bytes) -> None:
    """
    Without Content-Type the answer is the same as with it; MLflow alone would fail with a 500.
    """
    said, unsaid = ask(wine, "POST", "/invocations", example, JSON), ask(wine, "POST", "/invocations", example)

    assert said == unsaid


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b"\xff",
        b'{"nothing": "known"}',
        b'{"dataframe_split": 1}',
        b'{"dataframe_split": {"data": 3}}',
        b'{"dataframe_records": [{"unknown": 1}]}',
        b'{"instances": 5}',
        b'{"inputs": {"a": [1, 2], "b": [1]}}',
        b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_malformed_input_is_the_clients_mistake(wine: int, body: bytes) -> None:
    """
    A 4xx with a JSON error, whatever is wrong with the input.
    """
    status, media_type, said = ask(wine, "POST", "/invocations", body, JSON)

    assert (400, "application/json") == (status, media_type)
    assert json.loads(said)["error_code"]


def test_other_content_types_are_answered_as_mlflow_does(wine: int, wine_model: Path) -> None:
    """
    CSV works, nonsense that claims to be Parquet is a 400, and what MLflow does not know is a 415.
    """
    example = json.loads((wine_model / "serving_input_example.json").read_text())["dataframe_split"]
    rows = [example["columns"], *example["data"]]
    csv = "\n".join(",".join(str(cell) for cell in row) for row in rows).encode()

    kinds = [("text/csv", csv), ("application/vnd.apache.parquet", b"x"), ("image/png", b"x")]
    statuses = [ask(wine, "POST", "/invocations", body, {"Content-Type": kind})[0] for kind, body in kinds]

    assert [200, 400, 415] == statuses


def test_the_health_check_tells_a_server_from_none(wine: int, mlflow: Mlflow, serving: Path) -> None:
    """
    Exit status 0 where a server answers, 1 where none does, without any package.
    """

    def check(port: int) -> int:
        words = (mlflow.python, "-I", serving / "healthcheck.py")
        return subprocess.run(words, env={"PORT": str(port)}, check=False, timeout=SECONDS).returncode

    assert [0, 1] == [check(wine), check(free_port())]


def test_a_model_that_cannot_be_loaded_ends_the_server_at_once(start: Start, tmp_path: Path) -> None:
    """
    No server stays up without a model: it ends with a status of its own and the reason in its last line.
    """
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nobody_has_this\n")

    with start(tmp_path) as (process, _, log):
        code = process.wait(SECONDS)
        last = log.read_text().strip().splitlines()[-1]

    assert 3 == code
    assert f"The model in {tmp_path} cannot be served: ModuleNotFoundError: No module named 'nobody_has_this'" == last


def test_being_told_to_stop_lets_requests_in_flight_finish(start: Start, tmp_path: Path) -> None:
    """
    After SIGTERM a request that is being answered still gets its answer, new ones are refused, and the status is 0.
    """
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "code" / "slow_loader.py").write_text(SLOW)
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: slow_loader\n    code: code\n")
    entered, leave = tmp_path / "entered", tmp_path / "leave"
    request = json.dumps({"dataframe_records": [{"entered": str(entered), "leave": str(leave)}]}).encode()
    answers: list[Answer] = []

    with start(model) as (process, port, log):
        wait_for(f"http://127.0.0.1:{port}/ping", process)
        asking = threading.Thread(target=lambda: answers.append(ask(port, "POST", "/invocations", request)))
        asking.start()
        until(entered.exists)
        process.send_signal(signal.SIGTERM)
        until(lambda: "Shutting down" in log.read_text())
        leave.touch()
        asking.join(SECONDS)
        code = process.wait(SECONDS)

    assert [(200, "application/json", b'{"predictions": ["slowly"]}')] == answers
    assert 0 == code


def test_several_workers_stand_and_fall_together(start: Start, wine_model: Path, example: bytes) -> None:
    """
    WORKERS=2 answers on one port, and when one worker dies the whole server ends, so that somebody restarts it.
    """
    with start(wine_model, WORKERS="2") as (process, port, _):
        wait_for(f"http://127.0.0.1:{port}/ping", process)
        status, _, _ = ask(port, "POST", "/invocations", example, JSON)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        worker = next(int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes())
        os.kill(worker, signal.SIGKILL)
        code = process.wait(SECONDS)

    assert (200, True) == (status, code != 0)


def test_the_inventory_is_what_pip_and_packaging_would_say(mlflow: Mlflow, serving: Path, wine_project: Path) -> None:
    """
    Names and versions as uv lists them, markers as `packaging` evaluates them.
    """
    listed = subprocess.run(
        ["uv", "pip", "list", "--format", "json", "--python", mlflow.python],
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    program = "import json; from packaging.markers import default_environment; print(json.dumps(default_environment()))"
    markers = mlflow.run("-I", "-c", program, cwd=wine_project)

    inventory = json.loads(mlflow.run("-I", serving / "inventory.py", cwd=wine_project).stdout)

    assert json.loads(markers.stdout) == inventory["marker_environment"]
    assert [[one["name"], one["version"]] for one in json.loads(listed.stdout)] == inventory["installed"]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
