"""Contract: what the server, the health check and the inventory say, run by the packages the model is served with."""

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.serving_process import JSON, Served, ask
from tests.ports import free_port
from tests.waiting import CEILING_S, answers, happens, wait_until_up

MIB = 1 << 20


@pytest.fixture(scope="session")
def example(wine_model: Path) -> bytes:
    return (wine_model / "serving_input_example.json").read_bytes()


@pytest.fixture(scope="session")
def csv(example: bytes) -> bytes:
    table = json.loads(example)["dataframe_split"]
    return "\n".join(",".join(str(cell) for cell in row) for row in (table["columns"], *table["data"])).encode()


@pytest.fixture(scope="session")
def stock(mlflow: MlflowInterpreter, wine_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of MLflow's own server for the same model."""
    port = free_port()
    words = (mlflow.python, "-I", "-m", "uvicorn", "--port", str(port), "mlflow.pyfunc.scoring_server.app:app")
    variables = {**os.environ, "__pyfunc_model_path__": str(wine_model), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path_factory.mktemp("stock") / "log").open("w") as log:
        process = subprocess.Popen(words, env=variables, stdout=log, stderr=log)
        try:
            wait_until_up(lambda: answers(f"http://127.0.0.1:{port}/ping"), process, Path(log.name))
            yield port
        finally:
            process.kill()
            process.wait(CEILING_S)


@pytest.mark.parametrize("path", ["/ping", "/health", "/version", "/v2/health/live"])
def test_get_and_head_tell_that_it_is_there(wine: Served, path: str) -> None:
    """
    What GET answers, HEAD answers without a body; MLflow alone would say 405.
    """
    get, head = wine.ask("GET", path), wine.ask("HEAD", path)

    assert (200, 200, b"") == (get[0], head[0], head[2])


def test_it_answers_what_the_training_environment_answered(
    wine: Served, example: bytes, mlflow: MlflowInterpreter, wine_model: Path
) -> None:
    """
    The server and the payload `answer` say the same to the same request.
    """
    expected = mlflow.ask("answer", model=str(wine_model), requests=[json.loads(example)])["answers"][0]

    status, media_type, body = wine.ask("POST", "/invocations", example, JSON)

    assert (200, "application/json", expected) == (status, media_type, json.loads(body))


def test_it_answers_what_mlflows_own_server_answers(wine: Served, stock: int, example: bytes, csv: bytes) -> None:
    """
    Right and wrong requests alike, byte by byte, except where MLflow's own server fails with a 500.
    """
    table = json.loads(example)["dataframe_split"]
    records = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    bodies = [example, json.dumps({"dataframe_records": records}).encode(), b"{", b'{"instances": 5}', b'{"x": 1}']
    asked = [(body, JSON) for body in bodies] + [(csv, {"Content-Type": "text/csv"}), (b"x", {"Content-Type": "x/y"})]
    asked += [(example, {"Content-Type": "application/json; charset=latin-1"})]

    ours = [wine.ask("POST", "/invocations", *one) for one in asked]

    theirs = [ask(stock, "POST", "/invocations", *one) for one in asked]
    assert theirs[:4] + theirs[5:] == ours[:4] + ours[5:]
    assert [200, 200, 400, 400, 400, 200, 415, 415] == [status for status, _, _ in ours]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": ""}], ids=["none", "empty"])
def test_a_request_that_does_not_say_what_it_is_learns_what_to_say(
    wine: Served, example: bytes, headers: dict[str, str]
) -> None:
    """
    Without Content-Type it is a 415 that names what may be sent; MLflow alone would fail with a 500.
    """
    status, media_type, body = wine.ask("POST", "/invocations", example, headers)

    assert (415, "application/json", True) == (
        status,
        media_type,
        "application/json, text/csv" in json.loads(body)["message"],
    )


@pytest.mark.core_variants(6)
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
def test_malformed_input_is_the_clients_mistake(wine: Served, body: bytes) -> None:
    """
    A 4xx with a JSON error, whatever is wrong with the input.
    """
    status, media_type, reply = wine.ask("POST", "/invocations", body, JSON)

    assert (400, "application/json") == (status, media_type)
    assert json.loads(reply)["error_code"]


def test_other_content_types_are_answered_as_mlflow_does(wine: Served, csv: bytes) -> None:
    """
    CSV works, nonsense that claims to be Parquet is a 400, and what MLflow does not know is a 415.
    """
    kinds = [("text/csv", csv), ("application/vnd.apache.parquet", b"x"), ("image/png", b"x")]
    statuses = [wine.ask("POST", "/invocations", body, {"Content-Type": kind})[0] for kind, body in kinds]

    assert [200, 400, 415] == statuses


def test_what_is_compressed_is_refused(wine: Served, example: bytes) -> None:
    """
    Nobody reads Content-Encoding, so it is said instead of taking the bytes for broken JSON.
    """
    status, _, body = wine.ask("POST", "/invocations", example, {**JSON, "Content-Encoding": "gzip"})

    plain, _, _ = wine.ask("POST", "/invocations", example, {**JSON, "Content-Encoding": "Identity"})

    assert (415, True, 200) == (status, "Content-Encoding gzip" in json.loads(body)["message"], plain)


@contextmanager
def sending(port: int, *lines: str) -> Iterator[socket.socket]:
    """A connection on which the head of a request was sent, and nothing of its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=CEILING_S) as connection:
        connection.sendall("\r\n".join(("POST /invocations HTTP/1.1", "Host: x", *lines, "", "")).encode())
        yield connection


def answered(connection: socket.socket) -> tuple[int, str]:
    """Status and reason of a refusal."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())["message"]


def test_a_body_that_says_it_is_too_long_is_refused_unread(wine: Served) -> None:
    """
    413, with the limit, before a byte of the body was sent.
    """
    with sending(wine.port, "Content-Type: application/json", "Content-Length: 1000001") as connection:
        status, message = answered(connection)

    assert (413, "The request body is longer than BODY_LIMIT (1000000 bytes).") == (status, message)


def test_a_body_in_chunks_is_cut_off_at_the_limit(wine: Served) -> None:
    """
    Nobody says how long it will be: 413 as soon as it is too long, though the last chunk never comes.
    """
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with sending(wine.port, "Content-Type: text/csv", "Transfer-Encoding: chunked") as connection:
        for _ in range(16):
            connection.sendall(chunk)
        status, message = answered(connection)

    assert (413, True) == (status, "1000000 bytes" in message)


def test_a_client_that_sends_too_much_at_once_can_read_why(wine: Served) -> None:
    """
    The connection is not reset under its hands, the answer is there, and the server goes on.
    """
    status, _, _ = wine.ask("POST", "/invocations", b"x" * 8 * MIB, JSON)

    assert (413, 200) == (status, wine.ask("GET", "/ping")[0])


def test_an_answer_does_not_wait_for_an_acknowledgement(wine: Served) -> None:
    """
    On a connection that is kept, the second part of an answer goes out at once; with Nagle's algorithm it takes 40 ms.
    """
    connection = http.client.HTTPConnection("127.0.0.1", wine.port, timeout=CEILING_S)

    def took_s() -> float:
        begun = time.perf_counter()
        connection.request("GET", "/ping")
        connection.getresponse().read()
        return time.perf_counter() - begun

    for _ in range(10):  # the first acknowledgements are not delayed
        took_s()
    at_once = happens(lambda: took_s() < 0.03, within_s=60)
    connection.close()

    assert at_once


def test_the_health_check_tells_a_server_from_none(wine: Served, mlflow: MlflowInterpreter, serving: Path) -> None:
    """
    Exit status 0 where a server answers, 1 where none does, without any package; SageMaker's name of the port too.
    """

    def check(name: str, port: int) -> int:
        words = (mlflow.python, "-I", "-S", serving / "healthcheck.py")
        return subprocess.run(words, env={name: str(port)}, check=False, timeout=CEILING_S).returncode

    checked = [check("PORT", wine.port), check("SAGEMAKER_BIND_TO_PORT", wine.port), check("PORT", free_port())]

    assert [0, 0, 1] == checked


def test_the_inventory_is_what_pip_and_packaging_would_say(
    mlflow: MlflowInterpreter, serving: Path, wine_project: Path
) -> None:
    """
    Names and versions as uv lists them, markers as `packaging` evaluates them.
    """
    listed = subprocess.run(
        ["uv", "pip", "list", "--format", "json", "--python", mlflow.python],
        capture_output=True,
        text=True,
        check=True,
        timeout=CEILING_S,
    )
    program = "import json; from packaging.markers import default_environment; print(json.dumps(default_environment()))"
    markers = mlflow.run("-I", "-c", program, cwd=wine_project)

    inventory = json.loads(mlflow.run("-I", serving / "inventory.py", cwd=wine_project).stdout)

    assert json.loads(markers.stdout) == inventory["marker_environment"]
    assert [[one["name"], one["version"]] for one in json.loads(listed.stdout)] == inventory["installed"]
