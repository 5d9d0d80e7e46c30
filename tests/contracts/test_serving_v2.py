"""Contract: the V2 (Open Inference) protocol, asked by hand and by Triton's own client, judged by MLflow's answers."""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter, synced
from tests.contracts.serving_process import Served, ask
from tests.ports import free_port
from tests.waiting import CEILING_S, answers, wait_until_up

Infer = Callable[..., tuple[int, dict[str, Any]]]
WINE = "/v2/models/wine"
# What a client of Triton does: it asks for everything in binary unless it is told otherwise.
TRITON = """
import json, sys
import numpy as np
from tritonclient import http
url, models_url, rows = sys.argv[1], sys.argv[2], np.array(json.loads(sys.argv[3]))
client = http.InferenceServerClient(url)
results = [client.is_server_live(), client.is_server_ready(), client.is_model_ready("wine"),
        client.is_model_ready("wine", "3"), client.is_model_ready("beer"),
        client.get_server_metadata()["extensions"], client.get_model_metadata("wine")["inputs"][0]["datatype"]]
def infer(client, model, array, datatype, *, binary, outputs=None):
    given = http.InferInput("input-0", list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return client.infer(model, [given], outputs=outputs, request_id="7")
asked = [http.InferRequestedOutput("output-0", binary_data=False)]
for binary, outputs in ((True, None), (False, None), (False, asked)):
    answer = infer(client, "wine", rows, "FP64", binary=binary, outputs=outputs)
    results.append([answer.get_response()["id"], answer.as_numpy("output-0").tolist()])
words = np.array(["a", "\\u00e9"], dtype=object)
for binary in (True, False):
    answer = infer(http.InferenceServerClient(models_url), "hinted", words, "BYTES", binary=binary).as_numpy("output-0")
    results.append([one.decode() if isinstance(one, bytes) else one for one in answer])
try:
    infer(client, "wine", rows[:, 1:], "FP64", binary=True)
except http.InferenceServerException as error:
    results.append([error.status(), error.message()])
print(json.dumps(results))
"""


def tensor(
    name: str, datatype: str, data: list[Any], shape: list[int] | None = None, **parameters: Any
) -> dict[str, Any]:
    """A tensor of a request."""
    tensor = {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data}
    return {**tensor, "parameters": parameters} if parameters else tensor


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("v2-models") / "expected.json"


@pytest.fixture(scope="session")
def v2_port(root: Path, mlflow: MlflowInterpreter, serving: Path, expected: Path) -> Iterator[int]:
    """The port behind which models of many kinds are; see v2_models.py."""
    port = free_port()
    program = root / "tests" / "contracts" / "v2_models.py"
    with expected.with_name("log").open("w") as log:
        words = (mlflow.python, "-I", program, serving, str(port), expected)
        process = subprocess.Popen(words, cwd=expected.parent, stdout=log, stderr=log)
        try:
            wait_until_up(lambda: answers(f"http://127.0.0.1:{port}/v2"), process)
            yield port
        finally:
            process.kill()
            process.wait(CEILING_S)


@pytest.fixture
def infer(v2_port: int) -> Infer:
    """Ask one of the models; status and answer."""

    def asked(model: str, *inputs: dict[str, Any], **more: Any) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"inputs": list(inputs), **more}).encode()
        status, media_type, answer = ask(v2_port, "POST", f"/v2/models/{model}/infer", body)
        assert media_type == "application/json"
        return status, json.loads(answer)

    return asked


@pytest.fixture(scope="session")
def rows(wine_model: Path) -> dict[str, Any]:
    """Columns and data of the model's own example."""
    example = json.loads((wine_model / "serving_input_example.json").read_text())
    return dict(example["dataframe_split"])


@pytest.fixture(scope="session")
def predictions(mlflow: MlflowInterpreter, wine_model: Path, rows: dict[str, Any]) -> list[int]:
    """What the training environment answers to the example."""
    answer = mlflow.ask("answer", model=str(wine_model), requests=[{"dataframe_split": rows}])["answers"][0]
    return list(answer["predictions"])


