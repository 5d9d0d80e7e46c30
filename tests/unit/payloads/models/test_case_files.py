"""Which requests a file of cases holds; CSV and rows need MLflow, see the contract."""

import importlib
import json
from pathlib import Path

import pytest

from mlflow_uv.payloads.messages.models import CaseRequest, ReadCases
from mlflow_uv.payloads.problems import Problem

# By its name, as in test_examples.
case_files = importlib.import_module("mlflow_uv.payloads.models.case_files")


def test_a_line_is_a_request_with_its_exact_text(tmp_path: Path) -> None:
    """
    Spaces and the order of keys stay; blank lines are no requests, and count as lines.
    """
    (tmp_path / "cases.jsonl").write_text('\ufeff{"inputs":  {"b": [1],"a": [2]}}\n\n {"instances": [1]}\r\n')

    found = case_files.read(ReadCases(file=str(tmp_path / "cases.jsonl"))).cases

    assert (
        CaseRequest(line=1, body='{"inputs":  {"b": [1],"a": [2]}}'),
        CaseRequest(line=3, body='{"instances": [1]}'),
    ) == found


def test_an_expected_response_is_kept_with_its_request(tmp_path: Path) -> None:
    """
    Null is one as well.
    """
    lines = [{"request": {"inputs": [1]}, "expected": expected} for expected in ({"predictions": [2]}, None)]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)))

    found = case_files.read(ReadCases(file=str(tmp_path / "cases.jsonl"))).cases

    assert [({"predictions": [2]}, True), (None, True)] == [(case.expected, case.has_expected) for case in found]
    assert {'{"inputs": [1]}'} == {case.body for case in found}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "`cases.jsonl` has no request"),
        ('{"inputs": [1]}\n{"inputs": [', "line 2 of `cases.jsonl` is not JSON: .*"),
        ("[1]", r"line 1 of `cases.jsonl` is neither a request nor a row \(an object\)"),
        ('{"request": [1]}', "line 1 of `cases.jsonl` has a `request` that is neither .*"),
        ('{"inputs": [1]}\n' * 1001, "`cases.jsonl` has more than 1000 requests"),
        ('{"inputs": ' + "[" * 100_000, "line 1 of `cases.jsonl` is not JSON: it is nested too deeply"),
        ('{"inputs": [NaN]}', "line 1 of `cases.jsonl` is not JSON: JSON has no NaN"),
        ('{"a": 1, "a": 2}', "line 1 of `cases.jsonl` is ambiguous: an object has the name 'a' twice"),
        ('{"request": {"inputs": [1]}, "expect": 1}', "line 1 of `cases.jsonl` has `expect` beside `request`; .*"),
    ],
    ids=["empty", "cut off", "list", "request", "many", "deep", "NaN", "twice", "misspelt"],
)
def test_what_is_no_request_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    """
    And with what a line may hold.
    """
    (tmp_path / "cases.jsonl").write_text(text)

    with pytest.raises(Problem, match=why):
        case_files.read(ReadCases(file=str(tmp_path / "cases.jsonl")))


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """
    The reason of the system.
    """
    with pytest.raises(Problem, match=r"`cases\.jsonl` cannot be read: No such file"):
        case_files.read(ReadCases(file=str(tmp_path / "cases.jsonl")))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2,\n", "line 2 of `cases.csv` has 3 values for 2 columns"),
        ("a,b\n1,2\n\n1\n", "line 4 of `cases.csv` has 1 values for 2 columns"),
        ("a,b,a\n1,2,3\n", "line 1 of `cases.csv` has the column `a` twice"),
    ],
    ids=["one more", "one less", "twice"],
)
def test_a_row_of_another_length_is_refused_with_its_line(text: str, why: str, tmp_path: Path) -> None:
    """
    pandas would shift the values of a longer row, and fill a shorter one.
    """
    with pytest.raises(Problem, match=why):
        list(case_files._row_lines(tmp_path / "cases.csv", text))


def test_an_expected_response_with_a_name_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    """
    It is JSON, of which the comparison would take one of two values.
    """
    with pytest.raises(Problem, match=r"line 3 of `cases\.csv` has an `expected` that is ambiguous: an object has the"):
        case_files._cell(tmp_path / "cases.csv", 3, '{"a": 1, "a": 2}')

    assert [1, "one"] == [case_files._cell(tmp_path / "cases.csv", 3, text) for text in ("1", "one")]
