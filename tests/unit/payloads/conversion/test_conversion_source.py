"""Tests what every conversion needs of a model, and the requests that it leaves."""

import json
from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_a_model_without_a_signature_or_without_a_request_that_it_reads_is_refused(
    converting: Path, tmp_path: Path
) -> None:
    """
    So is one for which no request can be generated; what is generated is written.
    """
    refusals = run_in(
        converting,
        f"""
    import pathlib, types
    import mlflow, numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from sklearn.linear_model import LinearRegression
    source = importlib.import_module("payloads.conversion.conversion_source")
    folder = pathlib.Path({str(tmp_path)!r})
    schema = Schema([TensorSpec(np.dtype("float64"), (-1, 1))])
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    mlflow.sklearn.save_model(
        model, str(folder / "model"), signature=ModelSignature(schema), pip_requirements=[],
        serialization_format="cloudpickle",
    )
    def refused(call):
        try:
            found = call()
        except importlib.import_module("payloads.conversion.native_models").Inconvertible as error:
            return [error.operator, error.reason]
        return None if found is None else len(found)
    def fails():
        raise ValueError("no range")
    bodies = ['{{"inputs": [[1.0]]}}', '{{"inputs": [["x"]]}}']
    print(json.dumps([
        refused(lambda: source.require_signature(None, "Tree")),
        refused(lambda: source.require_signature(types.SimpleNamespace(inputs=[]), "Tree")),
        refused(lambda: source.require_signature(schema, "Tree")),
        refused(lambda: source.answered_frames(str(folder / "model"), bodies, "Tree")),
        refused(lambda: source.answered_frames(str(folder / "model"), bodies[1:], "Tree")),
        refused(lambda: source.write_sample(folder, "Tree", fails)),
        refused(lambda: source.write_sample(folder, "Tree", lambda: [{{"body": 1}}])),
    ]))
    """,
    )

    unsigned = ["Tree", "the model has no signature, which names and types its inputs"]
    unanswered = ["Tree", "none of the recorded requests is answered by the model"]
    assert [unsigned, unsigned, None, 1, unanswered, ["Tree", "ValueError: no range"], None] == refusals
    assert [{"body": 1}] == json.loads((tmp_path / "sample.json").read_text())
