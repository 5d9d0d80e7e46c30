"""Contract: what the server does with connections and requests that mean harm."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.serving_process import JSON, Served, Starter, scripted_model
from tests.sharing import SharedFolder
from tests.stores import servers_python
from tests.waiting import CEILING_S

HEAD_S = 0.5
PAGES = ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
# What an attacker hides in a request: it must never be answered.
HIDDEN = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def quick(start: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that waits for half a second only, for the head of a request."""
    model = scripted_model(tmp_path_factory.mktemp("quick") / "model")
    with start(model, HEAD_TIMEOUT=str(HEAD_S)) as served:
        yield served.ready()


@pytest.fixture(scope="module")
def patient(start: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the deadlines that it has by itself."""
    with start(scripted_model(tmp_path_factory.mktemp("patient") / "model")) as served:
        yield served.ready()


def connected(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=CEILING_S)


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answers(served: Served, raw: bytes) -> list[int]:
    """The statuses of all answers on one connection, which must end by itself."""
    with connected(served) as connection:
        connection.sendall(raw)
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", rest(connection))]


def post(*headers: str, body: str = "", version: str = "1.1") -> bytes:
    """A request, and behind it what an attacker hides."""
    lines = [f"POST /invocations HTTP/{version}", "Host: x", "Content-Type: application/json", *headers, "", body]
    return "\r\n".join(lines).encode("latin-1") + HIDDEN


def test_a_head_that_does_not_end_ends_its_connection(quick: Served) -> None:
    """
    Half a head, by as many clients as like, gets a sentence and no more connection; others are answered meanwhile.
    """
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(quick)) for _ in range(100)]
        for connection in connections:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nX-Half: ")
        meanwhile = quick.ask("GET", "/ping")[0]
        received = [rest(connection) for connection in connections]

    assert 200 == meanwhile
    assert {b"HTTP/1.1 408 Request Timeout"} == {text.split(b"\r\n")[0] for text in received}
    assert b"connection: close" in received[0]
    assert received[0].endswith(f"did not arrive within HEAD_TIMEOUT ({HEAD_S} s).".encode())


def test_byte_after_byte_buys_no_time(quick: Served) -> None:
    """
    The deadline is that of the whole head.
    """
    with connected(quick) as connection:
        connection.settimeout(HEAD_S / 20)
        received, sent = b"", 0
        while not received and sent < 1000:
            try:
                connection.sendall(b"G" if not sent else b"E")
                received = connection.recv(100)
            except TimeoutError:
                sent += 1

    assert received.startswith(b"HTTP/1.1 408 ")


def test_who_says_nothing_is_closed_without_a_word(quick: Served) -> None:
    """
    A connection that never says anything is no request that could be answered.
    """
    with connected(quick) as connection:
        received = rest(connection)

    assert b"" == received


def test_a_kept_connection_has_no_more_time_than_a_new_one(quick: Served) -> None:
    """
    After an answer the next head has the same deadline.
    """
    with connected(quick) as connection:
        connection.sendall(PING)
        first = connection.recv(65536)
        connection.sendall(PING[:20])
        second = rest(connection)

    assert [b"200", b"408"] == [text.split()[1] for text in (first, second)]


def test_a_body_that_nobody_reads_keeps_no_connection(quick: Served) -> None:
    """
    A GET is answered at once; the rest of its body does not come for ever.
    """
    with connected(quick) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab")
        first = connection.recv(65536)
        connection.sendall(b"c")
        second = rest(connection)

    assert (b"200", False) == (first.split()[1], b"HTTP" in second)


def test_a_slow_prediction_has_nothing_to_do_with_the_head(quick: Served) -> None:
    """
    Whose request was read whole is waited for.
    """
    assert 200 == quick.invoke({"seconds": 3 * HEAD_S})[0]


def test_there_are_as_many_connections_as_allowed(start: Starter, tmp_path: Path) -> None:
    """
    One more is told so, and let in again when another has gone.
    """
    with start(scripted_model(tmp_path / "model"), CONNECTIONS="3") as served:
        served.ready()
        with ExitStack() as stack:
            kept = [stack.enter_context(connected(served)) for _ in range(3)]
            for connection in kept:
                connection.sendall(PING)
                assert b" 200 " in connection.recv(65536)
            refused = answers(served, PING)
            kept[0].close()
            again = answers(served, HIDDEN)
            while again == [503]:  # it has not noticed yet
                again = answers(served, HIDDEN)

    assert ([503], [200]) == (refused, again)


@pytest.mark.parametrize(
    "raw",
    [
        post("Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
        post("Transfer-Encoding: chunked", "Content-Length: 5", body="0\r\n\r\n"),
        post("Content-Length: 5", "Transfer-Encoding:\r\n chunked", body="0\r\n\r\n"),
        post("Content-Length: 2", "Content-Length: 3", body="{}"),
        post("Content-Length: 2, 3", body="{}"),
        post("Content-Length: +2", body="{}"),
        post("Content-Length: -2", body="{}"),
        post("Content-Length: 0x2", body="{}"),
        post("Content-Length : 2", body="{}"),
        post("Transfer-Encoding: chunked, chunked", body="0\r\n\r\n"),
        post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
        post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body="0\r\n\r\n"),
        post("Transfer-Encoding: identity", body="{}"),
        post("Transfer-Encoding: xchunked", body="0\r\n\r\n"),
        post("Transfer-Encoding: \x0bchunked", body="0\r\n\r\n"),
        post("Transfer-Encoding: chunked", body="0\r\n\r\n", version="1.0"),
        post("Transfer-Encoding: chunked", body="z\r\n\r\n"),
        post("Transfer-Encoding: chunked", body="-1\r\n\r\n"),
        post("Transfer-Encoding: chunked", body="2\r\n{}xx0\r\n\r\n"),
        post("X-Bare: a\rContent-Length: 2", body="{}"),
        post("X-Nothing: a\x00b", "Content-Length: 2", body="{}"),
        post("Host: y", "Content-Length: 2", body="{}"),
        b"GET /ping HTTP/1.1\r\n\r\n" + HIDDEN,
        b"GET  /ping HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN,
        b"\x16\x03\x01\x02\x00\x01\x00" + HIDDEN,
    ],
    ids=lambda value: ascii(value)[24:90],
)
def test_a_request_with_two_ends_is_refused_and_its_connection_with_it(patient: Served, raw: bytes) -> None:
    """
    Where two readers would disagree on where a request ends, nothing behind it is taken for a request.
    """
    assert [400] == answers(patient, raw)


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n", {505}),
        (b"PRI * HTTP/2.0\r\nHost: x\r\n\r\nSM\r\n\r\n", {505}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
        # What comes in pieces is judged before it is whole.
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n", {400, 431}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 431}),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", {400, 431}),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_another_protocol_and_a_head_without_measure_are_refused(
    patient: Served, raw: bytes, statuses: set[int]
) -> None:
    """
    A version that this server does not speak, and more than 64 KiB before the body.
    """
    (status,) = answers(patient, raw + HIDDEN)

    assert status in statuses


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (PING + PING + HIDDEN, [200, 200, 200]),
        (b"GET /ping HTTP/1.0\r\n\r\n" + HIDDEN, [200]),
        (b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + HIDDEN, [200]),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Fold: a\r\n b\r\n\r\n" + HIDDEN, [200, 200]),
        (b"GET http://elsewhere.test/ping HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN, [404, 200]),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + HIDDEN, [200, 200]),
        (post("Content-Length: 2", "Content-Length: 2", body="{}"), [400, 200]),
        (post("Transfer-Encoding: chunked", body="2\r\n{}\r\n0\r\n\r\n"), [400, 200]),
    ],
    ids=lambda value: ascii(value)[24:90],
)
def test_a_request_with_one_end_leaves_the_next_one_whole(patient: Served, raw: bytes, statuses: list[int]) -> None:
    """
    What is merely unusual is answered, and what comes behind it is the next request.
    """
    assert statuses == answers(patient, raw)


@pytest.mark.parametrize("path", [*PAGES, *(f"{page}/" for page in PAGES), "/nowhere"])
def test_pages_that_describe_no_model_are_not_there(patient: Served, path: str) -> None:
    """
    FastAPI's own pages, two of which load scripts from elsewhere, are as unknown as any other path.
    """
    assert {"detail": "Not Found"} == json.loads(patient.ask("GET", path)[2])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nowhere", 404),
        ("GET", "/invocations", 405),
        ("DELETE", "/invocations", 405),
        ("POST", "/ping", 405),
        ("PUT", "/v2", 405),
        ("TRACE", "/ping", 405),
    ],
)
def test_other_paths_and_methods_are_refused(patient: Served, method: str, path: str, status: int) -> None:
    """
    404 for what is not there, 405 for what is asked in another way.
    """
    assert status == patient.ask(method, path)[0]


@pytest.fixture(scope="module")
def validator(shared: SharedFolder) -> Path:
    """The environment of the tests' own servers, which has a validator of OpenAPI and one of JSON Schema."""
    return servers_python(shared)


def test_the_document_is_of_this_model(start: Starter, wine_model: Path, validator: Path, tmp_path: Path) -> None:
    """
    With OPENAPI=1 the document is valid, and its schemas tell what the model takes from what it does not.
    """
    with start(wine_model, OPENAPI="1", MODEL_NAME="wine", MODEL_VERSION="3") as served:
        served.ready()
        status, media_type, body = served.ask("GET", "/openapi.json")
        refused = served.ask("POST", "/openapi.json")[0]
        example = json.loads((wine_model / "serving_input_example.json").read_bytes())
        answered = served.ask("POST", "/invocations", json.dumps(example).encode(), JSON)[2]
    document = json.loads(body)
    (tmp_path / "openapi.json").write_bytes(body)
    split = example["dataframe_split"]
    row = dict(zip(split["columns"], split["data"][0], strict=True))
    lacking = dict(list(row.items())[1:])
    verdicts = judged(
        validator,
        document,
        {
            "Request": [
                example,
                {"dataframe_records": [row]},
                {"inputs": [row]},
                {"dataframe_records": [lacking]},
                {"dataframe_records": [{**row, split["columns"][0]: "much"}]},
                {"rows": [row]},
                {"dataframe_records": [row], "dataframe_split": split},
            ],
            "Answer": [json.loads(answered), {"prediction": []}],
        },
    )

    checked = subprocess.run(
        [validator.parent / "openapi-spec-validator", tmp_path / "openapi.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (200, "application/json", 405) == (status, media_type, refused)
    assert 0 == checked.returncode, checked.stdout + checked.stderr
    assert ("wine", "3") == (document["info"]["title"], document["info"]["version"])
    assert {"Request": [True] * 3 + [False] * 4, "Answer": [True, False]} == verdicts


JUDGE = """
import json, sys
from jsonschema import Draft202012Validator
document = json.load(sys.stdin)
print(json.dumps({
    name: [
        Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document["document"]}).is_valid(one)
        for one in instances
    ]
    for name, instances in document["instances"].items()
}))
"""


def judged(python: Path, document: dict[str, Any], instances: dict[str, list[Any]]) -> dict[str, list[bool]]:
    """Whether each of the instances is one of the schema of that name."""
    done = subprocess.run(
        [python, "-I", "-c", JUDGE],
        input=json.dumps({"document": document, "instances": instances}),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


SIGNATURES = """
import datetime, json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property
from types import SimpleNamespace
from mlflow_uv_serving.protocols import openapi

columns = Schema([
    ColSpec("double", "size"),
    ColSpec("string", "name", required=False),
    ColSpec("datetime", "day"),
    ColSpec(Array(DataType.long), "list"),
    ColSpec(Object([Property("a", DataType.boolean), Property("b", DataType.string, required=False)]), "object"),
    ColSpec(Map(DataType.double), "map"),
])
params = ParamSchema([
    ParamSpec("top", DataType.long, 3),
    ParamSpec("since", DataType.datetime, np.datetime64("2020-01-01")),
    ParamSpec("stop", DataType.string, ["a"], shape=(-1,)),
])
tensors = Schema([TensorSpec(np.dtype("float32"), (-1, 2), "x"), TensorSpec(np.dtype("int64"), (-1,), "y")])
alone = Schema([TensorSpec(np.dtype("uint8"), (-1, 2, 2))])
models = {
    "columns": ModelSignature(columns, Schema([ColSpec("double", "answer")]), params),
    "tensors": ModelSignature(tensors, alone),
    "alone": ModelSignature(alone, Schema([ColSpec("double", "a"), ColSpec("string", "b")])),
    "none": None,
}
for name, signature in models.items():
    about = SimpleNamespace(
        get_input_schema=lambda: signature and signature.inputs,
        get_output_schema=lambda: signature and signature.outputs,
        get_params_schema=lambda: signature and signature.params,
    )
    models[name] = openapi.document(about, SimpleNamespace(name=name, version=""))
print(json.dumps(models, allow_nan=False))
"""


def test_every_kind_of_signature_has_a_document(start: Starter, serving: Path, validator: Path, tmp_path: Path) -> None:
    """
    Columns, tensors with and without names, parameters, types made of others, and no signature at all.
    """
    (tmp_path / "mlflow_uv_serving").symlink_to(serving)
    done = start.mlflow.run("-c", SIGNATURES, str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    documents = json.loads(done.stdout)
    whole = {
        "size": 1.5,
        "name": None,
        "day": "2020-01-01T00:00:00Z",
        "list": [1],
        "object": {"a": True},
        "map": {"k": 1},
    }
    params = {"top": 1, "since": "2020-01-01T00:00:00Z", "stop": ["x"]}

    verdicts = {
        name: judged(validator, documents[name], {"Request": given, "Answer": taken})
        for name, given, taken in (
            (
                "columns",
                [
                    {"dataframe_records": [whole], "params": params},
                    {"inputs": {"size": [1], "list": [[1]]}},
                    {"dataframe_records": [{**whole, "map": {"k": "v"}}]},
                    {"dataframe_records": [whole], "params": {"top": "much"}},
                ],
                [{"predictions": [1.5]}, {"predictions": [{"answer": 1.5}]}, {"predictions": ["x"]}],
            ),
            (
                "tensors",
                [
                    {"inputs": {"x": [[1, 2]], "y": [1]}},
                    {"instances": [{"x": [1, 2], "y": 1}]},
                    {"inputs": {"x": [[1]], "y": [1]}},
                ],
                [{"predictions": [[[1, 2], [3, 4]]]}, {"predictions": [[[1, 2], [3, -4]]]}],
            ),
            (
                "alone",
                [{"inputs": [[[1, 2], [3, 4]]]}, {"instances": [[[1, 2], [3, 4]]]}, {"inputs": [[1, 2]]}],
                [{"predictions": [{"a": 1, "b": "x"}]}, {"predictions": [1]}],
            ),
            ("none", [{"inputs": "x"}, {"dataframe_records": 1}, {}], [{"predictions": 1}, {}]),
        )
    }  # fmt: skip

    assert {
        "columns": {"Request": [True, True, False, False], "Answer": [True, True, False]},
        "tensors": {"Request": [True, True, False], "Answer": [True, False]},
        "alone": {"Request": [True, True, False], "Answer": [True, False]},
        "none": {"Request": [True, True, False], "Answer": [True, False]},
    } == verdicts
    for name, document in documents.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(document))
        subprocess.run([validator.parent / "openapi-spec-validator", file], check=True, capture_output=True)


def test_who_started_it_wrongly_is_told(start: Starter, tmp_path: Path) -> None:
    """
    A deadline of nothing and a limit of none are mistakes.
    """
    model = scripted_model(tmp_path / "model")

    ends = []
    for variables in ({"HEAD_TIMEOUT": "0"}, {"CONNECTIONS": "0"}, {"OPENAPI": "yes"}):
        with start(model, **variables) as served:
            ends.append((served.end(), served.last_line().partition("=")[0]))

    assert [(2, "HEAD_TIMEOUT"), (2, "CONNECTIONS"), (2, "OPENAPI")] == ends
