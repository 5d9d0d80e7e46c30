"""Tests the scorer of an edge bundle, with onnxruntime."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conversions import EDGE, run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]

FILES = ("model.onnx", "requests.json", "score.py", "signature.json")
BUNDLE = """
    import hashlib, os, pathlib, shutil, subprocess
    import numpy as np, onnx
    from onnx import TensorProto, helper
    folder = pathlib.Path(sys.argv[1])
    inputs = {"größe": TensorProto.FLOAT, "n": TensorProto.INT64}
    nodes = [helper.make_node("Cast", ["n"], ["f"], to=1), helper.make_node("Add", ["größe", "f"], ["sum"])]
    given = [helper.make_tensor_value_info(name, kind, [None]) for name, kind in inputs.items()]
    returned = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None])]
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "g", given, returned), opset_imports=opsets, ir_version=8),
        folder / "model.onnx",
    )
    ports = [{"name": "größe", "type": "double"}, {"name": "n", "type": "long"}]
    returned = [{"name": "sum", "type": "double"}]
    signature = {"layout": "columns", "inputs": ports, "outputs": returned, "tolerance": 1e-4}
    (folder / "signature.json").write_text(json.dumps(signature))
    request = {"dataframe_split": {"columns": ["n", "größe"], "data": [[1, 0.5], [2, 0.25]]}}
    (folder / "requests.json").write_text(
        json.dumps([{"name": "recorded request 1", "request": request, "response": {"sum": [1.5, 2.25]}}])
    )
    shutil.copy(sys.argv[2], folder / "score.py")
    sums = "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\\n" for file in sorted(folder.iterdir())
    )
    (folder / "SHA256SUMS").write_text(sums)
    def ran(*arguments, given=""):
        # Without a home, onnxruntime says that it cannot keep the number by which its telemetry knows the device.
        done = subprocess.run(
            [sys.executable, "-I", str(folder / "score.py"), *arguments],
            input=given, capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": "/proc/nowhere"},
        )
        lines = done.stderr.strip().splitlines()
        return [done.returncode, done.stdout.strip(), lines if len(lines) > 1 else "".join(lines)]