def test_the_server_and_the_model_describe_themselves(wine: Served, rows: dict[str, Any]) -> None:
    """
    Server, health, readiness and metadata, the latter from the model's signature.
    """
    paths = ("/v2", "/v2/health/live", "/v2/health/ready", f"{WINE}/ready", f"{WINE}/versions/3/ready", WINE)

    answers = [wine.ask("GET", path) for path in paths]

    assert {(200, "application/json")} == {answer[:2] for answer in answers}
    server, live, ready, model_ready, _, model = (json.loads(body) for _, _, body in answers)
    assert ("mlflow-uv", True, True, True) == (server["name"], live["live"], ready["ready"], model_ready["ready"])
    assert ("wine", ["3"]) == (model["name"], model["versions"])
    assert [(name, "FP64", [-1]) for name in rows["columns"]] == [
        (one["name"], one["datatype"], one["shape"]) for one in model["inputs"]
    ]
    assert [("output-0", "INT64", [-1])] == [(one["name"], one["datatype"], one["shape"]) for one in model["outputs"]]


@pytest.mark.parametrize("where", [WINE, f"{WINE}/versions/3"])
@pytest.mark.parametrize("way", ["columns", "column-vectors", "table"])
def test_the_answer_is_that_of_the_training_environment(
    wine: Served, rows: dict[str, Any], predictions: list[int], way: str, where: str
) -> None:
    """
    A tensor for each column, of either shape, or one table whose columns are the model's in their order.
    """
    data, count = rows["data"], len(rows["data"])
    by_column = [
        tensor(name, "FP64", [row[at] for row in data], [count, 1] if way == "column-vectors" else None)
        for at, name in enumerate(rows["columns"])
    ]
    table = [tensor("input-0", "FP64", data, [count, len(rows["columns"])])]
    request = {"id": "one", "inputs": table if way == "table" else by_column[::-1]}

    status, _, body = wine.ask("POST", f"{where}/infer", json.dumps(request).encode())

    output = tensor("output-0", "INT64", predictions, content_type="np")
    assert (200, {"model_name": "wine", "model_version": "3", "id": "one", "outputs": [output]}) == (
        status,
        json.loads(body),
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/beer", 404),
        ("GET", "/v2/models/beer/ready", 404),
        ("POST", "/v2/models/beer/infer", 404),
        ("GET", f"{WINE}/versions/4", 404),
        ("POST", f"{WINE}/versions/4/infer", 404),
        ("GET", "/v2/repository/index", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", f"{WINE}/infer", 405),
        ("POST", WINE, 405),
        ("DELETE", "/v2", 405),
    ],
)
def test_what_is_not_there_is_said_in_the_protocols_form(wine: Served, method: str, path: str, status: int) -> None:
    """
    `{"error": "..."}` with the status that HTTP has for it.
    """
    answered, media_type, body = wine.ask(method, path, b"{}" if method == "POST" else None)

    assert (status, "application/json", ["error"]) == (answered, media_type, list(json.loads(body)))


