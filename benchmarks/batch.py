"""
Compares batch scoring by `mlflow-uv score`, by `mlflow models predict` and by hand in one pandas process.

`uv run benchmarks/batch.py --project FOLDER --folder MODEL --python PYTHON` needs a release of examples/wine in the
project's store (`--model models:/wine/1`), a download of its model, and an interpreter with the packages of the model.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

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
result = table[["prediction"]].assign(model_name="wine", model_version="1", release_key="key")
result.to_csv(target, index=False) if target.endswith(".csv") else result.to_parquet(target)
"""
# One interpreter for each command: the peak of a waiting process is that of its largest child.
MEASURE = """
import json, os, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": done.returncode, "seconds": time.perf_counter() - started, "kilobytes": usage.ru_maxrss,
                  "error": done.stderr.decode(errors="replace")[-2000:]}))
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way of scoring: seconds of the whole command, and the peak memory of its largest process in MB."""

    way: str
    format: str
    seconds: float
    megabytes: float


def measured(way: str, kind: str, argv: tuple[str, ...], folder: Path) -> Measured:
    """Run a command once."""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        (sys.executable, "-c", MEASURE, *argv), cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    if result["code"] != 0:
        raise SystemExit(f"{way}, {kind}: {result['error']}")
    return Measured(way=way, format=kind, seconds=result["seconds"], megabytes=result["kilobytes"] / 1000)


def main() -> None:
    """Make the table, run every way on it, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--project", type=Path, required=True, help="project of the released model")
    parser.add_argument("--model", default="models:/wine/1")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the same model, for the other ways")
    parser.add_argument("--python", required=True, help="interpreter with the packages of the model")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-batch-") as scratch:
        folder = Path(scratch)
        subprocess.run((given.python, "-c", MAKE, str(given.rows), scratch), check=True)
        results = list(ways(given, folder))
    print(f"{given.rows:,} rows, {os.cpu_count()} cores\n")
    print("| way | format | seconds | rows/s | peak memory |\n|---|---|---:|---:|---:|")
    for result in results:
        speed = given.rows / result.seconds
        print(f"| {result.way} | {result.format} | {result.seconds:.1f} | {speed:,.0f} | {result.megabytes:.0f} MB |")


def ways(given: argparse.Namespace, folder: Path) -> "list[Measured]":
    """Every way on every format that it reads, the environment of `score` made before."""
    program, model = str(ROOT / "bin" / "mlflow-uv"), str(given.folder)
    score = (program, "score", given.model, "--project", str(given.project), "--isolation", "process")
    warm = folder / "warm.csv"
    with (folder / "table.csv").open() as table:
        warm.write_text("".join(table.readline() for _ in range(10)))
    measured("warm", "csv", (*score, "--input", str(warm), "--output", str(folder / "warm")), folder)
    results = []
    for kind in ("parquet", "csv"):
        table = folder / f"table.{kind}"
        argv = (*score, "--input", str(table), "--output", str(folder / f"scores-{kind}"))
        results.append(measured("`mlflow-uv score`", kind, argv, folder))
        by_hand = (given.python, "-c", BY_HAND, model, str(table), str(folder / f"by-hand.{kind}"))
        results.append(measured("by hand, one pandas process", kind, by_hand, folder))
    stock = (given.python, "-m", "mlflow", "models", "predict", "-m", model, "--env-manager", "local", "-t", "csv")
    files = ("-i", str(folder / "table.csv"), "-o", str(folder / "stock.json"))
    results.append(measured("`mlflow models predict`", "csv", (*stock, *files), folder))
    return results


if __name__ == "__main__":
    main()
