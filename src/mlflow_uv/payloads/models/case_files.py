"""Reads a JSON Lines or CSV file as several requests for `/invocations`, with or without expected responses."""

import csv
import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..messages.models import CaseRequest, CaseRequests, ReadCases
from ..problems import Problem, ProblemKind
from .strict_json import RepeatedName, strict_json

MOST = 1000  # requests
_LONGEST = 20_000_000  # characters of a file
_FIELDS = {"dataframe_split", "dataframe_records", "inputs", "instances"}
_REQUEST, _EXPECTED = "request", "expected"


def read(request: ReadCases) -> CaseRequests:
    """
    Read a file as bodies of requests, without validating them against a model.

    A line of JSON Lines is a request, or a row as an object of columns, or {"request": either, "expected": the body of
    the response}. A CSV file starts with a line of column names, and each row is a request; a column `expected` holds
    the prediction, as JSON or as text.
    """
    path = Path(request.file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > _LONGEST:
        raise _problem(path, f"has more than {_LONGEST // 10**6} MB")
    cases = tuple(_from_csv(path, text) if path.suffix.lower() == ".csv" else _from_lines(path, text))
    if not cases:
        raise _problem(path, "has no request")
    return CaseRequests(cases=cases)


def _problem(path: Path, why: str, *, line: int = 0) -> Problem:
    place = f"line {line} of `{path.name}`" if line else f"`{path.name}`"
    return Problem(ProblemKind.INVALID, f"{place} {why}")


def _from_lines(path: Path, text: str) -> Iterator[CaseRequest]:
    number = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        number += 1
        if number > MOST:
            raise _problem(path, f"has more than {MOST} requests")
        try:
            value = strict_json(content, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise _problem(path, "is not JSON: it is nested too deeply", line=line) from error
        except RepeatedName as error:
            raise _problem(path, f"is ambiguous: {error}", line=line) from error
        except ValueError as error:
            raise _problem(path, f"is not JSON: {error}", line=line) from error
        if not isinstance(value, dict) or not value:
            raise _problem(path, "is neither a request nor a row (an object)", line=line)
        yield _case(path, line, content.strip(), value)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _case(path: Path, line: int, text: str, value: dict[str, Any]) -> CaseRequest:
    if isinstance(value.get(_REQUEST), dict) and (unknown := value.keys() - {_REQUEST, _EXPECTED}):
        why = f"has `{min(unknown)}` beside `{_REQUEST}`; the only other key there is `{_EXPECTED}`"
        raise _problem(path, why, line=line)
    if not value.keys() <= {_REQUEST, _EXPECTED} or _REQUEST not in value:
        return CaseRequest(line=line, body=text if _is_request(value) else json.dumps({"dataframe_records": [value]}))
    inner = value[_REQUEST]
    if not isinstance(inner, dict) or not inner:
        raise _problem(path, f"has a `{_REQUEST}` that is neither a request nor a row (an object)", line=line)
    body = json.dumps(inner if _is_request(inner) else {"dataframe_records": [inner]})
    return CaseRequest(line=line, body=body, has_expected=_EXPECTED in value, expected=value.get(_EXPECTED))


def _is_request(value: dict[str, Any]) -> bool:
    """Whether MLflow's server reads an object as a request; otherwise it is a row."""
    if _FIELDS & value.keys():
        return True
    scoring_server = importlib.import_module("mlflow.pyfunc.scoring_server")
    is_chat = getattr(scoring_server, "is_unified_llm_input", lambda _: False)
    return bool(is_chat(value))


def _from_csv(path: Path, text: str) -> Iterator[CaseRequest]:
    """Types are inferred by pandas for each column, as in the model's own code."""
    import pandas as pd  # noqa: PLC0415  # slow to import, and mlflow-skinny lacks it
    from mlflow.models import convert_input_example_to_serving_input  # noqa: PLC0415  # needs pandas, too

    if not text.strip():
        raise _problem(path, "is empty")
    try:
        lines = list(_row_lines(path, text))
        # Without it, pandas takes the first column as row names if rows have one field more than the header.
        table = pd.read_csv(io.StringIO(text), index_col=False)
    except (ValueError, csv.Error) as error:
        raise _problem(path, f"is not CSV: {error}") from error
    if len(table) > MOST:
        raise _problem(path, f"has more than {MOST} requests")
    if len(lines) != len(table):
        raise _problem(path, "is not CSV: its rows are ambiguous")
    expected = None
    if _EXPECTED in table:
        texts = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)[_EXPECTED]
        expected = [_cell(path, line, cell) for line, cell in zip(lines, texts, strict=True)]
        table = table.drop(columns=_EXPECTED)
    for number, line in enumerate(lines):
        body = convert_input_example_to_serving_input(table.iloc[number : number + 1].reset_index(drop=True))
        response = None if expected is None else {"predictions": [expected[number]]}
        yield CaseRequest(line=line, body=body, has_expected=expected is not None, expected=response)


def _row_lines(path: Path, text: str) -> Iterator[int]:
    """
    The first line of each row; a quoted value may have line breaks, and blank lines are no rows.

    Raises Problem for column names that are not distinct, and for a row of another length.
    """
    reader = csv.reader(io.StringIO(text))
    after = 0
    columns: list[str] = []
    for row in reader:
        first, after = after + 1, reader.line_num
        if not row:
            continue
        if not columns:
            columns = row
            if twice := next((name for name in row if row.count(name) > 1), None):
                raise _problem(path, f"has the column `{twice}` twice", line=first)
            continue
        if len(row) != len(columns):
            raise _problem(path, f"has {len(row)} values for {len(columns)} columns", line=first)
        yield first


def _cell(path: Path, line: int, text: str) -> Any:
    try:
        return strict_json(text)
    except RepeatedName as error:
        raise _problem(path, f"has an `{_EXPECTED}` that is ambiguous: {error}", line=line) from error
    except ValueError:
        return text
