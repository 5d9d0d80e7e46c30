"""Runs each way of scoring a table as a command, and measures its time, processor time and peak memory."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("parquet", "csv")
WORKERS = (1, 2)
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
SPARK_BY_HAND = """
import sys
import mlflow
from pyspark.sql import SparkSession
from pyspark.sql.functions import lit, struct

master, model, source, target = sys.argv[1:]
session = SparkSession.builder.master(master).config("spark.ui.enabled", "false").getOrCreate()
if source.endswith(".csv"):
    names = open(source).readline().strip().split(",")
    schema = ", ".join(f"`{name}` double" for name in names)
    table = session.read.csv(source, header=True, schema=schema)
else:
    table = session.read.parquet(source)
predict = mlflow.pyfunc.spark_udf(session, model, result_type="bigint", env_manager="local")
result = table.select(predict(struct(*(table[f"`{name}`"] for name in table.columns))).alias("prediction"))
for name, text in {"model_name": "wine", "model_version": "1", "release_key": "0123456789abcdef" * 4}.items():
    result = result.withColumn(name, lit(text))
(result.write.csv(target, header=True) if source.endswith(".csv") else result.write.parquet(target))
session.stop()
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
SCORE, HAND, STOCK = "score", "by-hand", "mlflow-predict"
# Variables that would make one side slower than the others: without bytecode, each start compiles MLflow again.
UNFAIR = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONPROFILEIMPORTTIME")


def on_spark(way: str, workers: int) -> str:
    """The name of a way on Spark."""
    return f"{way}-spark-{workers}"


@dataclass(frozen=True, kw_only=True)
class Side:
    """A way of scoring a table, as a command without the path of its output, which is the last argument."""

    way: str
    format: str
    rows: int
    argv: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    suffix: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What is measured."""
        return self.way, self.format, self.rows

    def measured(self, folder: Path) -> dict[str, Any]:
        """Run it once; what it writes is removed. Seconds of the whole command, and the peak of its largest process."""
        output = folder / f"output{self.suffix}"
        kept = {name: value for name, value in os.environ.items() if name not in UNFAIR}
        environment = {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", **self.variables}
        argv = (sys.executable, "-c", MEASURE, *self.argv, str(output))
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout)
        if result["code"] != 0:
            raise SystemExit(f"{self.way}, {self.format}: {result['error']}")
        shutil.rmtree(output) if output.is_dir() else output.unlink()
        return {
            "way": self.way,
            "format": self.format,
            "rows": self.rows,
            "seconds": result["seconds"],
            "processor": result["processor"],
            "bytes": result["kilobytes"] * 1024,
        }


def sides(given: argparse.Namespace, folder: Path) -> Iterator[Side]:
    """Yield every way on every format that it reads; `score` on a tenth of the rows, too."""
    program, model = str(ROOT / "bin" / "mlflow-uv"), str(given.folder)
    score = (program, "score", given.model, "--project", str(given.project), "--isolation", "process")
    few, many = given.rows // 10, given.rows
    for kind in FORMATS:
        tables = {rows: str(folder / str(rows) / f"table.{kind}") for rows in (few, many)}
        for rows, table in tables.items():
            yield Side(way=SCORE, format=kind, rows=rows, argv=(*score, "--input", table, "--output"))
        by_hand = (given.python, "-c", BY_HAND, model, tables[many])
        yield Side(way=HAND, format=kind, rows=many, argv=by_hand, suffix=f".{kind}")
        if kind == "csv":
            stock = ("-m", "mlflow", "models", "predict", "-m", model, "--env-manager", "local", "-t", "csv")
            argv = (given.python, *stock, "-i", tables[many], "-o")
            yield Side(way=STOCK, format=kind, rows=many, argv=argv)
        for workers in WORKERS if given.spark_python else ():
            master = f"local[{workers}]"
            ours = (*score, "--spark-master", master, "--input", tables[many], "--output")
            yield Side(way=on_spark(SCORE, workers), format=kind, rows=many, argv=ours)
            hand = (given.spark_python, "-c", SPARK_BY_HAND, master, model, tables[many])
            variables = {"PYSPARK_PYTHON": given.spark_python, "SPARK_LOCAL_IP": "127.0.0.1"}
            yield Side(way=on_spark(HAND, workers), format=kind, rows=many, argv=hand, variables=variables)
