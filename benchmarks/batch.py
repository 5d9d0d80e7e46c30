"""
Compares batch scoring by `mlflow-uv score`, by `mlflow models predict` and by hand in one pandas process.

`uv run benchmarks/batch.py --project FOLDER --folder MODEL --python PYTHON --write` needs a release of examples/wine in
the project's store (`--model models:/wine/1`), a download of its model, and an interpreter with the model's packages.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import page

ROOT = Path(__file__).resolve().parents[1]
MAKE = """
import sys
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

wines = load_wine(as_frame=True).data
rows, folder = int(sys.argv[1]), sys.argv[2]
picked = np.random.default_rng(0).integers(0, len(wines), rows)
table = wines.iloc[picked].reset_index(drop=True)
table.to_csv(f"{folder}/table.csv", index=False)
table.to_parquet(f"{folder}/table.parquet")
"""
BY_HAND = """
import sys
import mlflow
import pandas as pd

model, source, target = sys.argv[1:]
read = pd.read_csv if source.endswith(".csv") else pd.read_parquet
table = read(source)
table["prediction"] = mlflow.pyfunc.load_model(model).predict(table)
result = table[["prediction"]].assign(model_name="wine", model_version="1", release_key="0123456789abcdef" * 4)
result.to_csv(target, index=False) if target.endswith(".csv") else result.to_parquet(target)
"""
# One interpreter for each command: the peak of a waiting process is that of its largest child.
MEASURE = """
import json, os, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": done.returncode, "seconds": time.perf_counter() - started, "kilobytes": usage.ru_maxrss,
                  "processor": usage.ru_utime + usage.ru_stime, "error": done.stderr.decode(errors="replace")[-2000:]}))
"""


SCORE, HAND, STOCK = "`mlflow-uv score`", "by hand, one pandas process", "`mlflow models predict`"
SECTION = """
## Batch scoring

`mlflow-uv score` in a process, a short pandas program that reads, predicts and writes, and `mlflow models predict` in
the same environment. {rows:,} rows of 13 numbers, the model of examples/wine, {cores} processors ({machine}), Python
{python}. Each was run {rounds} time(s), in alternation; the numbers are medians of the whole command, with the import
of MLflow. Memory is that of the largest process.

| format | way | seconds | processor seconds | rows per second | peak memory |
|---|---|---:|---:|---:|---:|
{results}

