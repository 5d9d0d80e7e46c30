"""The document of a model follows its signature."""

from types import SimpleNamespace
from typing import Any

from mlflow_uv.serving.protocols import openapi


def column(name: str | None, kind: str, *, required: bool = True) -> Any:
    """A column of a signature, as MLflow describes it."""
    return SimpleNamespace(name=name, type=SimpleNamespace(name=kind), required=required)


def test_a_row_requires_the_columns_that_the_signature_requires() -> None:
    """
    Each member has the type of its column; one that may be left out may be null.
    """
    schema = SimpleNamespace(inputs=[column("x", "long"), column("day", "datetime", required=False)])

    day = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    expected = {
        "type": "object",
        "required": ["x"],
        "properties": {"x": {"type": "integer", "format": "int64"}, "day": day},
    }
    assert expected == openapi.row(schema)


def test_columns_without_names_are_numbered() -> None:
    """
    As MLflow reads them.
    """
    named = openapi.named(SimpleNamespace(inputs=[column(None, "string"), column(None, "boolean")]))

    assert {"0": {"type": ["string", "null"]}, "1": {"type": "boolean"}} == named


def test_fixed_dimensions_of_a_tensor_are_bounds() -> None:
    """
    A dimension of any size has none.
    """
    spec = SimpleNamespace(type=SimpleNamespace(kind="i"), shape=(-1, 2))

    inner = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
    assert {"type": "array", "items": inner} == openapi.nested(spec)


def test_without_a_signature_every_request_is_allowed() -> None:
    """
    In each of MLflow's four formats.
    """
    request = openapi.request(None, None)

    forms = [list(form["properties"].items()) for form in request["oneOf"]]
    names = ("dataframe_records", "dataframe_split", "instances", "inputs")
    assert [[(name, {})] for name in names] == forms


def test_a_default_that_json_cannot_hold_is_left_out() -> None:
    """
    Of a parameter; its type stays.
    """
    kinds = [SimpleNamespace(name="p", dtype=SimpleNamespace(name="double"), shape=None, default=value)
             for value in (1.5, float("nan"))]  # fmt: skip

    double = {"type": ["number", "null"], "format": "double"}
    documents = [openapi.parameters(SimpleNamespace(params=[kind]))["properties"]["p"] for kind in kinds]
    assert [{**double, "default": 1.5}, double] == documents
