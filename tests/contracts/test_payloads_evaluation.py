"""Contract: what a model is worth on data, found by the real evaluator, kept in a real store, and compared alike."""

import csv
import hashlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter

TARGET = "cultivar"
# scikit-learn alone, on the same rows: what the evaluator must come to.
ORACLE = """
import sys, mlflow.sklearn, pandas as pd
from sklearn.metrics import accuracy_score, log_loss
data = pd.read_csv(sys.argv[1])
model = mlflow.sklearn.load_model(sys.argv[2])
features = data.drop(columns=["cultivar"])
print(accuracy_score(data["cultivar"], model.predict(features)))
print(log_loss(data["cultivar"], model.predict_proba(features)))
"""
HOLDOUT = """
from sklearn.datasets import load_wine

def wines():
    features, cultivars = load_wine(as_frame=True, return_X_y=True)
    return features.assign(cultivar=cultivars)

def nothing():
    return None

def broken():
    raise OSError("the lake is dry")

def interrupting():
    raise KeyboardInterrupt

def leaving():
    raise SystemExit(0)
"""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A payload process that stays, as the steps keep it: importing MLflow takes seconds."""

    process: "subprocess.Popen[str]"
    scratch: Path

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """The value that it answers with."""
        response = self.respond(verb, **request)
        assert "value" in response, response
        return dict(response["value"])

    def respond(self, verb: str, **request: Any) -> dict[str, Any]:
        """What it answers to one question."""
        answer = self.scratch / f"{uuid.uuid4().hex}.json"
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        question = {"verb": verb, "request": request, "response": str(answer)}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        assert "{}\n" == self.process.stdout.readline()
        return dict(json.loads(answer.read_text()))


def talking(mlflow: MlflowInterpreter, folder: Path, variables: Mapping[str, str]) -> Iterator[Talk]:
    """A process that is asked line by line, on the stores that the variables name."""
    with subprocess.Popen(
        [mlflow.python, "-I", mlflow.payloads], cwd=folder, env={**os.environ, **QUIET, **variables},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        yield Talk(process=process, scratch=folder)


@pytest.fixture(scope="module")
def evaluator(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One that evaluates, on a store to be thrown away."""
    folder = tmp_path_factory.mktemp("evaluator")
    yield from talking(mlflow, folder, {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'scratch.db'}"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with functions that return data, or should."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "holdout.py").write_text(HOLDOUT)
    return folder