| target | result |
|---|---|
{targets}
"""
TIMES_BY_HAND, TIMES_STOCK, MOST_MB, SPREAD = 1.2, 0.5, 1000, 0.1


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way of scoring: seconds of the whole command, and the peak memory of its largest process in MB."""

    way: str
    format: str
    rows: int
    seconds: float
    processor_s: float
    megabytes: float

    @property
    def line(self) -> str:
        """A row of the table."""
        numbers = f"{self.seconds:.1f} | {self.processor_s:.1f} | {self.rows / self.seconds:,.0f}"
        return f"| {self.format}, {self.rows:,} rows | {self.way} | {numbers} | {self.megabytes:.0f} MB |"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way of scoring a table, as a command without the path of its output, which is the last argument."""

    way: str
    format: str
    rows: int
    argv: tuple[str, ...]

    def measured(self, output: Path) -> Measured:
        """Run it once; what it writes is removed."""
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        argv = (sys.executable, "-c", MEASURE, *self.argv, str(output))
        done = subprocess.run(argv, cwd=output.parent, env=environment, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout)
        if result["code"] != 0:
            raise SystemExit(f"{self.way}, {self.format}: {result['error']}")
        shutil.rmtree(output) if output.is_dir() else output.unlink()
        return Measured(
            way=self.way,
            format=self.format,
            rows=self.rows,
            seconds=result["seconds"],
            processor_s=result["processor"],
            megabytes=result["kilobytes"] / 1000,
        )


def main() -> None:
    """Make the tables, run every way on them in alternation, and print or write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--project", type=Path, required=True, help="project of the released model")
    parser.add_argument("--model", default="models:/wine/1")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the same model, for the other ways")
    parser.add_argument("--python", required=True, help="interpreter with the packages of the model")
    parser.add_argument("--scratch", type=Path, help="folder on the disk that is measured")
    parser.add_argument("--write", action="store_true", help="replace the section in docs/benchmarks.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-batch-", dir=given.scratch) as scratch:
        folder = Path(scratch)
        for rows in (given.rows // 10, given.rows):
            (folder / str(rows)).mkdir()
            subprocess.run((given.python, "-c", MAKE, str(rows), str(folder / str(rows))), check=True)
        ways = sides(given, folder)
        ways[0].measured(folder / "warm")  # makes the environment of `score`
        runs = []
        for _ in range(given.rounds):
            for side in ways:
                runs.append(side.measured(folder / f"scores{'.csv' if side.way == HAND else ''}"))
                print(runs[-1].line, file=sys.stderr, flush=True)
    section = described(given, [median([run for run in runs if key(run) == key(side)]) for side in ways])
    if given.write:
        page.write(Path(__file__).name, section)
    else:
        print(section)


def key(side: Side | Measured) -> tuple[str, str, int]:
    """What is measured."""
    return side.way, side.format, side.rows


def median(runs: list[Measured]) -> Measured:
    """The medians of several runs."""
    return replace(
        runs[0],
        seconds=statistics.median(run.seconds for run in runs),
        processor_s=statistics.median(run.processor_s for run in runs),
        megabytes=statistics.median(run.megabytes for run in runs),
    )


def sides(given: argparse.Namespace, folder: Path) -> list[Side]:
    """Every way on every format that it reads; `score` on a tenth of the rows, too."""
    program, model = str(ROOT / "bin" / "mlflow-uv"), str(given.folder)
    score = (program, "score", given.model, "--project", str(given.project), "--isolation", "process")
    stock = (given.python, "-m", "mlflow", "models", "predict", "-m", model, "--env-manager", "local", "-t", "csv")
    ways = []
    for kind in ("parquet", "csv"):
        for rows in (given.rows // 10, given.rows):
            table = str(folder / str(rows) / f"table.{kind}")
            ways.append(Side(way=SCORE, format=kind, rows=rows, argv=(*score, "--input", table, "--output")))
        by_hand = (given.python, "-c", BY_HAND, model, table)
        ways.append(Side(way=HAND, format=kind, rows=given.rows, argv=by_hand))
    return [*ways, Side(way=STOCK, format="csv", rows=given.rows, argv=(*stock, "-i", table, "-o"))]


def described(given: argparse.Namespace, results: list[Measured]) -> str:
    """The section of the page."""
    by_key = {key(result): result for result in results}
    targets = []
    for kind in ("parquet", "csv"):
        few, ours, hand = (by_key[way, kind, rows] for way, rows in (
            (SCORE, given.rows // 10), (SCORE, given.rows), (HAND, given.rows)
        ))  # fmt: skip
        targets.append(
            (f"{kind}: at most {TIMES_BY_HAND} times by hand", ours.seconds / hand.seconds, TIMES_BY_HAND, "")
        )
        if (STOCK, kind, given.rows) in by_key:
            share = ours.seconds / by_key[STOCK, kind, given.rows].seconds
            targets.append((f"{kind}: at most half of {STOCK}", share, TIMES_STOCK, ""))
        targets.append((f"{kind}: memory under {MOST_MB} MB", ours.megabytes, MOST_MB, " MB"))
        spread = abs(ours.megabytes - few.megabytes) / few.megabytes
        targets.append((f"{kind}: memory within {SPREAD:.0%} of that for a tenth of the rows", spread, SPREAD, "%"))
    return SECTION.format(
        rows=given.rows,
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        rounds=given.rounds,
        results="\n".join(result.line for result in results),
        targets="\n".join(target_line(*target) for target in targets),
    )


def target_line(target: str, value: float, limit: float, unit: str) -> str:
    """A row of the table of targets; one that is missed is bold."""
    text = f"{value:.0%}" if unit == "%" else f"{value:.0f}{unit}" if unit else f"{value:.2f} times"
    return f"| {target} | {text if value <= limit else f'**{text}**'} |"


if __name__ == "__main__":
    main()
