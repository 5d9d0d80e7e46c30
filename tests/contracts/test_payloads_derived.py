"""Contract: how MLflow responds to derived requests where a model is trained, and how our server does."""

import json
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import Finding
from mlflow_uv.core.model.derived_requests import derive_requests
from mlflow_uv.core.model.recorded_requests import RecordedRequest, from_examples
from mlflow_uv.ops.image.serving_check import Expected, observe
from mlflow_uv.ops.model.recorded_responses import record_derived
from mlflow_uv.payloads.messages.models import BodyResponses
from mlflow_uv.payloads.messages.reader import read
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest, send
from mlflow_uv.tools.toolbox import Tools
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import ask_each
from tests.contracts.serving_process import Served, Starter
from tests.waiting import CEILING_S

KINDS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
# Every type of a signature, two optional columns, and two parameters. Each prediction is what predict was given.
SAVING = textwrap.dedent("""
    import json, os, sys
    import mlflow, numpy as np, pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType, Array, Map, Object, Property

    class Seen(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            wrong = os.environ.get("WRONG")
            if wrong == "empty" and isinstance(model_input, pd.DataFrame) and model_input.empty:
                return ["not what training predicts"]
            if wrong == "null" and isinstance(model_input, pd.DataFrame) and model_input["double"].isna().any():
                return ["not what training predicts"]
            if wrong == "end" and isinstance(model_input, pd.DataFrame) and model_input.empty:
                os._exit(3)
            if isinstance(model_input, pd.DataFrame):
                return [repr([(name, str(model_input[name].dtype), model_input[name].tolist()) for name in model_input])
                        + repr(params)]
            values = model_input if isinstance(model_input, dict) else {"": model_input}
            return [repr([(name, str(value.dtype), value.tolist()) for name, value in values.items()])]

    KINDS = "boolean integer long float double string binary datetime".split()
    columns = [ColSpec(kind, kind, required=kind not in ("double", "string")) for kind in KINDS]
    columns += [
        ColSpec(Array(DataType.string), "array"),
        ColSpec(Object([Property("a", DataType.long), Property("b", DataType.string, required=False)]), "object"),
        ColSpec(Map(DataType.double), "map"),
        ColSpec(AnyType(), "any", required=False),
    ]
    row = dict(zip(KINDS, (True, 1, 2, 1.5, 2.5, "x", b"ab", pd.Timestamp("2026-01-02T03:04:05"))))
    row |= {"array": ["a"], "object": {"a": 1, "b": "x"}, "map": {"k": 1.5}, "any": "x"}
    frame = pd.DataFrame([row, row]).astype({"integer": "int32", "float": "float32"})
    parameters = ParamSchema([ParamSpec("p", DataType.double, 0.5), ParamSpec("words", DataType.string, ["a"], (-1,))])
    tensors = [TensorSpec(np.dtype("int8"), (-1,), "ids"), TensorSpec(np.dtype("float64"), (-1, 2), "weights")]
    for name, schema, params, example in (
        ("columns", columns, parameters, (frame, {"p": 0.7})),
        ("plain", columns[1:6], None, frame[KINDS[1:6]]),
        ("tensors", tensors, None, {"ids": np.ones(2, dtype="int8"), "weights": np.ones((2, 2))}),
    ):
        signature = ModelSignature(Schema(schema), params=params)
        mlflow.pyfunc.save_model(
            f"{sys.argv[1]}/{name}", python_model=Seen(), signature=signature, input_example=example,
            pip_requirements=["mlflow"],
        )
""")


