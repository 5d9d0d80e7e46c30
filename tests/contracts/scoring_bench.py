"""Models that are saved by MLflow, tables for them, and one process that scores."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tests.stores import login_of

MODELS = """
import os
import sys
import mlflow
import numpy as np
import pandas as pd
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

class Table(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        x = model_input["x"]
        nested = [{"of": [value, np.float32(0.5)], "n": int(n)} for value, n in zip(x, model_input["n"])]
        low = np.where(x > 10, np.nan, x)
        return pd.DataFrame({"low": low, "id": x.astype(str), "nested": nested, "day": pd.Timestamp("2026-01-02")})

class Dying(mlflow.pyfunc.PythonModel):
    calls = 0

    def predict(self, context, model_input, params=None):
        self.calls += 1
        if self.calls == 4:
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(0)
        return model_input["x"].to_numpy()

inputs = Schema([
    ColSpec(DataType.string, "code", required=False), ColSpec(DataType.double, "x"), ColSpec(DataType.long, "n"),
])
outputs = Schema([ColSpec(DataType.double)])
signature = ModelSignature(inputs, outputs, ParamSchema([ParamSpec("factor", DataType.double, 2.0)]))
models = {"first": Coded(0.0), "second": Coded(1000.0), "total": Total(), "table": Table(), "dying": Dying()}
for name, model in models.items():
    declared = ModelSignature(inputs, None, signature.params) if name == "table" else signature
    mlflow.pyfunc.save_model(f"{sys.argv[1]}/{name}", python_model=model, signature=declared, pip_requirements=[])

import json
rows = [json.loads(line) for line in open(sys.argv[2])]
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

    def run_python(self, code: str, *arguments: object) -> str:
        """Run a program in the environment of the models; return what it prints."""
        argv = (str(self.python), "-c", code, *map(str, arguments))
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Quiet:
    """A console that shows nothing."""

    def say(self, text: str) -> None:
        """See Console."""

    foreign = conceal = say

    def step(self, _name: str) -> AbstractContextManager[None]:
        """See Console."""
        return nullcontext()

    def group(self, _title: str, *, folded: bool = True) -> AbstractContextManager[None]:
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

    def code(self) -> int | None:
        """See Conversation."""
        return self.inner.code()

    def log(self) -> str:
        """See Conversation."""
        return self.inner.log()

    def stop(self) -> None:
        """See Conversation."""
        self.inner.stop()


@contextmanager
def open_bench(mlflow: MlflowInterpreter, folder: Path) -> Iterator[Bench]:
    """A bench whose models and tables are in a folder."""
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
    client = Mlflow(SystemRunner(), host=host, login=login_of(host), on_line=print, say=print)
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
    part_rows: int = 8,
    watched: list[int] | None = None,
) -> tuple[ScoringResult, int]:
    """
    Score a table as the step does, with the key of a run of this model; return the number of parts kept, too.

    With `watched`, the peak memory of the process in bytes is appended to it.
    """
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
            part_rows=part_rows,
            strict=strict,
        )
        if killed or watched is not None:
            with bench.mlflow.model_process(bench.python, None, NO_VARIABLES) as process:
                asked = Killed(process, killed) if killed else process
                response = session.run(asked, request)
                if watched is not None:
                    watched.append(peak_bytes(process))
        else:
            response = session.run(bench.process, request)
        result = bench.mlflow.response_in(ScoreTables, response, ScoringResult)
        opened.publish()
    return result, len(parts)


def peak_bytes(process: Conversation) -> int:
    """The largest amount of memory that a running process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()  # type: ignore[attr-defined]  # a process has one
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


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
