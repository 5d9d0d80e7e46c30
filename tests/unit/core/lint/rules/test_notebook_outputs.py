"""Which notebooks have outputs, and how they are cleared."""

import json

import pytest

from mlflow_uv.core.lint.rule import SourceFile
from mlflow_uv.core.lint.rules.notebook_outputs import RULE
from mlflow_uv.ops.lint.fix import edited
from mlflow_uv.ops.lint.folder import CheckedFolder

CELL = {"cell_type": "code", "source": ['a = "outputs": [{']}


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_outputs_are_emptied_and_nothing_else(tmp_path, indent: int | None) -> None:
    """
    A quote or a bracket in an output does not end it.
    """
    wrong = {"cells": [CELL | {"outputs": [{"text": [']"}', "ü"]}, {"data": [[]]}]}, CELL | {"outputs": []}]}
    right = {"cells": [CELL | {"outputs": []}, CELL | {"outputs": []}]}
    text = json.dumps(wrong, indent=indent, ensure_ascii=False)
    files = CheckedFolder(str(tmp_path))
    assert RULE.check is not None

    problems = list(RULE.check(SourceFile("a.ipynb", text), files))
    cleared = edited(text, [edit for problem in problems for edit in problem.edits])

    assert (1, right) == (len(problems), json.loads(cleared))
    assert [] == list(RULE.check(SourceFile("a.ipynb", cleared), files))


@pytest.mark.parametrize("text", ['{"outputs": [{"a": "', "[", "", '{"source": ["\\"outputs\\": [{"]}'])
def test_a_broken_notebook_is_not_changed(find, text: str) -> None:
    """
    An output that does not end has no edit; text in a cell is no output.
    """
    find("notebook-outputs", {"a.ipynb": text})
    assert RULE.check is not None

    problems = RULE.check(SourceFile("a.ipynb", text), CheckedFolder("/"))

    assert [] == [edit for problem in problems for edit in problem.edits]
