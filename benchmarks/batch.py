"""
Compares batch scoring by `mlflow-uv score`, by `mlflow models predict`, by hand in pandas, and on Spark.

    uv run benchmarks/batch.py --project FOLDER --folder MODEL --python PYTHON [--spark-python PYTHON] [--write]

This needs a release of examples/wine in the project's store (`--model models:/wine/1`), a download of its model, an
interpreter with the model's packages, and for Spark one that has PySpark in addition. Each result is added to the file
`--numbers` at once, and `--minutes` ends the run between two measurements: the same command continues it. `--write`
writes batch.json, the section of docs/benchmarks.md and its picture; `--from` measures nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import page
from batching.chart import chart
from batching.sides import MAKE, Side, sides
from batching.tables import results, targets

NUMBERS = Path(__file__).with_suffix(".json")
PICTURE = page.PAGE.with_name("batch-scoring.svg")
SECTION = """
## Batch scoring

`mlflow-uv score` in a process, a short pandas program that reads, predicts and writes, `mlflow models predict` in the
same environment, and on Spark in local mode `mlflow-uv score` and a short program with `mlflow.pyfunc.spark_udf`.
{rows:,} rows of 13 numbers, the model of examples/wine, {cores} processors ({machine}), Python {python}. Each was run
{rounds} time(s), in alternation, after a run of each on a table of {warm:,} rows; the numbers are medians of the whole
command, with the start of Python, of Spark and the import of MLflow. Memory is that of the largest process; processor
time and memory of Spark's processes are not measured. `mlflow models predict` writes the predictions alone, the others
write version and release beside each.{remark}

![Rows per second of each way of scoring](batch-scoring.svg)

{results}

**Bold numbers miss the target.**

{targets}
"""
WARM_ROWS = 1000


def main() -> None:
    """Measure, or read numbers, then print and perhaps write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--project", type=Path, help="project of the released model")
    parser.add_argument("--model", default="models:/wine/1")
    parser.add_argument("--folder", type=Path, help="folder of the same model, for the other ways")
    parser.add_argument("--python", help="interpreter with the packages of the model")
    parser.add_argument("--spark-python", default="", help="interpreter with these packages and PySpark")
    parser.add_argument("--scratch", type=Path, help="folder on the disk that is measured")
    parser.add_argument("--numbers", type=Path, default=Path("batch-numbers.json"), help="file of a run that continues")
    parser.add_argument("--minutes", type=float, default=1e6, help="start no measurement after this time")
    parser.add_argument("--remark", default="", help="a sentence about the machine, such as that it was not quiet")
    parser.add_argument("--from", dest="earlier", type=Path, help="numbers of an earlier run")
    parser.add_argument("--write", action="store_true", help="write numbers, page and picture")
    given = parser.parse_args()
    if given.earlier is None and not (given.project and given.folder and given.python):
        parser.error("--project, --folder and --python are needed to measure")
    numbers = json.loads(given.earlier.read_text()) if given.earlier else measured(given)
    if numbers is None:
        raise SystemExit("not complete yet: run it again to continue")
    print(section(numbers), end="")
    if given.write:
        NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n")
        PICTURE.write_text(chart(numbers))
        page.write(Path(__file__).name, section(numbers))


def measured(given: argparse.Namespace) -> dict[str, Any] | None:
    """The numbers of all ways, run in alternation; None if the time is over before all were measured."""
    until = time.monotonic() + given.minutes * 60
    numbers: dict[str, Any] = {
        "rows": given.rows,
        "rounds": given.rounds,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "remark": given.remark,
        "runs": [],
    }
    if given.numbers.is_file():
        numbers = json.loads(given.numbers.read_text())
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-batch-", dir=given.scratch) as scratch:
        folder = Path(scratch)
        for rows in (WARM_ROWS // 10, WARM_ROWS, given.rows // 10, given.rows):
            (folder / str(rows)).mkdir(exist_ok=True)
            subprocess.run((given.python, "-c", MAKE, str(rows), str(folder / str(rows))), check=True)
        warm: set[str] = set()
        for round_ in range(given.rounds):
            for side in sides(given, folder):
                if times(numbers, side) > round_:
                    continue
                if time.monotonic() > until:
                    return None
                if side.way not in warm:  # makes environments and bytecode, for every side alike
                    small = argparse.Namespace(**{**vars(given), "rows": WARM_ROWS})
                    next(item for item in sides(small, folder) if item.way == side.way).measured(folder)
                    warm.add(side.way)
                numbers["runs"].append(side.measured(folder))
                given.numbers.write_text(json.dumps(numbers, indent=1) + "\n")
                print(numbers["runs"][-1], file=sys.stderr, flush=True)
    return numbers


def times(numbers: Mapping[str, Any], side: Side) -> int:
    """How often a side was measured."""
    return sum((run["way"], run["format"], run["rows"]) == side.key for run in numbers["runs"])


def section(numbers: Mapping[str, Any]) -> str:
    """Our part of docs/benchmarks.md."""
    about = {name: numbers[name] for name in ("rows", "rounds", "cores", "machine", "python")}
    remark = f"\n{numbers['remark']}" if numbers["remark"] else ""
    return SECTION.format(**about, warm=WARM_ROWS, remark=remark, results=results(numbers), targets=targets(numbers))


if __name__ == "__main__":
    main()