@pytest.fixture(scope="module")
def models(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of columns, one of columns that CSV can express, and one of tensors."""
    folder = tmp_path_factory.mktemp("derived")
    saved = mlflow.run("-c", SAVING, str(folder), cwd=folder)
    assert saved.returncode == 0, saved.stderr
    return folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The requests about a model, and how its training environment responds to them."""

    example: tuple[RecordedRequest, ...]
    derived: tuple[RecordedRequest, ...]
    findings: tuple[Finding, ...]

    def of(self, name: str) -> RecordedRequest:
        """A derived request by what is special about it."""
        return next(item for item in self.derived if item.name == f"derived: {name}")


def trained(mlflow: MlflowInterpreter, model: Path, *wanted: str) -> Trained:
    """Derive all requests, or some by name, and ask MLflow twice, as log-model does."""
    described, about = ask_each(
        mlflow, ("describe-cases", {"model": str(model)}), ("describe-signature", {"model": str(model)})
    )
    requests = derive_requests(about["signature"], described["requests"][0])
    requests = tuple(item for item in requests if not wanted or item.name.removeprefix("derived: ") in wanted)
    asked = {"requests": described["requests"], "derived": [item.body for item in requests], "again": True}
    asked |= {"derived_types": [item.content_type for item in requests]}
    asked |= {"derived_s": CEILING_S, "request_s": CEILING_S}
    response = mlflow.ask("answer", model=str(model), **asked)
    passes = [read(BodyResponses, response[name], what=name).derived for name in ("bodies", "bodies_again")]
    recorded, findings = record_derived(requests, (passes[0], passes[1]), ())
    return Trained(
        example=from_examples(described["requests"], response["answers"]), derived=recorded, findings=findings
    )


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that was started, as smoke-test sees it."""

    served: Served

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        return send(request, port=self.served.port)

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See ServingContainer."""
        return tuple(map(self.send, requests))

    def code(self) -> int | None:
        """See ServingContainer."""
        return self.served.process.poll()

    def log(self) -> str:
        """See ServingContainer."""
        return self.served.output()

    def stop(self) -> None:
        """See ServingContainer."""


def findings_about(served: Served, known: Trained) -> tuple[Finding, ...]:
    """What a smoke test reports about a server."""
    expected = Expected(requests=(*known.example, *known.derived), tolerance=1e-6, deadline_s=CEILING_S, network=True)
    clock = SimpleNamespace(now_s=time.monotonic, wait=time.sleep)
    return observe(Reached(served), expected, cast("Tools", SimpleNamespace(clock=clock))).complaints


def responses(known: Trained, names: Sequence[str]) -> Mapping[str, int]:
    """The statuses of derived requests."""
    return {name: known.of(name).status for name in names}


def test_mlflow_decides_what_a_signature_allows_and_our_server_responds_alike(
    mlflow: MlflowInterpreter, models: Path, start: Starter
) -> None:
    """
    Of every type, optional or not, with parameters: what training answers and refuses, the server does, too.
    """
    known = trained(mlflow, models / "columns")

    with start(models / "columns") as served:
        found = findings_about(served.ready(), known)

    statuses = {
        "one row": 200,
        "empty batch": 200,
        "an extra column": 200,
        "no optional column": 200,
        "column 'double' missing": 200,
        "column 'boolean' missing": 400,
        "column 'integer' is null": 400,
        "column 'double' is null": 200,
        "column 'long' is text": 400,
        "no params": 200,
        "as dataframe_records": 200,
        "parameter 'p' is text": 400,
        "an object without input": 400,
        "empty body": 400,
    }
    assert ((), ()) == (found, known.findings)
    assert statuses == responses(known, list(statuses))
    assert "'p': 0.5" in known.of("no params").answer["predictions"][0]
    assert "nan" in known.of("column 'double' is null").answer["predictions"][0]


def test_every_input_format_is_answered_as_in_training(mlflow: MlflowInterpreter, models: Path, start: Starter) -> None:
    """
    The same rows as CSV and in each JSON format; an answer to CSV that is not training's is found.
    """
    names = ("as CSV", "as dataframe_records", "as instances", "as inputs")
    known = trained(mlflow, models / "plain", *names)

    with start(models / "plain") as served:
        found = findings_about(served.ready(), known)
    changed = replace(known.of("as CSV"), answer={"predictions": ["not what the server predicts"]})
    wrong = replace(known, derived=(changed,))
    with start(models / "plain") as served:
        found_wrong = findings_about(served.ready(), wrong)

    assert ((), set(names)) == (found, {item.name.removeprefix("derived: ") for item in known.derived})
    assert ("text/csv", 200) == (known.of("as CSV").content_type, known.of("as CSV").status)
    (finding,) = found_wrong
    assert ("answers-differ", True) == (finding.rule, "as the body of 'derived: as CSV'" in finding.fix)


@pytest.mark.extended
def test_tensors_of_a_wrong_shape_are_refused_by_both(mlflow: MlflowInterpreter, models: Path, start: Starter) -> None:
    """
    And extremes of their own type are answered by both.
    """
    known = trained(mlflow, models / "tensors")

    with start(models / "tensors") as served:
        found = findings_about(served.ready(), known)

    statuses = {
        "one item": 200,
        "tensor 'ids' missing": 400,
        "tensor 'weights' with too few values": 400,
        "tensor 'weights' with one more dimension": 400,
        "tensor 'weights' with text": 400,
        "tensor 'weights' with NaN": 200,
        "tensor 'ids' with the largest int8": 200,
    }
    assert ((), statuses) == (found, responses(known, list(statuses)))


@pytest.mark.extended
@pytest.mark.parametrize(
    ("wrong", "names"),
    [("empty", ["empty batch"]), ("null", ["column 'double' is null", "column 'double' is NaN"])],
)
def test_a_model_that_is_wrong_for_one_derived_request_only_is_named(
    mlflow: MlflowInterpreter, models: Path, start: Starter, wrong: str, names: list[str]
) -> None:
    """
    With the difference, and a way to repeat it. Its example is answered as in training.
    """
    known = trained(mlflow, models / "columns", "one row", "an extra column", *names)

    with start(models / "columns", WRONG=wrong) as served:
        found = findings_about(served.ready(), known)

    assert [("answers-differ", f"the prediction for derived: {name} is not that of training") for name in names] == [
        (finding.rule, finding.what) for finding in found
    ]
    assert all("is 'not what training predicts'" in finding.why for finding in found)
    assert all("send it: curl" in finding.fix or "mlflow-uv/requests.json" in finding.fix for finding in found)


@pytest.mark.extended
def test_a_server_that_ends_at_a_derived_request_is_named_with_it(
    mlflow: MlflowInterpreter, models: Path, start: Starter
) -> None:
    """
    The worker dies, and with it the request.
    """
    known = trained(mlflow, models / "columns", "empty batch", "one row")

    with start(models / "columns", WRONG="end") as served:
        found = findings_about(served.ready(), known)

    assert ("case-refused", True) == (found[0].rule, found[0].what.startswith("derived: empty batch got no"))


def test_a_request_that_takes_too_long_is_left_out(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    A model that never returns does not hold up a release.
    """
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "code" / "slow.py").write_text(
        textwrap.dedent("""
            class Model:
                def predict(self, frame):
                    while frame.empty:
                        pass
                    return [1]

            def _load_pyfunc(path):
                return Model()
        """)
    )
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: slow\n    code: code\n")
    bodies = [json.dumps({"dataframe_split": {"columns": ["a"], "data": rows}}) for rows in ([], [[1]])]

    response = mlflow.ask("answer", model=str(model), requests=[], derived=bodies, request_s=2.0)

    assert [None, {"status": 200, "answer": {"predictions": [1]}, "reason": ""}] == response["bodies"]["derived"]


def test_a_file_of_cases_holds_requests_and_rows(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    A line without an input of MLflow's server is a row, unless it is a chat request.

    A row of a CSV file has the line where it begins, types of the whole column, and perhaps an expected prediction.
    """
    lines = ['{"inputs": {"a": [1]}}', '{"a": 1, "b": "x"}', '{"messages": []}', '{"request": {"a": 2}, "expected": 3}']
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    (tmp_path / "cases.csv").write_text('a,text,expected\n1,"two\nlines",0.5\n\n2,x,red\n')

    requests = [("read-cases", {"file": str(tmp_path / name)}) for name in ("cases.jsonl", "cases.csv")]
    from_lines, from_csv = (found["cases"] for found in ask_each(mlflow, *requests))

    assert [
        (1, lines[0], False, None),
        (2, '{"dataframe_records": [{"a": 1, "b": "x"}]}', False, None),
        (3, lines[2], False, None),
        (4, '{"dataframe_records": [{"a": 2}]}', True, 3),
    ] == [tuple(case.values()) for case in from_lines]
    tables = [json.loads(case["body"])["dataframe_split"] for case in from_csv]
    assert [[[1, "two\nlines"]], [[2, "x"]]] == [table["data"] for table in tables]
    assert [(2, {"predictions": [0.5]}), (5, {"predictions": ["red"]})] == [
        (case["line"], case["expected"]) for case in from_csv
    ]


@pytest.mark.extended
def test_a_request_of_a_file_is_answered_or_refused_with_a_reason(mlflow: MlflowInterpreter, models: Path) -> None:
    """
    As MLflow's server responds to its bytes.
    """
    body = '{"inputs": {"ids": [1], "weights": [[1.5, 2.5]]}}'

    response = mlflow.ask("answer", model=str(models / "tensors"), requests=[], cases=[body, '{"inputs": 7}'])

    answered, refused = response["bodies"]["cases"]
    assert (200, True) == (answered["status"], "1.5, 2.5" in answered["answer"]["predictions"][0])
    assert (400, True) == (refused["status"], bool(refused["reason"]))
