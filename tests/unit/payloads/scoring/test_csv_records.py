"""Where the records of CSV end, with line breaks and quotes inside of fields."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_uv.payloads.scoring.csv_records import end_of_first_record, end_of_records, split_records

FIELDS = st.text(alphabet='ab,"\n é', max_size=6)
ROWS = st.lists(st.lists(FIELDS, min_size=2, max_size=3), min_size=1, max_size=8)


def written(rows: list[list[str]]) -> bytes:
    """The rows as the csv module writes them."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@given(ROWS)
def test_records_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    """
    Every record is found, in order, whatever is quoted in it.
    """
    records = split_records(written(rows))

    read = [next(csv.reader(io.StringIO(record.decode(), newline=""))) for record in records]
    assert rows == read


@given(ROWS, st.integers(min_value=0, max_value=200))
@example([["", '"\n']], 5)
@example([["a", '\n"']], 6)
def test_a_text_is_cut_between_two_records(rows: list[list[str]], length: int) -> None:
    """
    A block that ends anywhere is cut after its last complete record: no record is lost, none is split.
    """
    text = written(rows)
    start = text[:length]

    end = end_of_records(start)

    assert split_records(text) == [*split_records(start[:end]), *split_records(text[end:])]
    assert start[:end] == b"".join(split_records(text))[:end]


@given(ROWS)
def test_the_first_record_ends_before_the_second(rows: list[list[str]]) -> None:
    """
    The header is one record, however much was read with it.
    """
    text = written(rows)

    assert split_records(text)[0] == text[: end_of_first_record(text)]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (b'5" pipe,1\n6" pipe,2\n', [b'5" pipe,1\n', b'6" pipe,2\n']),
        (b"1,2\n\n  \n3,4\n", [b"1,2\n", b"3,4\n"]),
        (b"1,2\r\n3,4", [b"1,2\r\n", b"3,4"]),
        (b'1,"never closed\n3,4\n', [b'1,"never closed\n3,4\n']),
    ],
)
def test_a_quote_counts_only_at_the_start_of_a_field(text: bytes, records: list[bytes]) -> None:
    """
    Inches are not quotes, blank lines are no records, and what follows a quote that is never closed is one record.
    """
    assert records == split_records(text)
