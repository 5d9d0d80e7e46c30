"""Compares what the scorer of an edge bundle answers and refuses with MLflow's own server, for the same models."""

import json
from typing import Any

import pytest

from tests.conversions import conversion_python, run_in
from tests.sharing import SharedFolder

pytestmark = [pytest.mark.installs, pytest.mark.extended]

NAMES = ["n", "i", "b", "c", "f"]
ROW = [3, 3, True, "x", 0.5]
LATE = [30, 30, True, "x", 0.5]


def record(**changes: Any) -> dict[str, Any]:
    """A row by its columns."""
    return {**dict(zip(NAMES, ROW, strict=True)), **changes}


def split(*rows: list[Any], **changes: Any) -> str:
    """A request as `dataframe_split`."""
    return json.dumps({"dataframe_split": {"columns": NAMES, "data": list(rows), **changes}})


def changed(place: int, value: Any) -> str:
    """A request with one row, in which one cell is another."""
    return split([*ROW[:place], value, *ROW[place + 1 :]])


def under(**forms: Any) -> str:
    """A request with these names."""
    return json.dumps(forms)


COLUMNS = {name: [value, late] for name, value, late in zip(NAMES, ROW, LATE, strict=True)}
ANSWERED = (
    split(ROW, LATE),
    split(ROW, LATE, columns=NAMES, index=[7, 8]),
    split([*ROW, [1]], columns=[*NAMES, "more"]),
    split([*reversed(LATE)], columns=[*reversed(NAMES)]),
    under(dataframe_records=[record(), record(n=30, i=30)]),
    under(dataframe_records=[record(more=1), record()]),
    under(inputs=COLUMNS), under(inputs=record()), under(inputs=[record(), record(n=30)]),
    under(instances=[record(), record(n=30, i=30)]), under(instances=COLUMNS),
    under(dataframe_records=[record()], params={}),
    changed(0, 25.9), changed(0, "25"), changed(0, 2**63 - 1), changed(0, -(2**63)), changed(1, 2**31 - 1),
    changed(2, 1), changed(2, 0), changed(4, 1), changed(4, "0.5"), changed(4, value=True),
)  # fmt: skip
REFUSED = (
    "", "nothing", "[1]", "1", "null", "{}", under(rows=[record()]),
    split([3, *LATE], columns=["n", *NAMES]),
    under(dataframe_records=[record()], dataframe_split={"columns": NAMES, "data": [LATE]}),
    under(inputs=COLUMNS, instances=[record()]),
    split([*ROW, 9]), split(ROW[:4]), split(ROW, LATE, index=[1]), split(ROW, index=3), split(ROW, other=1), split(),
    split(ROW[:4], columns=NAMES[:4]), under(dataframe_split=[ROW]), under(dataframe_split={"columns": NAMES}),
    under(dataframe_split={"data": [ROW]}),
    under(dataframe_records=record()), under(dataframe_records=[]), under(dataframe_records=[ROW]),
    under(dataframe_records=[{"N": 3}]), under(dataframe_records=[record(), {"n": 3}]),
    under(dataframe_records=[record(n=[3])]), under(dataframe_records=[record(f=[1])]),
    under(inputs=[ROW]), under(inputs=3), under(inputs={}), under(inputs={**COLUMNS, "n": [3]}),
    under(inputs={**COLUMNS, "n": [[3], [30]]}), under(inputs={"n": [3]}), under(instances=[ROW]),
    under(instances=[record(), {"n": 3}]),
    changed(0, [3]), changed(0, {"a": 3}), changed(0, None), changed(0, float("nan")), changed(0, "x"),
    changed(0, "25.9"), changed(0, 10**400), changed(1, None),
    changed(4, [1]), changed(4, "x"), changed(4, None), changed(4, float("nan")), changed(4, "nan"),
    changed(4, float("inf")),
)  # fmt: skip
# What MLflow changes into something else before the model gets it, or ignores; and the scorer's numbers have 32 bits.
STRICTER = (
    '{"dataframe_records": [{"n": 3, "n": 30, "i": 3, "b": true, "c": "x", "f": 0.5}]}',
    under(dataframe_records=[record()], more=1), under(dataframe_records=[record()], params={"p": 1}),
    split(ROW, index=[1, 2]), changed(0, 1e30), changed(0, 2**63), changed(1, 2**31),
    changed(2, "false"), changed(2, 7), changed(2, None), changed(3, None), changed(4, 1e300),
)  # fmt: skip
TENSORS = (
    under(inputs=[[3.0, 0.5], [30.0, 0.5]]), under(instances=[[3.0, 0.5]]), under(inputs=[[3, "0.5"]]),
)  # fmt: skip
NO_TENSORS = (
    under(inputs=[3.0, 0.5]), under(inputs=3.0), under(inputs=[[3.0]]), under(inputs=[[3.0, 0.5, 1.0]]),
    under(inputs=[[3.0, 0.5], [3.0]]), under(inputs={"input": [[3.0, 0.5]]}), under(inputs=[[[3.0, 0.5]]]),
    under(inputs=[]), under(inputs=[[None, 0.5]]), under(inputs=[["x", 0.5]]), under(inputs=[{"input": [3.0, 0.5]}]),
    under(inputs=[[3.0, 0.5]], instances=[[3.0, 0.5]]),
)  # fmt: skip
PROGRAM = """
    import pathlib, shutil
    from dataclasses import asdict
    import mlflow, numpy as np, pandas as pd
    from mlflow.models import infer_signature
    from mlflow.pyfunc import scoring_server
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    messages = importlib.import_module("payloads.messages.conversion")
    converter = importlib.import_module("payloads.conversion.converter")
    folder, requests = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
    numbers = np.arange(40)
    frame = pd.DataFrame({
        "n": numbers, "i": numbers.astype("int32"), "b": numbers % 2 == 0, "c": ["x", "y"] * 20,
        "f": np.linspace(0, 1, 40),
    })
    matrix = np.column_stack([numbers, np.linspace(0, 1, 40)]).astype("float64")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), (StandardScaler(), ["n", "i", "b", "f"])
    )
    models = {
        "columns": (make_pipeline(columns, LogisticRegression()), frame),
        "tensor": (make_pipeline(StandardScaler(), LogisticRegression()), matrix),
    }
    labels = np.where(numbers > 20, "late", "early")
    def answer(ask):
        try:
            return [str(label) for label in ask()]
        except Exception as error:
            return None
    seen = {}
    for name, (model, rows) in models.items():
        model.fit(rows, labels)
        for part in ("model", "converted", "bundle"):
            (folder / name / part).mkdir(parents=True)
        original, bundle = str(folder / name / "model"), folder / name / "bundle"
        mlflow.sklearn.save_model(
            model, original, signature=infer_signature(rows, model.predict(rows)), serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
        result = converter.convert(messages.ConvertModel(
            model=original, destination=str(folder / name / "converted"), requests=(requests[name][0],),
            sample_rows=20, packages=(),
        ))
        assert result.refusal is None, result.refusal
        shutil.copy(folder / name / "converted" / "model" / "model.onnx", bundle)
        (bundle / "signature.json").write_text(json.dumps({**asdict(result.signature), "tolerance": 1e-4}))
        scoring = importlib.import_module("edge.score")
        scorer, served = scoring.Scorer(bundle), mlflow.pyfunc.load_model(original)
        schema = served.metadata.get_input_schema()
        def by_mlflow():
            body = scoring_server.invocations(text.encode(), "application/json", served, schema)
            assert body.status == 200
            return json.loads(body.response)["predictions"]
        refusals = []
        def by_scorer():
            try:
                return scorer.score(scoring.document(text))["label"]
            except ValueError as error:
                refusals.append(str(error))
                raise
        seen[name] = []
        for text in requests[name]:
            refusals.clear()
            pair = [answer(by_mlflow), answer(by_scorer)]
            seen[name].append([*pair, pair[1] is None and not refusals])
    print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def answers(shared: SharedFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What MLflow and the scorer answer to each request, and whether the scorer ended otherwise than by a refusal."""
    folder = tmp_path_factory.mktemp("edge")
    requests = {"columns": [*ANSWERED, *REFUSED, *STRICTER], "tensor": [*TENSORS, *NO_TENSORS]}
    (folder / "requests.json").write_text(json.dumps(requests))
    seen = run_in(conversion_python(shared), PROGRAM, str(folder / "models"), str(folder / "requests.json"))
    return {text: pair for name, texts in requests.items() for text, pair in zip(texts, seen[name], strict=True)}


def test_what_mlflow_answers_the_scorer_answers(answers: dict[str, Any]) -> None:
    """
    Any of the four forms, other columns and orders, and values that MLflow converts.
    """
    seen = {text: answers[text] for text in (*ANSWERED, *TENSORS)}

    assert {} == {text: pair for text, pair in seen.items() if pair[0] is None or pair[0] != pair[1]}
    assert {"early", "late"} == {label for labels, *_ in seen.values() for label in labels}


def test_what_mlflow_refuses_the_scorer_refuses(answers: dict[str, Any]) -> None:
    """
    By ValueError, as also numbers that MLflow would wrap around, and values that it would take for others.
    """
    refused = {text: answers[text] for text in (*REFUSED, *NO_TENSORS)}
    stricter = {text: answers[text] for text in STRICTER}

    assert {} == {text: seen for text, seen in refused.items() if seen != [None, None, False]}
    assert {} == {text: seen for text, seen in stricter.items() if seen[0] is None or seen[1:] != [None, False]}
