"""Which request a file of JSON holds."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.payloads.messages.models import ReadExample
from mlflow_uv.payloads.problems import Problem

# By its name, since it imports what is not installed where types are checked.
examples = importlib.import_module("mlflow_uv.payloads.models.examples")


@pytest.mark.parametrize(
    ("content", "request_of_it"),
    [
        ([[1, 2], [3, 4]], {"inputs": [[1, 2], [3, 4]]}),
        (["hello", "world"], {"inputs": ["hello", "world"]}),
        ([1, 2], {"inputs": [1, 2]}),
        ([{"b": 1, "a": 2}], {"dataframe_records": [{"b": 1, "a": 2}]}),
        ({"columns": ["b", "a"], "data": [[1, 2]]}, {"dataframe_split": {"columns": ["b", "a"], "data": [[1, 2]]}}),
        ({"inputs": {"width": [1], "age": [5]}}, {"inputs": {"width": [1], "age": [5]}}),
    ],
)
def test_a_table_is_asked_as_mlflow_takes_it(tmp_path: Path, content: Any, request_of_it: Any) -> None:
    """
    Rows without names are `inputs`; whatever it is, keys stay in their order.
    """
    file = tmp_path / "row.json"
    file.write_text(json.dumps(content))

    (found,) = examples.read(ReadExample(file=str(file))).requests

    assert json.dumps(request_of_it) == json.dumps(found)


@pytest.mark.parametrize("content", [[], {}, 1, "a", None, [1, {"a": 1}]])
def test_what_is_neither_request_nor_table_is_refused(tmp_path: Path, content: Any) -> None:
    """
    With what a file may hold.
    """
    file = tmp_path / "row.json"
    file.write_text(json.dumps(content))

    with pytest.raises(Problem, match=r"neither a request .* nor a table"):
        examples.read(ReadExample(file=str(file)))


def test_a_file_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    """
    Which of the values the model gets would depend on the parser.
    """
    file = tmp_path / "row.json"
    file.write_text('{"inputs": {"age": [5], "age": [6]}}')

    with pytest.raises(Problem, match=r"`row\.json` is ambiguous: an object has the name 'age' twice"):
        examples.read(ReadExample(file=str(file)))
