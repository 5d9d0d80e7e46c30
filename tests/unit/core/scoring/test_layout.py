"""The names of the files of an output."""

import pytest

from mlflow_uv.core.scoring.layout import TableFormat, format_of, part_name, rejects_name, stems


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.parquet", TableFormat.PARQUET),
        ("a.PQ", TableFormat.PARQUET),
        ("b/a.csv", TableFormat.CSV),
        ("a.jsonl", TableFormat.JSON_LINES),
        ("a.json", None),
        ("a.csv.gz", None),
        ("csv", None),
    ],
)
def test_the_suffix_is_the_format(name: str, kind: TableFormat | None) -> None:
    """
    Nothing is guessed from the content of a file.
    """
    assert kind is format_of(name)


def test_parts_are_named_after_their_input() -> None:
    """
    Inputs that differ only in their suffix keep it, so that no part replaces another one's.
    """
    names = stems(["a.csv", "a.parquet", "b.csv", "x/b.csv"])

    assert {"a.csv": "a.csv", "a.parquet": "a.parquet", "b.csv": "b", "x/b.csv": "x/b"} == names
    assert "x/b-00012.parquet" == part_name(names["x/b.csv"], 12, TableFormat.PARQUET)
    assert "_rejects/x/b-00012.jsonl" == rejects_name("x/b-00012.parquet")
