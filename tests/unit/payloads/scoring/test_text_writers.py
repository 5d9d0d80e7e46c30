"""Lines of CSV and JSON Lines, as their readers in the standard library read them."""

import csv
import io
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from mlflow_uv.payloads.problems import Problem
from mlflow_uv.payloads.scoring.text_writers import CsvWriter, JsonLinesWriter, Repeated

TEXTS = ["007", "", "a,b", 'a "b"', "two\nlines", "é 100% %s", " x "]
COUNT = len(TEXTS)


class Kind:
    """A type of NumPy."""

    isbuiltin = 1

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Numbers:
    """An array of NumPy, which is not installed here."""

    def __init__(self, kind: str, values: list[Any]) -> None:
        self.dtype = Kind(kind)
        self._values = values

    def tolist(self) -> list[Any]:
        """See numpy.ndarray."""
        return self._values


def written(kind: type[CsvWriter] | type[JsonLinesWriter], *batches: dict[str, Any]) -> str:
    """What a writer writes for batches of COUNT rows."""
    raw = io.BytesIO()
    file = io.BufferedWriter(raw)
    writer = kind(file)
    for batch in batches:
        writer.add(batch, COUNT)
    writer.close()
    return raw.getvalue().decode()


def test_csv_is_read_back_as_it_was() -> None:
    """
    Commas, quotes, line breaks and percent signs in texts, in names and in what all rows share.
    """
    batch = {'a "name", 5%': TEXTS, "shared": Repeated("50%, of\nall"), "n": list(range(COUNT))}

    rows = list(csv.reader(io.StringIO(written(CsvWriter, batch, batch), newline="")))

    expected = [[text, "50%, of\nall", str(number)] for number, text in enumerate(TEXTS)]
    assert [['a "name", 5%', "shared", "n"], *expected, *expected] == rows


def test_json_is_read_back_as_it_was() -> None:
    """
    One object a line, whatever the text.
    """
    batch = {'a "name", 5%': TEXTS, "shared": Repeated('50% "of"\nall'), "n": list(range(COUNT))}

    lines = written(JsonLinesWriter, batch).splitlines()

    assert [
        {'a "name", 5%': text, "shared": '50% "of"\nall', "n": number} for number, text in enumerate(TEXTS)
    ] == list(map(json.loads, lines))


@pytest.mark.parametrize(
    ("value", "in_csv", "in_json"),
    [
        (0.1, "0.1", 0.1),
        (math.nan, "", None),
        (math.inf, "inf", "inf"),
        (None, "", None),
        (True, "True", True),
        (10**20, "100000000000000000000", 10**20),
        ([1, None, math.nan], "[1, null, null]", [1, None, None]),
        ({"a": (1.5,)}, '{"a": [1.5]}', {"a": [1.5]}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00", "2026-01-02T00:00:00+00:00"),
        (b"x", "b'x'", "b'x'"),
        ("\ud800", "?", "?"),
    ],
)
def test_a_value_without_a_type_of_the_format_is_text(value: object, in_csv: str, in_json: object) -> None:
    """
    JSON has no NaN and CSV no lists; a lone surrogate has no UTF-8.
    """
    rows = list(csv.reader(io.StringIO(written(CsvWriter, {"v": [value] * COUNT, "n": TEXTS}), newline="")))
    objects = list(map(json.loads, written(JsonLinesWriter, {"v": [value] * COUNT}).splitlines()))

    assert [in_csv] * COUNT == [row[0] for row in rows[1:]]
    assert [{"v": in_json}] * COUNT == objects


@pytest.mark.parametrize(
    ("kind", "values", "in_csv", "in_json"),
    [
        ("f", [0.1, math.nan, -math.inf, 1e300], ["0.1", "", "-inf", "1e+300"], [0.1, None, "-inf", 1e300]),
        ("i", [1, -2, 0, 2**62], ["1", "-2", "0", str(2**62)], [1, -2, 0, 2**62]),
        ("b", [True, False, True, True], ["True", "False", "True", "True"], [True, False, True, True]),
    ],
)
def test_arrays_are_written_as_their_values(kind: str, values: list[Any], in_csv: list[str], in_json: object) -> None:
    """
    The shorter way for arrays of numbers differs in nothing from that for a list.
    """
    values, in_csv = [*values, *values[:3]], [*in_csv, *in_csv[:3]]
    for column in (values, Numbers(kind, values)):
        lines = written(CsvWriter, {"v": column, "n": list(range(COUNT))}).splitlines()
        objects = list(map(json.loads, written(JsonLinesWriter, {"v": column}).splitlines()))

        assert in_csv == [line.partition(",")[0] for line in lines[1:]]
        assert in_json == [row["v"] for row in objects][:4]


def test_other_columns_than_before_are_an_error_of_the_model() -> None:
    """
    A line of CSV has the fields that the first line names.
    """
    with pytest.raises(Problem, match="returns the columns `b`, and returned `a` before"):
        written(CsvWriter, {"a": TEXTS}, {"b": TEXTS})


@pytest.mark.parametrize("kind", [CsvWriter, JsonLinesWriter])
def test_a_column_with_another_number_of_rows_is_not_written(kind: type[CsvWriter] | type[JsonLinesWriter]) -> None:
    """
    A missing value would move all later ones to other rows.
    """
    with pytest.raises(ValueError, match=r"zip|rows"):
        written(kind, {"a": TEXTS[1:]})