@pytest.fixture(scope="module")
def caller(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One that calls functions of the project."""
    yield from talking(mlflow, tmp_path_factory.mktemp("caller"), {})


@pytest.fixture(scope="module")
def parquet(caller: Talk, project: Path) -> Path:
    """All wines, as a function of the project returned it."""
    file = project / "data.parquet"
    response = caller.respond("write-data", function="holdout:wines", folder=str(project), destination=str(file))
    assert {"value": {"rows": 178}} == response
    return file


@pytest.fixture(scope="module")
def expected_metrics(mlflow: MlflowInterpreter, wine_model: Path, parquet: Path) -> list[float]:
    """What scikit-learn says of the same rows, which are written as CSV on the way."""
    code = f"import pandas as pd; pd.read_parquet('data.parquet').to_csv('data.csv', index=False)\n{ORACLE}"
    done = mlflow.run("-c", code, "data.csv", wine_model, cwd=parquet.parent)
    assert done.returncode == 0, done.stderr
    return [round(float(line), 9) for line in done.stdout.split()]


def asked(model: Path, data: Path, scratch: Path, **more: Any) -> dict[str, Any]:
    """A question about a classifier."""
    words = {"target": TARGET, "model_type": "classifier", "artifacts": str(scratch / "artifacts")}
    return {"model": str(model), "data": str(data), **words, **more}


def rewritten(source: Path, folder: Path, kind: str) -> Path:
    """The same rows in another format, whole numbers as a person or another program may write them."""
    rows = [
        {name: float(value) for name, value in row.items()} for row in csv.DictReader(source.read_text().splitlines())
    ]
    plain = [{name: value if value % 1 else int(value) for name, value in row.items()} for row in rows]
    texts = {
        "records.json": json.dumps(plain),
        "split.json": json.dumps({"columns": list(plain[0]), "data": [list(row.values()) for row in plain]}),
        "columns.json": json.dumps({name: {str(at): row[name] for at, row in enumerate(plain)} for name in plain[0]}),
        "rows.jsonl": "".join(f"{json.dumps(row)}\n" for row in plain),
    }
    path = folder / kind
    path.write_text(texts[kind])
    return path


@pytest.mark.core_variants(1)
@pytest.mark.parametrize(
    "kind",
    [
        "data.parquet",
        "data.csv",
        "split.json",
        "rows.jsonl",
        *(pytest.param(kind, marks=pytest.mark.extended) for kind in ("records.json", "columns.json")),
    ],
)
def test_a_model_is_evaluated_as_scikit_learn_does(
    evaluator: Talk, wine_model: Path, parquet: Path, expected_metrics: list[float], tmp_path: Path, kind: str
) -> None:
    """
    The metrics are those of the same rows, in whatever format; latencies, plots and the file's digest are there.
    """
    data = parquet.parent / kind if kind.startswith("data.") else rewritten(parquet.parent / "data.csv", tmp_path, kind)

    found = evaluator.ask("evaluate", **asked(wine_model, data, tmp_path))

    metrics = found["metrics"]
    assert expected_metrics == [round(metrics[name], 9) for name in ("accuracy_score", "log_loss")]
    assert 0 < metrics["latency_p50_ms"] <= metrics["latency_p95_ms"]
    assert "confusion_matrix.png" in [path.name for path in Path(found["artifacts"]).iterdir()]
    assert (178, hashlib.sha256(data.read_bytes()).hexdigest()) == (found["rows"], found["data_sha256"])


@pytest.mark.core_variants(4)
@pytest.mark.parametrize(
    ("spoil", "more", "kind", "why"),
    [
        ("", {"target": "vineyard"}, "invalid", "it has no column `vineyard`; its columns are alcohol"),
        ("a\n", {}, "invalid", "holds no rows"),
        ("[1, 2]", {}, "invalid", "neither a list of objects"),
        ('{"ash": [1, 2]}', {}, "invalid", "DataFrame.to_json writes them as records, split and columns"),
        ("{", {}, "invalid", "cannot be read: JSONDecodeError"),
        ("cultivar,ash\n1,lead\n", {}, "invalid", "does not fit the model's signature"),
        ("cultivar,ash\n1,2.5\n", {}, "invalid", "it lacks `alcohol`, `malic_acid`, "),
        ("", {"model_type": "regression"}, "invalid", "cannot use it as a regression"),
    ],
)
def test_what_cannot_be_evaluated_says_why(
    evaluator: Talk, wine_model: Path, parquet: Path, tmp_path: Path,
    spoil: str, more: Mapping[str, Any], kind: str, why: str,
) -> None:  # fmt: skip
    """
    A column that is not there, a file that is no table, one of another shape, a kind of model that MLflow lacks.
    """
    data = tmp_path / ("data.json" if spoil[:1] in ("[", "{") else "data.csv") if spoil else parquet
    if spoil:
        data.write_text(spoil)

    refused = evaluator.respond("evaluate", **asked(wine_model, data, tmp_path, **more))["error"]

    assert (kind, True) == (refused["kind"], why in refused["message"]), refused


# Row 120 lies behind those that are asked one by one.
SPOILS = {
    "extra column": 'data.insert(0, "id", range(len(data)))',
    "whole numbers": 'data["ash"] = data["ash"].round().astype("int64")',
    "too large": 'data["ash"] = 2**53 + 1',
    "gap": 'data.loc[0, "ash"] = None',
    "late gap": 'data.loc[120, "ash"] = None',
    "endless": 'data.loc[0, "ash"] = float("inf")',
    "text": 'data["ash"] = "lead"',
    "names": 'data[TARGET] = data[TARGET].map({0: "a", 1: "b", 2: "c"})',
}


@pytest.fixture(scope="module")
def spoiled(mlflow: MlflowInterpreter, parquet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all wines, each file with something else about it that people do to data."""
    folder = tmp_path_factory.mktemp("spoiled")
    lines = ["import pandas as pd", f"TARGET = {TARGET!r}"]
    for name, code in SPOILS.items():
        lines += [f"data = pd.read_parquet({str(parquet)!r})", code, f"data.to_parquet({name + '.parquet'!r})"]
    done = mlflow.run("-c", "\n".join(lines), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.core_variants(1)
@pytest.mark.parametrize("kind", ["extra column", "whole numbers"])
def test_what_the_server_would_accept_is_accepted(
    evaluator: Talk, wine_model: Path, spoiled: Path, tmp_path: Path, kind: str
) -> None:
    """
    A column that the model does not know, which it never sees, and whole numbers where it asks for others.
    """
    found = evaluator.ask("evaluate", **asked(wine_model, spoiled / f"{kind}.parquet", tmp_path))

    assert (178, True) == (found["rows"], found["metrics"]["accuracy_score"] > 0.9)


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (
            "too large",
            "column `ash` holds int64 values without an exact float64, its declared type; `astype('float64')`",
        ),
        ("gap", "it has rows without a finite value in `ash`: ValueError: Input X contains NaN."),
        pytest.param("late gap", "it has rows without a finite value in `ash`: ", marks=pytest.mark.extended),
        pytest.param(
            "endless",
            "it has rows without a finite value in `ash`: ValueError: Input X contains infinity",
            marks=pytest.mark.extended,
        ),
        ("text", "it does not fit the model's signature: Incompatible input types for column ash."),
        ("names", "whose target `cultivar` is of type "),
    ],
)
def test_data_at_fault_is_told_as_such_in_one_line(
    evaluator: Talk, wine_model: Path, spoiled: Path, tmp_path: Path, kind: str, why: str
) -> None:
    """
    By its column; nobody takes the model for unusable, and no table of MLflow's is printed.
    """
    refused = evaluator.respond("evaluate", **asked(wine_model, spoiled / f"{kind}.parquet", tmp_path))["error"]

    description = (refused["kind"], why in refused["message"], len(refused["message"].splitlines()))
    assert ("invalid", True, 1) == description, refused


