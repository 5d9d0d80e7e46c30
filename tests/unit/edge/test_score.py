"""Tests the scorer of an edge bundle, with onnxruntime."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conversions import EDGE, run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]

BUNDLE = """
    import hashlib, pathlib, shutil, subprocess
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
        done = subprocess.run(
            [sys.executable, "-I", str(folder / "score.py"), *arguments], input=given, capture_output=True, text=True
        )
        return [done.returncode, done.stdout.strip(), done.stderr.strip().rpartition("\\n")[2]]
"""


def scored(python: Path, folder: Path, program: str) -> Any:
    """What a program about the bundle in a folder prints."""
    folder.mkdir(exist_ok=True)
    return run_in(python, BUNDLE + program, str(folder), str(EDGE / "score.py"))


def test_a_bundle_checks_itself_and_answers(converting: Path, tmp_path: Path) -> None:
    """
    Columns in any order, records, and rows from standard input.
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            '(folder / "requests.json").write_text((folder / "requests.json").read_text().replace("2.25", "2.26"))',
            "sum",
        ),
        (
            '(folder / "requests.json").write_text((folder / "requests.json").read_text().replace("2.25", "Infinity"))',
            "`sum`",
        ),
        ('(folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes().replace(b"Add", b"Sub"))', "`sum`"),
    ],
    ids=("answer", "infinite answer", "model"),
)
def test_a_plausible_other_bundle_is_refused(converting: Path, tmp_path: Path, change: str, message: str) -> None:
    """
    An answer that is slightly other or infinite, and a model with another operator: by checksum and by the answers.
    """
    code, printed, _ = scored(
        converting,
        tmp_path / "bundle",
        f"""
    {change}
    print(json.dumps(ran("--check")))
    """,
    )

    assert (1, True, True) == (code, message in printed, "is not the file that was exported" in printed)


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
    print(json.dumps([ran(given=json.dumps(request))[2] for request in [*requests, missing]]))
    """,
    )

    assert "ValueError: 'größe' has a number that 32 bits cannot hold" == found[0]
    assert "ValueError: 'n' has no value in some row" == found[1]
    assert "OverflowError" in found[2]
    assert "ValueError: the request lacks the columns ['größe']" == found[3]
