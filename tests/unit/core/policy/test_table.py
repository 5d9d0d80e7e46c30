"""The table of a policy, its keys and their lines."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import Doc
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.table import PolicyTable

TEXT = '[project]\nname = "wine"\n\n[tool.mlflow-uv.cellar]\nlabels = ["red"]\nmost-bottles = 3\n'


@dataclass(frozen=True, kw_only=True, slots=True)
class Cellar:
    """A policy of two rules."""

    labels: Annotated[tuple[str, ...], Doc("Labels.")] = ()
    most_bottles: Annotated[int, Doc("Bottles.")] = 0


def table_of(value: Any) -> PolicyTable:
    return PolicyTable(
        name="cellar", value=value, lines=key_lines(TEXT), manifest=PurePath("pyproject.toml"), shown="a/pyproject.toml"
    )


def test_a_table_becomes_a_policy_with_the_lines_of_its_keys() -> None:
    """
    Only keys that are set have a line.
    """
    source = table_of({"most-bottles": 3}).parse(Cellar)

    assert (Cellar(most_bottles=3), 4, {"most-bottles": 6}) == (source.policy, source.line, source.lines)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, "`cellar` in [tool.mlflow-uv] is not a table"),
        ({"lables": []}, "[tool.mlflow-uv.cellar] of a/pyproject.toml does not know `lables`"),
        ({"most-bottles": -1}, "`most-bottles` in [tool.mlflow-uv.cellar] (line 6 of a/pyproject.toml) must be"),
    ],
    ids=["no table", "unknown key", "wrong value"],
)
def test_a_mistake_is_named_with_its_place(value: Any, message: str) -> None:
    """
    The table, the key and its line.
    """
    with pytest.raises(BadInput) as caught:
        table_of(value).parse(Cellar)

    assert caught.value.what.startswith(message)
