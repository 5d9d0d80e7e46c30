"""A file is divided into ranges that hold each of its rows once, with their numbers."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.payloads.messages.scoring import EndPart
from mlflow_uv.payloads.scoring.ranges import (
    FileRange,
    ShorterBlock,
    TextRange,
    count_rows,
    numbered_ranges,
    of_file,
    row_ranges,
    text_ranges,
)
from mlflow_uv.payloads.scoring.tables import Position, TableRequest


def test_rows_are_divided_without_a_gap() -> None:
    """
    From the row on where an earlier run ended; the last range ends the file.
    """
    found = row_ranges(3, 5, 12, 4)

    assert [(3, 5, 9, False), (3, 9, 12, True)] == [(one.file, one.start.row, one.stop, one.last) for one in found]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_text_is_divided_between_records(tmp_path: Path, kind: str) -> None:
    """
    A line break in quotes divides no record, blank lines are none, and a range without records is left out.
    """
    pad = "p" * 500_000
    lines = [f'"{number}\n{pad}",x\n' if kind == "csv" else f'{{"a": "{pad}"}}\n' for number in range(50)]
    text = "".join(lines).encode() + b"\n" * 100
    (tmp_path / "t").write_bytes(text)
    with (tmp_path / "t").open("rb") as file:
        request = TableRequest(
            name="t", file=cast("Any", file), size=len(text), model=None, key_columns=(), batch_rows=1
        )
        parts = list(text_ranges(0, request, kind, 0, size=1000))
    counts = [count_rows(part, str(tmp_path / "t"), kind) for part in parts]

    numbered = numbered_ranges(parts, counts, 7)

    assert (50, True) == (sum(counts), len(numbered) > 3)
    assert [7 + sum(counts[:at]) for at in range(len(numbered))] == [part.start.row for part in numbered]
    assert [False] * (len(numbered) - 1) + [True] == [part.last for part in numbered]


def test_a_range_of_a_text_ends_at_its_byte(tmp_path: Path) -> None:
    """
    Whatever is read at once, and wherever it is read from.
    """
    (tmp_path / "t").write_bytes(b"0123456789")

    with io.BufferedReader(cast("Any", TextRange(tmp_path / "t", 7))) as file:
        first = file.read()
        file.seek(5)
        again = file.read()

    assert (b"0123456", b"56") == (first, again)


def test_only_the_last_range_ends_its_file() -> None:
    """
    Each range is scored as if it were a file; the last message of the others does not end it.
    """
    end = EndPart(rows=1, rejected=0, row=1, offset=0, last=True)
    block = cast("Any", SimpleNamespace(end=Position(20), count=10, fraction=0.5))

    found = [next(of_file([end], FileRange(0, Position(), 1, last=last))) for last in (False, True)]
    shorter = ShorterBlock(block, 4)

    assert [False, True] == [cast("EndPart", one).last for one in found]
    assert (4, 14) == (shorter.count, shorter.end.row)