def test_a_process_answers_for_one_model(
    evaluator: Talk, wine_model: Path, parquet: Path, expected_metrics: list[float], tmp_path: Path
) -> None:
    """
    MLflow would run the module of the first model for the second one's of the same name.
    """
    same = evaluator.ask("evaluate", **asked(wine_model, parquet, tmp_path))
    another = evaluator.respond("evaluate", **asked(tmp_path, parquet, tmp_path))["error"]

    assert expected_metrics[0] == round(same["metrics"]["accuracy_score"], 9)
    assert "this process has evaluated another model before" == another["message"]


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("holdout:nothing", "returned a NoneType, not a pandas DataFrame"),
        ("holdout:broken", "OSError: the lake is dry"),
        ("holdout:interrupting", "`holdout:interrupting` ended with KeyboardInterrupt"),
        ("holdout:leaving", "`holdout:leaving` ended with SystemExit"),
        ("holdout:gone", "no function called `gone`"),
        ("gone:wines", "no module called `gone`"),
    ],
)
def test_a_function_that_returns_no_table_is_refused(
    caller: Talk, project: Path, tmp_path: Path, function: str, why: str
) -> None:
    """
    By its name, with what it did instead.
    """
    words = {"function": function, "folder": str(project), "destination": str(tmp_path / "d.parquet")}

    refused = caller.respond("write-data", **words)["error"]

    assert ("invalid", True) == (refused["kind"], why in refused["message"]), refused


