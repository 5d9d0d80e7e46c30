"""Values of each type of a signature: typical, mistyped, and at the limits."""

from typing import Any

import pytest

from mlflow_uv.core.model.derived_values import boundary_values, mistyped_value, typical_value

ARRAY = {"type": "array", "items": {"type": "long"}}
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}, "b": ARRAY}}


@pytest.mark.parametrize(
    ("spec", "typical", "mistyped"),
    [
        ({"type": "double"}, 1.5, "not a value of this type"),
        ({"type": "string"}, "text", 7),
        (ARRAY, [1], 7),
        (OBJECT, {"a": "text", "b": [1]}, [1]),
        ({"type": "map", "values": {"type": "boolean"}}, {"key": True}, [1]),
        ({"type": "a type of a later MLflow"}, None, "not a value of this type"),
    ],
)
def test_a_type_has_a_typical_value_and_one_of_another_type(spec: dict[str, Any], typical: Any, mistyped: Any) -> None:
    """
    Composed types have them in every part.
    """
    assert (typical, mistyped) == (typical_value(spec), mistyped_value(spec).value)


@pytest.mark.parametrize(
    "kind", ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any"]
)
def test_labels_of_a_type_are_unique(kind: str) -> None:
    """
    They become names of requests.
    """
    labels = [value.label for value in boundary_values({"type": kind}, None)]

    assert labels
    assert len(set(labels)) == len(labels)


def test_a_type_that_is_not_known_has_no_limits() -> None:
    """
    Nothing is guessed about it.
    """
    assert [] == list(boundary_values({"type": "a type of a later MLflow"}, None))
