"""Contract: a real model scores tables in its own environment, and what it writes is what its `predict` returns."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import StepError, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.scoring.layout import TableFormat, format_of, stems
from mlflow_uv.core.scoring.manifest import start_of
from mlflow_uv.core.security.serve_env import NO_VARIABLES
from mlflow_uv.ops.scoring.inputs import identified, input_table
from mlflow_uv.ops.scoring.output import opened_output
from mlflow_uv.ops.scoring.session import ScoredFile, ScoringSession, SessionFiles
from mlflow_uv.payloads.messages.scoring import ScoreTables, ScoringResult, TableFile
from mlflow_uv.tools.mlflow.mlflow import Mlflow
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.process import Conversation, SystemRunner
from tests.contracts.mlflow_interpreter import MlflowInterpreter

pytestmark = pytest.mark.installs

MODELS = """
import sys
import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

class Coded(mlflow.pyfunc.PythonModel):
    def __init__(self, offset):
        self.offset = offset

    def predict(self, context, model_input, params=None):
        if (model_input["x"] == 13).any():
            raise ValueError("thirteen is no value")
        length = model_input["code"].str.len().fillna(0) if "code" in model_input else 0
        return (model_input["x"] * params["factor"] + length + model_input["n"] + self.offset).to_numpy()

class Total(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.array([model_input["x"].sum()])

inputs = Schema([
    ColSpec(DataType.string, "code", required=False), ColSpec(DataType.double, "x"), ColSpec(DataType.long, "n"),
])
outputs = Schema([ColSpec(DataType.double)])
signature = ModelSignature(inputs, outputs, ParamSchema([ParamSpec("factor", DataType.double, 2.0)]))
for name, model in {"first": Coded(0.0), "second": Coded(1000.0), "total": Total()}.items():
    mlflow.pyfunc.save_model(f"{sys.argv[1]}/{name}", python_model=model, signature=signature, pip_requirements=[])

import json
rows = [json.loads(line) for line in open(sys.argv[2])]
import pandas as pd
frame = pd.DataFrame(rows)
frame.astype({"n": "Int64"}).to_parquet(sys.argv[3], row_group_size=7)
loaded = mlflow.pyfunc.load_model(f"{sys.argv[1]}/first")
good = frame[(frame["x"] != 13) & frame["n"].notna()].astype({"n": "int64"})
predictions = loaded.predict(good.drop(columns=["id"]), params={"factor": 3.0})
json.dump(dict(zip(good["id"], map(float, predictions))), open(sys.argv[4], "w"))
"""
CODES = ["007", "NA", "with, comma", 'a "quote"', "two\nlines", "é", None]
# The numbers of the rows that no model can score: by value, and by a missing integer.
UNLUCKY, EMPTY = 5, 17


def rows() -> list[dict[str, Any]]:
    """Twenty rows, with keys that look like numbers."""
    return [
        {
            "id": f"{number:04d}",
            "code": CODES[number % len(CODES)],
            "x": 13.0 if number == UNLUCKY else number + 0.1,
            "n": None if number == EMPTY else number,
        }
        for number in range(1, 21)
    ]


@dataclass(frozen=True)
class Bench:
    """
    The models, one table in three formats, and what the first model's own `predict` returns by key.

    `process` answers all requests but those that kill it: importing MLflow takes seconds.
    """

    mlflow: Mlflow
    process: Conversation
    python: Path
    models: Path
    tables: Path
    expected: dict[str, float]


class Quiet:
    """A console that shows nothing."""

    def say(self, text: str) -> None:
        """See Console."""

    foreign = say

    def group(self, _title: str, *, folded: bool = True) -> AbstractContextManager[None]:  # noqa: ARG002
        """See Console."""
        return nullcontext()


@dataclass
class Killed:
    """A conversation whose process is killed at the message that `when` accepts."""

    inner: Conversation
    when: Callable[[dict[str, Any]], bool]

    def ask(self, line: str) -> str | None:
        """See Conversation."""
        message = self.inner.ask(line)
        if message is not None and self.when(json.loads(message)):
            self.inner.stop()
            return None
        return message

    def log(self) -> str:
        """See Conversation."""
        return self.inner.log()

    def stop(self) -> None:
        """See Conversation."""
        self.inner.stop()


@pytest.fixture(scope="module")
def bench(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """See Bench."""
    folder = tmp_path_factory.mktemp("bench")
    tables = folder / "tables"
    tables.mkdir()
    (tables / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows()))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["id", "code", "x", "n"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows())
    (tables / "t.csv").write_text("\ufeff" + text.getvalue())
    (folder / "models.py").write_text(MODELS)
    argv = (mlflow.python, folder / "models.py", folder / "models", tables / "t.jsonl", tables / "t.parquet")
    variables = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    subprocess.run((*argv, folder / "expected.json"), check=True, capture_output=True, cwd=folder, env=variables)
    host = Host.of(os.environ, folder=folder, python=Path(sys.executable))
    client = Mlflow(SystemRunner(), host=host, hear=print, say=print)
    with client.model_process(mlflow.python, None, NO_VARIABLES) as process:
        yield Bench(
            mlflow=client,
            process=process,
            python=mlflow.python,
            models=folder / "models",
            tables=tables,
            expected=json.loads((folder / "expected.json").read_text()),
        )


def scored(
    bench: Bench,
    source: Path,
    output: Path,
    *,
    model: str = "first",
    output_format: str = "jsonl",
    strict: bool = False,
    killed: Callable[[dict[str, Any]], bool] | None = None,
    batch_rows: int = 4,
) -> tuple[ScoringResult, int]:
    """Score a table as the step does, with the key of a run of this model; return the number of parts kept, too."""
    table, kind = input_table(source), TableFormat(output_format)
    with opened_output(output, source) as opened:
        inputs = identified(table, opened.recorded)
        opened.begin(model, {}, inputs, strict=strict)
        names, parts = stems(table.files), opened.manifest.parts
        files = tuple(
            ScoredFile(path=table.files[file.name], identity=file, stem=names[file.name], start=start)
            for file in inputs
            if (start := start_of(file.name, parts)) is not None
        )
        session = ScoringSession(
            SessionFiles(scored=files, format=kind, total_bytes=sum(file.size for file in inputs)),
            opened,
            clock=SystemClock(),
            console=Quiet(),
        )
        request = ScoreTables(
            model=str(bench.models / model),
            files=tuple(
                TableFile(
                    name=file.identity.name,
                    kind=str(getattr(format_of(file.identity.name), "value", "")),
                    size=file.identity.size,
                    row=file.start.row,
                    offset=file.start.offset,
                )
                for file in files
            ),
            format=output_format,
            params={"factor": 3.0},
            key_columns=("id",),
            constants={"model_name": "coded", "model_version": model, "release_key": "key"},
            batch_rows=batch_rows,
            part_rows=8,
            strict=strict,
        )
        if killed:
            with bench.mlflow.model_process(bench.python, None, NO_VARIABLES) as process:
                response = session.run(Killed(process, killed), request)
        else:
            response = session.run(bench.process, request)
        result = bench.mlflow.response_in(ScoreTables, response, ScoringResult)
        opened.publish()
    return result, len(parts)


def written(output: Path) -> list[dict[str, Any]]:
    """Every row of an output in JSON Lines, in the order of its parts."""
    return [
        json.loads(line)
        for part in sorted(output.glob("[!_]*.jsonl"))
        for line in part.read_text(encoding="utf-8").splitlines()
    ]


def predictions(output: Path) -> dict[str, float]:
    """The predictions by key; no key occurs twice."""
    found = written(output)
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row["prediction"] for row in found}


def rejected(output: Path) -> dict[int, str]:
    """The reasons by row."""
    lines = [line for file in sorted((output / "_rejects").glob("*")) for line in file.read_text().splitlines()]
    return {row["input_row"]: row["reason"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_table_is_scored_as_the_model_predicts(bench: Bench, tmp_path: Path, kind: str) -> None:
    """
    Whatever the format: `007` and `NA` stay text, and only the rows that cannot be scored are missing, with reasons.
    """
    output = tmp_path / "scores"

    result, _ = scored(bench, bench.tables / f"t.{kind}", output)

    assert bench.expected == predictions(output)
    assert (18, 2) == (result.rows, result.rejected)
    reasons = rejected(output)
    assert {UNLUCKY, EMPTY} == reasons.keys()
    assert "thirteen is no value" in reasons[UNLUCKY]
    row = next(row for row in written(output) if row["input_row"] == 7)
    own = {name: row[name] for name in ("model_name", "model_version", "release_key", "input_file")}
    assert {
        "model_name": "coded",
        "model_version": "first",
        "release_key": "key",
        "input_file": f"t.{kind}",
    } == own
    assert "0007" == row["id"]


def test_parts_in_parquet_and_csv_hold_the_same(bench: Bench, tmp_path: Path) -> None:
    """
    The format of the output changes no value: read by pandas, both are what JSON Lines are.
    """
    for kind in ("parquet", "csv"):
        scored(bench, bench.tables / "t.parquet", tmp_path / kind, output_format=kind)
    code = (
        "import json, sys, pandas as pd\n"
        "from pathlib import Path\n"
        "frames = [pd.read_parquet(f) for f in sorted(Path(sys.argv[1]).glob('*.parquet'))]\n"
        "frames += [pd.read_csv(f, dtype={'id': str}) for f in sorted(Path(sys.argv[2]).glob('*.csv'))]\n"
        "print(json.dumps([[list(f['id']), [float(p) for p in f['prediction']]] for f in frames]))\n"
    )
    argv = (bench.python, "-c", code, tmp_path / "parquet", tmp_path / "csv")
    parts = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)

    pairs = [pair for ids, values in parts for pair in zip(ids, values, strict=True)]

    assert sorted([*bench.expected.items()] * 2) == sorted(pairs)


def test_a_killed_run_goes_on_where_its_last_part_ended(bench: Bench, tmp_path: Path) -> None:
    """
    Killed in the middle of the second part, and run again: no row is lost, none is twice, none is scored again.
    """
    output, begun = tmp_path / "scores", []

    def in_second_part(message: dict[str, Any]) -> bool:
        begun.extend([message] if message.get("ask") == "part" else [])
        return len(begun) == 2 and message.get("ask") == "progress"

    with pytest.raises(ToolFailed, match="the model ended its process"):
        scored(bench, bench.tables / "t.parquet", output, killed=in_second_part)
    before = written(output)
    result, kept = scored(bench, bench.tables / "t.parquet", output)

    assert ([], 1, 12) == (before, kept, result.rows + result.rejected)
    assert bench.expected == predictions(output)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_long_text_goes_on_at_the_byte_where_its_last_part_ended(bench: Bench, tmp_path: Path, kind: str) -> None:
    """
    Killed before the second of three parts is complete: the rest is read from there, with the right numbers of rows.
    """
    count, output, source, ended = 20_000, tmp_path / "scores", tmp_path / f"long.{kind}", []
    pad = "p" * 600
    numbers = range(1, count + 1)
    if kind == "csv":
        lines = [f'{number:06d},"0,7",{number}.5,{number},{pad}\n' for number in numbers]
        source.write_text("id,code,x,n,pad\n" + "".join(lines))
    else:
        lines = [
            f'{{"id":"{number:06d}","code":"0,7","x":{number}.5,"n":{number},"pad":"{pad}"}}' for number in numbers
        ]
        source.write_text("\n".join(lines))

    def at_second_end(message: dict[str, Any]) -> bool:
        ended.extend([message] if message.get("ask") == "end-part" else [])
        return len(ended) == 2

    with pytest.raises(ToolFailed, match="the model ended its process"):
        scored(bench, source, output, killed=at_second_end, batch_rows=4_000)
    _, kept = scored(bench, source, output, batch_rows=4_000)

    found = [(row["id"], row["input_row"], row["prediction"]) for row in written(output)]
    assert 1 == kept
    assert [(f"{number:06d}", number, 3 * (number + 0.5) + 3 + number) for number in numbers] == found


def test_another_model_or_another_input_is_never_mixed(bench: Bench, tmp_path: Path) -> None:
    """
    A second model replaces the result of the first; so does a changed row, of its file only.
    """
    source, output = tmp_path / "data", tmp_path / "scores"
    source.mkdir()
    text = (bench.tables / "t.jsonl").read_text()
    (source / "a.jsonl").write_text(text)
    (source / "b.jsonl").write_text(text.replace('"id": "', '"id": "b'))
    scored(bench, source, output)

    second, kept = scored(bench, source, output, model="second")
    versions = {row["model_version"] for row in written(output)}
    (source / "a.jsonl").write_text(text.replace('"x": 1.1', '"x": 100.0'))
    third, kept_of_b = scored(bench, source, output, model="second")

    assert (0, 40, {"second"}) == (kept, second.rows + second.rejected, versions)
    assert (1, 20) == (kept_of_b, third.rows + third.rejected)
    found = predictions(output)
    changed = {"0001": bench.expected["0001"] + 3 * (100.0 - 1.1)}
    expected = {**bench.expected, **changed, **{f"b{key}": value for key, value in bench.expected.items()}}
    assert expected.keys() == found.keys()
    assert [] == [key for key in expected if abs(expected[key] + 1000 - found[key]) > 1e-9]


@pytest.mark.parametrize(
    ("model", "content", "strict", "why"),
    [
        ("first", "id,x,n\n1,2,3\n", True, None),
        ("first", "id,code,n\n1,2,3\n", False, "`t.csv` lacks `x`, which the model requires; its columns are `id`"),
        ("first", "code,x,n\na,1,2\n", False, "`t.csv` lacks the key column `id`"),
        ("first", "id,x,x,n\n1,1,2,3\n", False, "`t.csv` has several columns `x`"),
        ("first", "id,code,x,n\n1,a,1,2\n2,b,13,2\n", True, "row 2 of `t.csv` cannot be scored: "),
        ("total", "id,code,x,n\n1,a,1,2\n2,b,3,2\n", False, "the model returns 1 predictions for 2 rows"),
    ],
)
def test_a_table_that_does_not_fit_is_named(
    bench: Bench, tmp_path: Path, model: str, content: str, strict: bool, why: str | None
) -> None:
    """
    A column that is missing or twice, a row with `strict`, a model that aggregates; an optional column may be absent.
    """
    (tmp_path / "t.csv").write_text(content)

    def run() -> ScoringResult:
        return scored(bench, tmp_path / "t.csv", tmp_path / "scores", model=model, strict=strict)[0]

    if why is None:
        assert 1 == run().rows
        return
    with pytest.raises(StepError) as caught:
        run()
    assert why in caught.value.why
    assert [] == list((tmp_path / "scores").glob("[!_]*"))
