"""Two signatures: what breaks those who use the old one, and what does not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.model.signature import Change, Effect, signature_changes


def column(kind: Any = "double", name: str | None = "x", **more: Any) -> dict[str, Any]:
    """A column as MLmodel describes it."""
    named = {} if name is None else {"name": name}
    return {**(kind if isinstance(kind, dict) else {"type": kind}), **named, "required": True, **more}


def tensor(dtype: str = "float64", *shape: int) -> dict[str, Any]:
    """A tensor as MLmodel describes it."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def array(items: Any) -> dict[str, Any]:
    """An array as MLmodel describes it."""
    return {"type": "array", "items": items if isinstance(items, dict) else {"type": items}}


def record(**properties: Any) -> dict[str, Any]:
    """An object; a property whose name ends with an underscore is optional."""
    return {
        "type": "object",
        "properties": {
            name.rstrip("_"): {**(kind if isinstance(kind, dict) else {"type": kind}), "required": name[-1] != "_"}
            for name, kind in properties.items()
        },
    }


def signature(part: str, *specs: dict[str, Any]) -> dict[str, Any]:
    """A signature that says one thing."""
    return {"inputs": None, "outputs": None, "params": None, part: json.dumps(specs)}


def changes(part: str, old: Any, new: Any) -> list[tuple[str, str]]:
    """What changes between two lists of columns."""
    found = signature_changes(signature(part, *old), signature(part, *new))
    return [(change.effect.value, change.text) for change in found]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([column()], [column()], []),
        ([column(), column(name="y")], [column(name="y"), column()], []),
        (
            [column(), column(name="y")], [column()],
            [("breaking", "input `y` is gone: MLflow would ignore what is sent for it")],
        ),
        ([column()], [column(), column(name="y")], [("breaking", "input `y` is new and required")]),
        ([column()], [column(), column(name="y", required=False)], [("compatible", "input `y` is new and optional")]),
        ([column()], [column(), column(name="y", optional=True)], [("breaking", "input `y` is new and required")]),
        ([column()], [column(required=False)], [("compatible", "input `x` is optional now")]),
        ([column(required=False)], [column()], [("breaking", "input `x` is required now")]),
        ([column("integer")], [column("long")], [("compatible", "input `x` is long, and was integer")]),
        ([column("long")], [column("integer")], [("breaking", "input `x` is integer, and was long")]),
        ([column("integer")], [column("double")], [("compatible", "input `x` is double, and was integer")]),
        ([column("long")], [column("double")], [("breaking", "input `x` is double, and was long")]),
        ([column("float")], [column("double")], [("compatible", "input `x` is double, and was float")]),
        ([column("string")], [column("binary")], [("breaking", "input `x` is binary, and was string")]),
        ([column("string")], [column(array("string"))], [("breaking", "input `x` is array of string, and was string")]),
        (
            [column(array("integer"))], [column(array("long"))],
            [("compatible", "input `x` is array of long, and was array of integer")],
        ),
        (
            [column(record(a="long"))], [column(record(a="long", b_="long"))],
            [("compatible", "input `x` is object of {a: long, b?: long}, and was object of {a: long}")],
        ),
        (
            [column(record(a="long"))], [column(record(a="long", b="long"))],
            [("breaking", "input `x` is object of {a: long, b: long}, and was object of {a: long}")],
        ),
        (
            [column(record(a="long", b_="long"))], [column(record(a="long"))],
            [("breaking", "input `x` is object of {a: long}, and was object of {a: long, b?: long}")],
        ),
        (
            [column(record(a_="long"))], [column(record(a="long"))],
            [("breaking", "input `x` is object of {a: long}, and was object of {a?: long}")],
        ),
        ([column("long")], [column("any")], [("compatible", "input `x` is any, and was long")]),
        ([column("any")], [column("long")], [("breaking", "input `x` is long, and was any")]),
        ([column(name=None)], [column("long", name=None)], [("breaking", "input number 1 is long, and was double")]),
        ([tensor("float64", -1, 28)], [tensor("float64", -1, 28)], []),
        (
            [tensor("float64", -1, 28)], [tensor("float64", -1, 32)],
            [("breaking", "input number 1 is tensor of float64 [-1, 32], and was tensor of float64 [-1, 28]")],
        ),
        (
            [tensor("float64", -1, 28)], [tensor("float64", -1, -1)],
            [("compatible", "input number 1 is tensor of float64 [-1, -1], and was tensor of float64 [-1, 28]")],
        ),
        (
            [tensor("float32", -1)], [tensor("float64", -1)],
            [("breaking", "input number 1 is tensor of float64 [-1], and was tensor of float32 [-1]")],
        ),
    ],
)  # fmt: skip
def test_inputs_may_only_take_more(old: Any, new: Any, expected: list[tuple[str, str]]) -> None:
    """
    Whatever fitted the old signature must fit the new one, and mean the same.
    """
    found = changes("inputs", old, new)

    assert expected == found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([column()], [column(), column(name="y")], [("compatible", "output `y` is new")]),
        ([column(), column(name="y")], [column()], [("breaking", "output `y` is gone")]),
        ([column("integer")], [column("long")], [("breaking", "output `x` is long, and was integer")]),
        ([column(required=False)], [column()], [("compatible", "output `x` is required now")]),
        ([column()], [column(required=False)], [("breaking", "output `x` is optional now")]),
        ([column("any")], [column("long")], [("compatible", "output `x` is long, and was any")]),
        (
            [tensor("int64", -1)], [tensor("float64", -1, 3)],
            [("breaking", "output number 1 is tensor of float64 [-1, 3], and was tensor of int64 [-1]")],
        ),
    ],
)  # fmt: skip
def test_outputs_may_only_become_more(old: Any, new: Any, expected: list[tuple[str, str]]) -> None:
    """
    Somebody reads them: nothing may go or become something else.
    """
    found = changes("outputs", old, new)

    assert expected == found


