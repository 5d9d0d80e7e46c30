"""Tests the files of an edge bundle."""

import ast
import hashlib
import json
from typing import Any

from mlflow_uv.core.conversion.bundle_files import (
    REQUESTS,
    SCORER,
    checksums_text,
    requests_text,
    signature_text,
)
from mlflow_uv.core.conversion.bundle_files import (
    SIGNATURE as SIGNATURE_FILE,
)
from mlflow_uv.core.conversion.formats import FORMATS
from mlflow_uv.payloads.messages.conversion import ModelPort, PortableSignature
from mlflow_uv.tools.mlflow.bundle_scorer import EDGE

SIGNATURE = PortableSignature(
    layout="columns",
    inputs=(ModelPort(name="größe / cm", type="double"),),
    outputs=(ModelPort(name="label_", type="long"),),
    served=("label_",),
)


def test_the_recorded_requests_have_the_answers_of_the_original() -> None:
    """
    By the names of the converted model; generated requests, and those that it cannot read, are left out.
    """
    rows = {"dataframe_split": {"columns": ["größe / cm"], "data": [[1.5]]}}
    original: list[dict[str, Any]] = [
        {"name": "refused", "origin": "recorded", "refused": "no"},
        {"name": "recorded request 1", "origin": "recorded", "rows": rows, "outputs": {"label": [3]}},
        {"name": "too large", "origin": "recorded", "rows": rows, "outputs": {"label": [4]}},
        {"name": "spread", "origin": "spread", "rows": rows, "outputs": {"label": [5]}},
    ]
    converted: list[dict[str, Any]] = [
        {"outputs": {"label_": [99]}},
        {"refused": "ValueError"},
        {"outputs": {"label_": [99]}},
    ]

    text = requests_text(original, converted, SIGNATURE)

    assert [{"name": "recorded request 1", "request": rows, "response": {"label_": [3]}}] == json.loads(text)


def test_the_signature_names_inputs_as_they_are() -> None:
    """
    With any characters, and says what the model was converted from.
    """
    content = json.loads(signature_text(SIGNATURE, tolerance=1e-4, origin={"version": "models:/wine/7"}))

    assert ("größe / cm", 1e-4, "models:/wine/7") == (
        content["inputs"][0]["name"], content["tolerance"], content["origin"]["version"],
    )  # fmt: skip


def test_the_checksums_are_those_of_sha256sum() -> None:
    """
    Sorted by name, two spaces between digest and name.
    """
    digest = hashlib.sha256(b"x").hexdigest()

    assert f"{digest}  a\n{hashlib.sha256(b'y').hexdigest()}  b\n" == checksums_text({"b": b"y", "a": b"x"})


def test_the_scorer_requires_a_checksum_of_every_file() -> None:
    """
    It imports nothing of this program, and has the names itself, also those of the models.
    """
    tree = ast.parse((EDGE / SCORER).read_text())
    required = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name) and target.id == "FILES"
    }
    (models,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
    )

    assert {"FILES": tuple(sorted((SCORER, SIGNATURE_FILE, REQUESTS)))} == required
    assert {kind.file for kind in FORMATS.values()} == set(models)
