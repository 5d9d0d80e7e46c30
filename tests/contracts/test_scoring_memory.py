"""Contract: the memory of a model's process that scores does not depend on the number of rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.scoring_bench import Bench, open_bench, scored

pytestmark = [pytest.mark.installs, pytest.mark.extended]

FEW, MANY = 1_000_000, 10_000_000
LIMIT = 1 << 30
MAKE = """
import sys
import pyarrow as pa
from pyarrow import csv, parquet

rows, path = int(sys.argv[1]), sys.argv[2]
schema = pa.schema([("id", pa.int64()), ("code", pa.string()), ("x", pa.float64()), ("n", pa.int64())])
kind = parquet.ParquetWriter if path.endswith(".parquet") else csv.CSVWriter
with kind(path, schema) as writer:
    for first in range(0, rows, 100_000):
        numbers = pa.array(range(first, first + 100_000))
        halves = pa.array([number + 0.5 for number in range(first, first + 100_000)])
        codes = pa.array([f"c{number:08d}" for number in range(first, first + 100_000)])
        writer.write_table(pa.table([numbers, codes, halves, numbers], schema=schema))
"""


@pytest.fixture(scope="module")
def bench(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """See Bench."""
    with open_bench(mlflow, tmp_path_factory.mktemp("bench")) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_ten_times_the_rows_need_no_more_memory(bench: Bench, tmp_path: Path, kind: str) -> None:
    """
    Under 1 GiB for ten million rows, and within 10 % of what one million rows need.
    """
    peaks: list[int] = []
    for rows in (FEW, MANY):
        source, output = tmp_path / f"{rows}.{kind}", tmp_path / f"scores-{rows}"
        bench.run_python(MAKE, rows, source)
        result, _ = scored(
            bench, source, output, output_format=kind, batch_rows=10_000, part_rows=1_000_000, watched=peaks
        )
        assert rows == result.rows
        source.unlink()

    few, many = peaks
    assert many < LIMIT
    assert abs(many - few) <= few / 10, peaks
