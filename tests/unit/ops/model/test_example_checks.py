"""A model without a signature is asked with its columns in another order, before anybody else does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ModelUnusable
from mlflow_uv.ops.model.example_checks import example_findings, order_findings
from mlflow_uv.payloads.messages.models import ModelCases
from mlflow_uv.tools.project.files import Project

PROJECT = Project(folder=Path("/wine"), root=Path("/wine"), manifest={})
REQUESTS = [{"dataframe_split": {"columns": ["width", "age"], "data": [[1, 5], [2, None]]}}]


def by_position(requests: list[Any]) -> list[Any]:
    return [{"predictions": request["dataframe_split"]["data"][0][0]} for request in requests]


def by_name(requests: list[Any]) -> list[Any]:
    tables = [request["dataframe_split"] for request in requests]
    return [{"predictions": table["data"][0][table["columns"].index("age")]} for table in tables]


def test_a_model_that_takes_columns_by_position_is_told_loudly() -> None:
    """
    The same values in another order get another answer with 200: a warning with the numbers, and what ends it.
    """
    (finding,) = order_findings(PROJECT, REQUESTS, by_position)

    assert ("columns-by-position", "warning") == (finding.rule, finding.severity.value)
    assert "$[0].predictions is 5, expected is 1" in finding.why
    assert finding.fix.endswith("X = X.astype({'age': 'float64'})")


def refusing(error: type[BadInput] | type[ModelUnusable]) -> Callable[[list[Any]], list[Any]]:
    def ask(requests: list[Any]) -> list[Any]:
        assert requests
        raise error(what="no")

    return ask


@pytest.mark.parametrize("ask", [by_name, refusing(BadInput), refusing(ModelUnusable)])
def test_a_model_that_compares_names_is_left_in_peace(ask: Callable[[list[Any]], list[Any]]) -> None:
    """
    By its own feature names it answers the same, or refuses.
    """
    assert [] == order_findings(PROJECT, REQUESTS, ask)


def test_a_request_without_columns_is_not_asked_again() -> None:
    """
    There is no other order.
    """
    assert [] == order_findings(PROJECT, [{"inputs": [[1, 2]]}], refusing(BadInput))


def test_a_lost_signature_is_mended_by_floats_where_integers_are_missing() -> None:
    """
    `infer_signature` would be refused: MLflow has no integer that may be missing.
    """
    about = ModelCases(has_signature=False, has_example=True, requests=())

    fixes = [example_findings(PROJECT, about, requests)[-1].fix for requests in (REQUESTS, [{"inputs": [1]}])]

    assert "X = X.astype({'age': 'float64'})" in fixes[0]
    assert "log_model(..., signature=infer_signature(X, y))" == fixes[1]