# what the store keeps


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Runs of evaluations in a real store, made as the step makes them."""

    talk: Talk
    model_ids: tuple[str, str]

    def made(
        self, model: int, evaluation: str, data: str,
        *, accuracy: float = 0.9, status: str = "FINISHED", source: str = "file unseen.csv", day: int = 1,
    ) -> str:  # fmt: skip
        """The run of one model, which was asked for on that day of a month."""
        tags = {
            "mlflow-uv.evaluation": evaluation, "mlflow-uv.data-sha256": data, "mlflow-uv.evaluation-settings": "s",
            "mlflow-uv.evaluated-model": self.model_ids[model], "mlflow-uv.model-sha256": f"digest {model}",
            "mlflow-uv.evaluation-data": source, "mlflow-uv.evaluation-asked": f"2026-01-0{day}",
        }  # fmt: skip
        words = {"model_id": self.model_ids[model], "run_id": None, "experiment": "x", "run_name": "evaluate"}
        run_id = str(self.talk.ask("start-evaluation", tags=tags, **words)["run_id"])
        metrics = {"accuracy_score": accuracy}
        words = {"run_id": run_id, "model_id": self.model_ids[model]}
        assert {"value": {}} == self.talk.respond("fill-evaluation", metrics=metrics, artifacts="/nowhere", **words)
        if status != "RUNNING":
            self.talk.respond("end-run", run_id=run_id, status=status)
        return run_id

    def found(self, *models: int, **more: Any) -> dict[str, Any]:
        """What is found of these models."""
        ids = [self.model_ids[model] for model in models]
        return dict(self.talk.ask("find-evaluation", model_ids=ids, **more))


@pytest.fixture(scope="module")
def store(
    mlflow: MlflowInterpreter, local_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Talk, str]]:
    """A process on the store that the other contract tests share, and a run that makes models there."""
    for talk in talking(mlflow, tmp_path_factory.mktemp("scores"), local_store.variables):
        made = talk.respond("create-run", experiment="scores", tags={}, run_name="training")
        yield talk, made["value"]["run_id"]


@pytest.fixture
def scores(store: tuple[Talk, str], wine_model: Path) -> Scores:
    """Two models that nobody has evaluated yet."""
    talk, run_id = store
    words = {"folder": str(wine_model), "name": "wine", "run_id": run_id}
    first, second = (talk.ask("log-folder", **words)["model_id"] for _ in (1, 2))
    return Scores(talk=talk, model_ids=(first, second))


def test_the_runs_of_one_evaluation_are_a_pair(scores: Scores, store: tuple[Talk, str]) -> None:
    """
    Both models have their numbers and digests; the runs lie below the one that made the models, and so do the metrics.
    """
    runs = [scores.made(0, "one", "d", accuracy=0.9), scores.made(1, "one", "d", accuracy=0.8)]

    found = scores.found(0, 1)

    models = [found["models"][model_id] for model_id in scores.model_ids]
    assert ("one", "d", runs) == (found["evaluation"], found["data_sha256"], [model["run_id"] for model in models])
    assert [(0.9, "digest 0"), (0.8, "digest 1")] == [
        (model["metrics"]["accuracy_score"], model["model_sha256"]) for model in models
    ]
    assert store[1] == scores.talk.ask("describe-run", run_id=runs[0])["tags"]["mlflow.parentRunId"]


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("one", "d"), ("two", "d")),
        (("one", "d"), ("one", "other data")),
        (("one", "d", "FINISHED"), ("one", "d", "RUNNING")),
        (("one", "d", "KILLED"), ("one", "d", "FINISHED")),
        (("one", "d", "FAILED"), ("one", "d", "FAILED")),
    ],
    ids=["another evaluation", "other data", "not ended", "killed", "failed"],
)
def test_like_is_compared_with_like(scores: Scores, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """
    Numbers of two evaluations, or of other data, or of a run that was not finished, are no pair.
    """
    for model, (evaluation, data, *status) in enumerate((first, second)):
        scores.made(model, evaluation, data, status=status[0] if status else "FINISHED")

    found = scores.found(0, 1)

    assert (None, {}) == (found["evaluation"], found["models"])


@pytest.mark.extended
def test_the_newest_pair_is_found(scores: Scores) -> None:
    """
    Of several that both models share, and of those that carry the tags that are asked for.
    """
    for evaluation, data in (("one", "d"), ("two", "e"), ("three", "e")):
        scores.made(0, evaluation, data)
    for evaluation, data in (("one", "d"), ("two", "e")):
        scores.made(1, evaluation, data)

    found = [
        scores.found(0, 1)["evaluation"], scores.found(0)["evaluation"],
        scores.found(0, 1, tags={"mlflow-uv.data-sha256": "d"})["evaluation"],
        scores.found(0, 1, tags={"mlflow-uv.data-sha256": "f"})["evaluation"],
    ]  # fmt: skip

    assert ["two", "three", "one", None] == found


def test_what_was_asked_for_last_is_found(scores: Scores) -> None:
    """
    One that was found again counts as newer than one of another file that ran later, unless that file is asked for.
    """
    first = [scores.made(model, "one", "d", source="file good.csv", day=1) for model in (0, 1)]
    for model in (0, 1):
        scores.made(model, "two", "e", source="file easy.csv", day=2)
    before = scores.found(0, 1)["evaluation"]

    for run_id in first:
        scores.talk.respond("tag", run_id=run_id, tags={"mlflow-uv.evaluation-asked": "2026-01-03"})
    again = scores.found(0, 1)

    source = "mlflow-uv.evaluation-data"
    easy = scores.found(0, 1, tags={source: "file easy.csv"})["evaluation"]
    assert ("two", "one", "file good.csv", "two") == (before, again["evaluation"], again["tags"][source], easy)
