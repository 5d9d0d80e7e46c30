"""Inputs of score that are wrong are found before any server is contacted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import ValueLayer, settle
from mlflow_uv.steps.score import Inputs, run
from mlflow_uv.tools.toolbox import Tools

NO_TOOLS = cast("Tools", SimpleNamespace())


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"version_uri": "wine"}, "`wine` is not the URI of a version"),
        ({"input": Path("missing.csv")}, "the input `missing.csv` does not exist"),
        ({"params": "top_k=3"}, "`params` is not JSON"),
        ({"params": "[3]"}, "`params` is not a JSON object"),
        ({}, "the input has files of several formats"),
    ],
)
def test_a_wrong_input_is_named(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    """
    And nothing is created.
    """
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    (tmp_path / "data" / "b.jsonl").write_text('{"x": 1}\n')
    given = {"version_uri": "models:/wine/1", "input": tmp_path / "data", "output": tmp_path / "scores", **changes}

    with pytest.raises(BadInput) as caught:
        run(Inputs(**given), NO_TOOLS)

    assert what == caught.value.what
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("name", ["batch-rows", "part-rows"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5"])
def test_a_number_of_rows_is_at_least_one(name: str, value: str) -> None:
    """
    The message says what is allowed.
    """
    given = {"version-uri": "models:/wine/1", "input": "t.csv", "output": "scores", name: value}

    with pytest.raises(BadInput) as caught:
        settle(Inputs, (ValueLayer("--{}", given),))

    assert f"--{name} must be a whole number of at least 1" == caught.value.what
