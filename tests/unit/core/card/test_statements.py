"""Statements of a model card are read with the line of what is wrong."""

from pathlib import PurePath
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.card.statements import CardStatements, read_statements
from mlflow_uv.core.policy.table import PolicyTable


def table(value: Any) -> PolicyTable:
    """The table of a manifest."""
    lines: dict[tuple[str | int, ...], int] = {("tool", "mlflow-uv", "model-card", key): 7 for key in value}
    return PolicyTable(
        name="model-card", value=value, lines=lines, manifest=PurePath("pyproject.toml"), shown="pyproject.toml"
    )


def test_statements_are_read() -> None:
    """
    Sentences are kept whole.
    """
    statements = read_statements(table({"learning": "supervised", "limitations": ["Three grapes only.", "No rosé."]}))

    assert CardStatements(learning="supervised", limitations=("Three grapes only.", "No rosé.")) == statements


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (
            {"learning": "by heart"},
            "`learning` in [tool.mlflow-uv.model-card] (line 7 of pyproject.toml) is 'by heart'",
        ),
        (
            {"limitations": "Many words."},
            "`limitations` in [tool.mlflow-uv.model-card] (line 7 of pyproject.toml) is not",
        ),
        ({"users": [1]}, "`users` in [tool.mlflow-uv.model-card] (line 7 of pyproject.toml) must be a list of texts"),
    ],
)
def test_a_wrong_statement_is_refused(value: Any, what: str) -> None:
    """
    The message names the key and its line.
    """
    with pytest.raises(BadInput) as caught:
        read_statements(table(value))

    assert str(caught.value.what).startswith(what)