X = tensor("which", "BYTES", ["scalar"])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "The request is not an object"),
        (b"{}", "is not a non-empty list"),
        (b'{"inputs": []}', "is not a non-empty list"),
        (b'{"inputs": [1]}', "An input is not an object"),
        (b'{"inputs": [null]}', "An input is not an object"),
        ({"inputs": [X], "parameters": 3}, "parameters of the request is not an object"),
        ({"inputs": [X, X]}, "same name"),
        ({"inputs": [X], "outputs": [{"name": "no"}]}, "no output 'no'"),
        ({"inputs": [X], "outputs": 3}, "outputs are not a list"),
        ({"inputs": [{**X, "name": ""}]}, "needs a name"),
        ({"inputs": [{**X, "datatype": "FLOAT"}]}, "datatype 'FLOAT'"),
        ({"inputs": [{**X, "datatype": ["BYTES"]}]}, "datatype ['BYTES']"),
        ({"inputs": [{**X, "shape": "2"}]}, "shape is not a list"),
        ({"inputs": [{**X, "shape": [-1]}]}, "shape is not a list"),
        ({"inputs": [{**X, "shape": [2]}]}, "does not fit 1 elements"),
        ({"inputs": [{**X, "shape": []}]}, "is a scalar"),
        ({"inputs": [{**X, "data": "scalar"}]}, "data is not a list"),
        ({"inputs": [{**X, "data": None}]}, "data is not a list"),
        ({"inputs": [tensor("which", "FP32", ["1"])]}, "FP32 cannot hold str"),
        ({"inputs": [tensor("which", "INT8", [1.5])]}, "INT8 cannot hold float"),
        ({"inputs": [tensor("which", "INT8", [True])]}, "INT8 cannot hold bool"),
        ({"inputs": [tensor("which", "INT8", [128])]}, "from -128 to 127"),
        ({"inputs": [tensor("which", "UINT8", [-1])]}, "from 0 to 255"),
        ({"inputs": [tensor("which", "BOOL", [1])]}, "BOOL cannot hold int"),
        ({"inputs": [tensor("which", "INT64", [None])]}, "INT64 cannot hold NoneType"),
        ({"inputs": [tensor("which", "FP64", [10**400])]}, "too large"),
        ({"inputs": [tensor("which", "BYTES", [[1]])]}, "BYTES cannot hold int"),
        ({"inputs": [tensor("which", "FP32", [[1], 2])]}, "nested unevenly"),
        ({"inputs": [tensor("which", "BYTES", ["?"], content_type="base64")]}, "cannot be read as base64"),
        ({"inputs": [X, tensor("other", "FP32", [1, 2])]}, "different lengths"),
        ({"inputs": [tensor("which", "BYTES", ["a", "b"], [1, 2])]}, "its shape is [n] or [n, 1]"),
        ({"inputs": [tensor("other", "BYTES", ["scalar"])]}, "missing inputs ['which']"),
        ({"inputs": [tensor("which", "FP32", [1])]}, "Incompatible input types"),
        ({"inputs": [tensor("which", "BYTES", ["unheard"])]}, "cannot predict for this input: KeyError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_malformed_request_is_the_clients_mistake(v2_port: int, body: bytes | dict[str, Any], sentence: str) -> None:
    """
    A 400 whose sentence says what is wrong; no number is rounded, cut or made out of text.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    status, _, answer = ask(v2_port, "POST", "/v2/models/answering/infer", raw)

    assert (400, True) == (status, sentence in json.loads(answer)["error"]), answer


SEEN = {
    "columns": [
        tensor("datetime", "BYTES", ["2026-01-02T03:04:05", "1999-12-31T00:00:00.5"]),
        tensor("binary", "BYTES", [encoded(b"\x00\xff"), encoded(b"a")], content_type="base64"),
        tensor("string", "BYTES", ["\u00e9", "b"], [2, 1]),
        tensor("double", "FP64", [0.1, 1e300]),
        tensor("float", "FP32", [0.5, None]),
        tensor("long", "INT64", [2**40, -1], [2, 1]),
        tensor("integer", "INT32", [1, -2]),
        tensor("boolean", "BOOL", [True, False]),
    ],
    "table": [tensor("anything", "FP32", [[1, 2], [3, 4]], [2, 2])],
    "unnamed": [tensor("input-0", "FP64", [1.0, 2.0])],
    "tensor": [tensor("input-0", "FP32", [1, 2, 3, 4], [2, 2])],
    "tensors": [tensor("b", "BYTES", ["x", "y"]), tensor("a", "FP32", [1, 2, 3, 4], [2, 2])],
    "nested": [
        tensor("numbers", "BYTES", ["[1.0]", "[2.0, 3.0]"]),
        tensor("thing", "BYTES", ['{"a": 1}', '{"a": 2}'], content_type="pd_json"),
    ],
    "params": [tensor("x", "FP64", [1])],
    "bare": [tensor("x", "FP32", [1, 2, 3, 4], [2, 2])],
    "hinted": [tensor("x", "BYTES", ["a", "b"])],
}


@pytest.mark.parametrize("model", SEEN)
def test_a_model_sees_what_it_sees_in_training(infer: Infer, expected: Path, model: str) -> None:
    """
    Types, shapes and values are those of the same data given to `predict`, whatever the signature demands.
    """
    status, answer = infer(model, *SEEN[model])

    assert (200, json.loads(expected.read_text())[model]) == (status, answer["outputs"][0]["data"])


def test_binary_columns_may_be_said_to_be_base64_by_the_signature_alone(infer: Infer, expected: Path) -> None:
    """
    A client that knows no content types sends base64, as to /invocations.
    """
    inputs = [{name: part for name, part in one.items() if name != "parameters"} for one in SEEN["columns"]]

    _, answer = infer("columns", *inputs)

    assert json.loads(expected.read_text())["columns"] == answer["outputs"][0]["data"]


def test_a_frame_may_be_asked_for_where_there_is_no_signature(infer: Infer) -> None:
    """
    By MLServer's content type of the request; without it one tensor is an array.
    """
    one = tensor("x", "FP32", [1, 2])

    seen = [
        json.loads(infer("bare", one, parameters={"content_type": content})[1]["outputs"][0]["data"][0])[0]
        for content in ("pd", "np", "")
    ]

    array = ["f", [2], "[1.0, 2.0]"]
    assert [{"x": ["float32", ["1.0", "2.0"]]}, array, array] == seen


def test_parameters_of_the_model_are_passed_on(infer: Infer) -> None:
    """
    Those of its signature; others are the client's own, and a value of the wrong type is a 400.
    """
    given = SEEN["params"]

    _, answer = infer("params", *given, parameters={"factor": 3.5, "trace": "x"})
    wrong, _ = infer("params", *given, parameters={"factor": "much"})
    failing, reply = infer("params", *given, parameters={"fail": True})

    _, params = json.loads(answer["outputs"][0]["data"][0])
    assert ({"factor": 3.5, "fail": False}, 400, 400) == (params, wrong, failing)
    assert "RuntimeError: told to" in reply["error"]


@pytest.mark.parametrize(
    ("which", "outputs"),
    [
        ("floats", [tensor("output-0", "FP32", [1.5, None], content_type="np")]),
        ("matrix", [tensor("output-0", "INT16", [0, 1, 2, 3, 4, 5], [2, 3], content_type="np")]),
        ("bools", [tensor("output-0", "BOOL", [True, False], content_type="np")]),
        ("scalar", [tensor("output-0", "INT64", [7], content_type="np")]),
        ("text", [tensor("output-0", "BYTES", ["alone"], content_type="str")]),
        ("series", [tensor("output-0", "FP64", [1, None], content_type="np")]),
        ("bytes", [tensor("output-0", "BYTES", [encoded(b"\x00\xff"), encoded(b"a")], content_type="base64")]),
        ("nested", [tensor("output-0", "BYTES", ['{"a": [1, null]}', '{"b": "c"}'], content_type="pd_json")]),
        ("nothing", [tensor("output-0", "FP64", [], [0, 3], content_type="np")]),
        ("zoned", [tensor("when", "BYTES", ["2026-01-02T03:04:05+01:00", None], content_type="datetime")]),
        ("ragged", [tensor("output-0", "BYTES", ["[1]", "[1, 2]"], content_type="pd_json")]),
        ("dates", [tensor("output-0", "BYTES", ["2026-01-02", None], content_type="datetime")]),
        ("gap", [tensor("output-0", "FP64", [1.0, None], content_type="np")]),
        ("whole gap", [tensor("output-0", "FP64", [1.0, None], content_type="np")]),
        ("huge", [tensor("output-0", "BYTES", ["1180591620717411303424"], content_type="pd_json")]),
        ("money", [tensor("output-0", "BYTES", ['"1.10"'], content_type="pd_json")]),
        ("wide", [tensor("output-0", "FP64", [0.5], content_type="np")]),
        ("nan inside", [tensor("output-0", "BYTES", ['{"a": null}'], content_type="pd_json")]),
        (
            "tensors",
            [
                tensor("mean", "FP64", [0.5], content_type="np"),
                tensor("label", "BYTES", ["x"], content_type="str"),
            ],
        ),
        (
            "frame",
            [
                tensor("n", "INT64", [1, 2], content_type="np"),
                tensor("label", "BYTES", ["a", "b"], content_type="str"),
                tensor("when", "BYTES", ["2026-01-02T03:04:05.000000", None], content_type="datetime"),
                tensor("note", "BYTES", ["x", None], content_type="str"),
            ],
        ),
    ],
)
def test_whatever_a_model_returns_becomes_tensors(infer: Infer, which: str, outputs: list[dict[str, Any]]) -> None:
    """
    With the datatype and the shape that it has; what is missing is null.
    """
    status, answer = infer("answering", tensor("which", "BYTES", [which]))

    assert (200, {"model_name": "answering", "outputs": outputs}) == (status, answer)


@pytest.mark.parametrize(
    ("which", "word"), [("infinite", "infinity"), ("infinity inside", "infinity"), ("complex", "complex")]
)
def test_what_no_tensor_can_hold_is_not_acceptable(infer: Infer, which: str, word: str) -> None:
    """
    A 406 that says what it was, instead of JSON that strict readers refuse, or of a failure of the server.
    """
    status, answer = infer("answering", tensor("which", "BYTES", [which]))

    assert (406, True) == (status, word in answer["error"])


@pytest.mark.parametrize("name", ["output-0", "output-1"])
def test_an_output_without_a_name_is_known_by_both_of_mlservers_names(infer: Infer, name: str) -> None:
    """
    MLServer says the one in its metadata and the other in its answers; it is answered as it was asked for.
    """
    status, answer = infer("answering", tensor("which", "BYTES", ["scalar"]), outputs=[{"name": name}])

    assert (200, [tensor(name, "INT64", [7], content_type="np")]) == (status, answer["outputs"])


def test_only_the_outputs_that_were_asked_for_are_sent(infer: Infer) -> None:
    """
    By name.
    """
    _, answer = infer("answering", tensor("which", "BYTES", ["tensors"]), outputs=[{"name": "label"}])

    assert ["label"] == [one["name"] for one in answer["outputs"]]


@pytest.mark.parametrize(
    ("length", "size", "raw", "sentence"),
    [
        ("x", 4, b"1234", "inference-header-content-length is 'x'"),
        ("9999999", 4, b"1234", "the body has"),
        (None, 8, b"1234", "binary_data_size is 8, and 4 bytes are left"),
        (None, -1, b"1234", "binary_data_size is -1"),
        (None, 4, b"12345678", "4 bytes follow the last input"),
        (None, 3, b"123", "not a multiple of the size of FP32"),
        (None, 8, b"12345678", "does not fit 2 elements"),
    ],
)
def test_binary_data_that_does_not_fit_is_the_clients_mistake(
    v2_port: int, length: str | None, size: int, raw: bytes, sentence: str
) -> None:
    """
    Every length is checked against what is there.
    """
    head = {"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [head]}).encode()
    headers = {"Inference-Header-Content-Length": length or str(len(text))}

    status, _, body = ask(v2_port, "POST", "/v2/models/bare/infer", text + raw, headers)

    assert (400, True) == (status, sentence in json.loads(body)["error"]), body


def test_tritons_client_understands_it(
    wine: Served, v2_port: int, rows: dict[str, Any], predictions: list[int], root: Path, tmp_path: Path
) -> None:
    """
    Health, metadata and answers, with data in binary and in JSON, both ways; an error is an error with its sentence.
    """
    python = synced(root / "tests" / "clients", tmp_path / "environment")
    words = (python, "-c", TRITON, f"127.0.0.1:{wine.port}", f"127.0.0.1:{v2_port}", json.dumps(rows["data"]))

    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=CEILING_S)

    assert done.returncode == 0, done.stderr
    *facts, binary, as_json, chosen, words_binary, words_json, error = json.loads(done.stdout)
    assert [True, True, True, True, False, ["binary_tensor_data"], "FP64"] == facts
    assert [["7", predictions]] * 3 == [binary, as_json, chosen]
    assert [["A", "\u00c9"]] * 2 == [words_binary, words_json]
    assert ["400", "Input 'input-0' has 12 columns, the model 13."] == error