"""


def scored(python: Path, folder: Path, program: str) -> Any:
    """What a program about the bundle in a folder prints."""
    folder.mkdir(exist_ok=True)
    return run_in(python, BUNDLE + program, str(folder), str(EDGE / "score.py"))


def test_a_bundle_checks_itself_and_answers(converting: Path, tmp_path: Path) -> None:
    """
    Columns in any order, records, and rows from standard input; the runtime sends no telemetry.
    """
    checked, answered = scored(
        converting,
        tmp_path / "bundle é",
        """
    records = {"dataframe_records": [{"größe": 0.5, "n": 1}]}
    print(json.dumps([ran("--check"), ran(given=json.dumps(records))]))
    """,
    )

    assert [0, "all equal", ""] == checked
    assert {"predictions": {"sum": [1.5]}} == json.loads(answered[1])


def test_a_plausible_other_bundle_is_refused(converting: Path, tmp_path: Path) -> None:
    """
    By its checksums; with checksums of the changed files by the answers. Without anything to compare it is not equal.
    """
    assert {
        "another answer": [1, "requests.json is not the file that was exported", ""],
        "another answer, signed": [1, "recorded request 1: `sum` differs from the original model", ""],
        "another operator": [1, "model.onnx is not the file that was exported", ""],
        "another operator, signed": [1, "recorded request 1: `sum` differs from the original model", ""],
        "a broken model": [1, "model.onnx is not the file that was exported", ""],
        "no requests": [1, "requests.json is not the file that was exported", ""],
        "no requests, signed": [1, "requests.json has no request, so that no answer was compared", ""],
        "no outputs, signed": [1, "recorded request 1: `sum` differs from the original model", ""],
        "no values, signed": [1, "recorded request 1: `sum` differs from the original model", ""],
        "no signature": [1, "signature.json is missing", ""],
        "one checksum less": [1, "model.onnx has no checksum in SHA256SUMS", ""],
        "no checksums": [1, "\n".join(f"{name} has no checksum in SHA256SUMS" for name in FILES), ""],
    } == scored(
        converting,
        tmp_path / "bundle",
        """
    good = {file.name: file.read_bytes() for file in folder.iterdir()}
    sums, model, requests = good["SHA256SUMS"], good["model.onnx"], good["requests.json"]
    changes = {
        "another answer": ("requests.json", requests.replace(b"2.25", b"2.26")),
        "another operator": ("model.onnx", model.replace(b"Add", b"Sub")),
        "a broken model": ("model.onnx", bytes([255]) + model[1:]),
        "no requests": ("requests.json", b"[]"),
        "no outputs": ("requests.json", requests.replace(b'{"sum": [1.5, 2.25]}', b"{}")),
        "no values": ("requests.json", requests.replace(b"[1.5, 2.25]", b"[]")),
        "no signature": ("signature.json", None),
        "one checksum less": ("SHA256SUMS", b"".join(row for row in sums.splitlines(True) if b"model" not in row)),
        "no checksums": ("SHA256SUMS", b""),
    }
    results = {}
    def record(case):
        results[case] = ran("--check")
    for case, (name, data) in changes.items():
        for other, content in good.items():
            (folder / other).write_bytes(content)
        (folder / name).unlink() if data is None else (folder / name).write_bytes(data)
        if case not in ("no outputs", "no values"):
            record(case)
        if case in ("another answer", "another operator", "no requests", "no outputs", "no values"):
            old = hashlib.sha256(good[name]).hexdigest().encode()
            new = hashlib.sha256(data).hexdigest().encode()
            (folder / "SHA256SUMS").write_bytes(sums.replace(old, new))
            record(case + ", signed")
    print(json.dumps(results))
    """,
    )


def test_what_32_bits_cannot_hold_is_refused(converting: Path, tmp_path: Path) -> None:
    """
    It would be infinite; and an integer that is missing would be any number.
    """
    found = scored(
        converting,
        tmp_path / "bundle",
        """
    rows = [[1, 1e300], [None, 0.5], [2**63, 0.5]]
    requests = [{"dataframe_split": {"columns": ["n", "größe"], "data": [row]}} for row in rows]
    missing = {"dataframe_split": {"columns": ["n"], "data": [[1]]}}
    print(json.dumps([ran(given=json.dumps(request)) for request in [*requests, missing]]))
    """,
    )

    assert [
        [2, "", "no answer: 'größe' has a number that 32 bits cannot hold"],
        [2, "", "no answer: 'n' has no value in some row"],
        [2, "", "no answer: 'n' has a value that the type long cannot hold"],
        [2, "", "no answer: the request lacks the columns ['größe']"],
    ] == found


def test_what_is_no_request_or_no_json_ends_with_one_line(converting: Path, tmp_path: Path) -> None:
    """
    On standard error, with an exit code of its own; an answer with NaN or Infinity is none, and compares as it is.
    """
    found = scored(
        converting,
        tmp_path / "bundle",
        """
    texts = ["", "[1]", '{"inputs": {"n": [1], "n": [2], "größe": [0.5]}}', "[" * 100_000]
    texts += [json.dumps({"inputs": {"n": [1, 2], "größe": [0.5, value]}}) for value in (None, float("inf"))]
    results = [ran(given=text) for text in texts]
    results.append(ran(str(folder / "absent.json")))
    shutil.copy(sys.argv[2], folder / "imported.py")
    sys.path.insert(0, str(folder))
    outputs = importlib.import_module("imported").Scorer(folder).outputs(json.loads(texts[-1]))
    print(json.dumps([results, outputs["sum"][0], str(outputs["sum"][1])]))
    """,
    )

    (*results, absent), first, second = found
    forms = "dataframe_records, dataframe_split, inputs, instances"
    missing = "no answer: the model computes no finite number for `sum`: one of the request is missing or too large"
    assert [
        [2, "", "no answer: Expecting value: line 1 column 1 (char 0)"],
        [2, "", f"no answer: the request is not an object with one of {forms}"],
        [2, "", "no answer: an object has the name 'n' twice"],
        [2, "", "no answer: it is nested too deeply"],
        [2, "", missing],
        [2, "", "no answer: 'größe' has an infinite number"],
    ] == results
    assert [2, "", True] == [*absent[:2], "absent.json" in absent[2]]
    assert (1.5, "inf") == (first, second)


def test_a_text_is_scored_whole_or_not_at_all(converting: Path, tmp_path: Path) -> None:
    """
    No part before a NUL, no other form of a letter, and no half of a surrogate pair is taken for a known text.
    """
    found = scored(
        converting,
        tmp_path / "bundle",
        """
    node = helper.make_node(
        "LabelEncoder", ["t"], ["code"], domain="ai.onnx.ml", keys_strings=["a", "é"], values_int64s=[1, 2],
        default_int64=0,
    )
    given = [helper.make_tensor_value_info("t", TensorProto.STRING, [None])]
    returned = [helper.make_tensor_value_info("code", TensorProto.INT64, [None])]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(
        helper.make_model(helper.make_graph([node], "g", given, returned), opset_imports=opsets, ir_version=8),
        folder / "model.onnx",
    )
    ports = {"inputs": [{"name": "t", "type": "string"}], "outputs": [{"name": "code", "type": "long"}]}
    (folder / "signature.json").write_text(json.dumps({"layout": "columns", "tolerance": 1e-4, **ports}))
    texts = ["a", "a" + chr(0) + "b", "a" + chr(0), chr(233), "e" + chr(0x301), chr(0xD800)]
    print(json.dumps([ran(given=json.dumps({"inputs": {"t": [text]}})) for text in texts]))
    """,
    )

    codes = [json.loads(answer)["predictions"]["code"] for _, answer, _ in found[:-1]]
    assert [[1], [0], [0], [2], [0]] == codes
    assert [2, "", True] == [*found[-1][:2], "surrogates not allowed" in found[-1][2]]


def test_a_network_is_not_given_a_missing_or_infinite_number(converting: Path) -> None:
    """
    TensorFlow and TensorFlow Lite give different results for it, of which none looks wrong.
    """
    found = run_in(
        converting,
        """
    import numpy as np
    from types import SimpleNamespace as Part
    score = importlib.import_module("edge.score")
    given = []
    interpreter = Part(
        set_tensor=lambda index, row: given.append(row.tolist()),
        invoke=lambda: None,
        get_tensor=lambda index: np.array([[0.5]], dtype=np.float32),
    )
    model = score.TfliteModel.__new__(score.TfliteModel)
    vars(model).update(shape=(1,), inputs=[(0, np.float32, (1, 2))], interpreter=interpreter, output=1)
    results = []
    for values in ([[1.0, 2.0]], [[1.0, np.nan]], [[np.inf, 2.0], [1.0, 2.0]]):
        try:
            results.append(model.run({"x": np.array(values, dtype=np.float32)})[0].tolist())
        except ValueError as error:
            results.append(str(error))
    print(json.dumps([results, given]))
    """,
    )

    why = "a number is missing or infinite, for which runtimes give different results"
    assert [[[[0.5]], why, why], [[[1.0, 2.0]]]] == found