PARAM = {"name": "k", "type": "integer", "default": 3, "shape": None}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([], [PARAM], [("compatible", "parameter `k` is new, and has a default")]),
        ([PARAM], [], [("breaking", "parameter `k` is gone: MLflow would ignore it")]),
        ([PARAM], [{**PARAM, "type": "double"}], [("compatible", "parameter `k` is double, and was integer")]),
        ([PARAM], [{**PARAM, "type": "string"}], [("breaking", "parameter `k` is string, and was integer")]),
        ([PARAM], [{**PARAM, "shape": [-1]}], [("breaking", "parameter `k` has the shape [-1], and had None")]),
        (
            [PARAM], [{**PARAM, "default": 4}],
            [("breaking", "parameter `k` is 4 where none is given, and was 3")],
        ),
    ],
)  # fmt: skip
def test_parameters_keep_their_meaning(old: Any, new: Any, expected: list[tuple[str, str]]) -> None:
    """
    Who gives one, and who gives none, gets what he got before.
    """
    found = changes("params", old, new)

    assert expected == found


@pytest.mark.parametrize(
    ("old", "new", "effects"),
    [
        (None, None, []),
        (None, signature("inputs", column()), [Effect.UNKNOWN]),
        (signature("inputs", column()), None, [Effect.BREAKING]),
        (signature("outputs", column()), {}, [Effect.BREAKING]),
        ({}, signature("outputs", column()), []),
    ],
)
def test_no_signature_promises_nothing(old: Any, new: Any, effects: list[Effect]) -> None:
    """
    What was promised and is not any more is breaking; what was never promised cannot be broken.
    """
    found = signature_changes(old, new)

    assert effects == [change.effect for change in found]


def test_what_breaks_is_told_first() -> None:
    """
    Whatever the order of the columns.
    """
    old = signature("inputs", column(), column(name="a", required=False))
    new = signature("inputs", column("long"), column(name="a"), column(name="b", required=False))

    found = signature_changes(old, new)

    assert [Effect.BREAKING, Effect.BREAKING, Effect.COMPATIBLE] == [change.effect for change in found]


@pytest.mark.parametrize(
    "columns",
    ["{", "3", "{}", '[{"name": "x"}]', '["x"]', '[{"type": "array", "name": "x"}]', '[{"type": {"a": 1}}]'],
)
def test_what_is_no_signature_is_refused(columns: str) -> None:
    """
    A file that somebody edited is not taken for one without columns.
    """
    with pytest.raises(ValueError, match="signature"):
        signature_changes({"inputs": columns}, {"inputs": columns})


TYPES = st.recursive(
    st.sampled_from(["boolean", "integer", "long", "float", "double", "string", "any"]).map(lambda kind: {"type": kind})
    | st.lists(st.sampled_from([-1, 2, 3]), max_size=3).map(lambda shape: tensor("int64", *shape)),
    lambda inner: inner.map(array) | inner.map(lambda kind: record(a=kind)) | inner.map(lambda kind: record(a_=kind)),
    max_leaves=3,
)


@given(TYPES)
def test_a_signature_does_not_change_from_itself(kind: dict[str, Any]) -> None:
    """
    Whatever it describes, and in whatever order its JSON is written.
    """
    found: list[Change] = []
    for part in ("inputs", "outputs"):
        one = {part: json.dumps([column(kind)])}
        other = {part: json.dumps([column(kind)], sort_keys=True, indent=1)}
        found += signature_changes(one, other)

    assert [] == found
