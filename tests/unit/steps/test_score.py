"""Inputs of score that are wrong are found before any server is contacted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
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
        ({"batch_rows": 0}, "`batch-rows` is 0"),
        ({"part_rows": 0}, "`part-rows` is 0"),
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
