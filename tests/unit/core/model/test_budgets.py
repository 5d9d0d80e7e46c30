"""Which budgets there may be, and which figures exceed them."""

import math
from pathlib import PurePath
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.model.budgets import Budgets, exceeded, read_budgets
from mlflow_uv.core.model.load_figures import MIB, LoadFigures
from mlflow_uv.core.policy.table import PolicyTable

FIGURES = LoadFigures(
    ready_s=5, milliseconds=(10.0, 20.0, 90.0), seconds=3, memory_peak=300 * MIB, memory_growth=50 * MIB
)


def table(**keys: Any) -> PolicyTable:
    """A table of budgets, whose keys are in the lines after the first."""
    values = {key.replace("_", "-"): value for key, value in keys.items()}
    path = ("tool", "mlflow-uv", "smoke-test")
    lines: dict[tuple[str | int, ...], int] = {
        path: 1,
        **{(*path, key): line for line, key in enumerate(values, start=2)},
    }
    return PolicyTable(
        name="smoke-test", value=values, lines=lines, manifest=PurePath("pyproject.toml"), shown="pyproject.toml"
    )


@pytest.mark.parametrize(
    ("key", "within", "beyond"),
    [
        ("ready_seconds", 5, 4.9), ("p50_milliseconds", 20, 19), ("p95_milliseconds", 90, 89),
        ("requests_per_second", 1, 1.1), ("memory_mib", 300, 299), ("memory_growth_mib", 50, 49),
    ],
)  # fmt: skip
def test_a_figure_beyond_its_budget_is_a_finding_at_its_line(key: str, within: float, beyond: float) -> None:
    """
    One that is equal to it is none.
    """
    found = [list(exceeded(read_budgets(table(**{key: limit})), FIGURES)) for limit in (within, beyond)]

    kebab = key.replace("_", "-")
    assert [[], [(f"budget-{kebab}", 2)]] == [[(each.rule, each.line) for each in every] for every in found]
    assert f"change `{kebab}` in [tool.mlflow-uv.smoke-test]" in found[1][0].fix


def test_without_an_answer_every_latency_is_beyond() -> None:
    """
    A server that fails under load is not fast.
    """
    found = exceeded(read_budgets(table(p50_milliseconds=1e9)), LoadFigures(ready_s=0, failed=2, seconds=1))

    assert ["budget-p50-milliseconds"] == [each.rule for each in found]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("concurrency", 0),
        ("concurrency", 65),
        ("load_seconds", 61),
        ("load_seconds", 0),
        ("p50", 1),
        ("memory_mib", -1),
        ("memory_mib", math.nan),
        ("ready_seconds", math.inf),
        ("load_seconds", math.nan),
        ("concurrency", math.inf),
    ],
)
def test_another_value_is_refused_with_its_key(key: str, value: float) -> None:
    """
    A load has an end.
    """
    with pytest.raises(BadInput) as raised:
        read_budgets(table(**{key: value}))

    assert key.replace("_", "-") in raised.value.text


def test_a_load_is_only_needed_for_what_it_measures() -> None:
    """
    The time until the server is healthy is known without.
    """
    assert [False, True] == [Budgets(ready_seconds=1).has_load, Budgets(memory_mib=1).has_load]


def test_a_figure_is_shown_so_that_it_differs_from_its_budget() -> None:
    """
    Large ones have no exponent.
    """
    figures = LoadFigures(ready_s=150.3, memory_peak=round(12_345.6 * MIB), memory_growth=0)

    found = exceeded(read_budgets(table(ready_seconds=150, memory_mib=12_000)), figures)

    assert ["150.3 s", "12345.6 MiB"] == [" ".join(each.what.split()[:2]) for each in found]
