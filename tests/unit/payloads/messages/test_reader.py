"""Tests which JSON is read as a message, and which is refused."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

import pytest

from mlflow_uv.payloads.messages import (
    conversion,
    deployments,
    evaluation,
    models,
    platforms,
    registry,
    request,
    runs,
    scoring,
)
from mlflow_uv.payloads.messages.reader import read
from tests.messages import PAIRS, RESPONSES, as_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    """A part that is an object itself."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    """One part of every kind."""

    text: str
    whole: int
    real: float
    truth: bool
    anything: Any
    maybe: str | None
    inner: Inner
    many: tuple[Inner, ...]
    pair: tuple[str, int]
    named: Mapping[str, float]
    later: tuple[Inner, ...] | None = None


OUTER = {
    "text": "a",
    "whole": 1,
    "real": 2,
    "truth": False,
    "anything": [1, {"b": None}],
    "maybe": None,
    "inner": {"name": "i"},
    "many": [{"name": "m"}],
    "pair": ["p", 3],
    "named": {"x": 1, "y": 0.5},
}


def test_every_kind_of_part_is_read() -> None:
    """
    Lists become tuples, and an integer is a float where one is due.
    """
    found = read(Outer, {**OUTER, "later": [{"name": "l"}]}, what="it")

    assert (
        Outer(
            text="a", whole=1, real=2.0, truth=False, anything=[1, {"b": None}], maybe=None, inner=Inner(name="i"),
            many=(Inner(name="m"),), pair=("p", 3), named={"x": 1.0, "y": 0.5}, later=(Inner(name="l"),),
        )
        == found
    )  # fmt: skip
    assert isinstance(found.real, float)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("text", 1),
        ("text", None),
        ("whole", True),
        ("whole", 1.0),
        ("whole", "1"),
        ("real", True),
        ("real", "2"),
        ("truth", 0),
        ("real", 10**400),
        ("maybe", 1),
        ("inner", None),
        ("inner", []),
        ("many", {"name": "m"}),
        ("many", "m"),
        ("many", [1]),
        ("pair", ["p"]),
        ("pair", ["p", 3, 4]),
        ("pair", [3, "p"]),
        ("named", [["x", 1]]),
        ("named", {"x": "1"}),
        ("later", [{"name": 1}]),
    ],
)
def test_a_part_of_another_type_is_refused_by_its_name(part: str, value: object) -> None:
    """
    Nothing is converted that JSON tells apart.
    """
    with pytest.raises(ValueError, match=f"^it, `{part}`,"):
        read(Outer, {**OUTER, part: value}, what="it")


@pytest.mark.parametrize("raw", [None, [], "text", 1])
def test_what_is_no_object_is_refused(raw: object) -> None:
    """
    A message is an object.
    """
    with pytest.raises(ValueError, match=r"^it is not an object$"):
        read(Inner, raw, what="it")


def test_unknown_and_missing_parts_are_named() -> None:
    """
    The whole place, where the part is within another one.
    """
    with pytest.raises(ValueError, match=r"^it, `inner`, has unknown parts: a, b$"):
        read(Outer, {**OUTER, "inner": {"name": "i", "b": 1, "a": 1}}, what="it")
    with pytest.raises(ValueError, match=r"^it lacks `text`, `whole`$"):
        read(Outer, {name: value for name, value in OUTER.items() if name not in ("text", "whole")}, what="it")


def test_a_long_value_is_shortened_in_the_error() -> None:
    """
    It may be a whole model's answer.
    """
    with pytest.raises(ValueError, match="cannot be") as caught:
        read(Inner, {"name": ["x" * 10_000]}, what="it")

    assert len(str(caught.value)) < 300


def classes() -> Iterator[type]:
    """Every dataclass that is sent."""
    for module in (conversion, deployments, evaluation, models, platforms, registry, request, runs, scoring):
        for value in vars(module).values():
            if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__:
                yield value


def test_every_verb_has_a_response_and_every_response_an_example() -> None:
    """
    A verb that is added without them is not tested below.
    """
    verbs = {kind for kind in classes() if issubclass(kind, request.Request) and kind is not request.Request}

    assert verbs == set(PAIRS)
    assert set(PAIRS.values()) == {type(response) for response in RESPONSES}
    assert len(verbs) == len({kind.verb for kind in PAIRS})


@pytest.mark.parametrize("response", RESPONSES, ids=lambda response: type(response).__name__)
def test_a_response_survives_its_journey(response: Any) -> None:
    """
    What a payload writes is what the caller gets.
    """
    assert response == read(type(response), as_json(response), what="the response")


REQUIRED = [
    pytest.param(response, name, id=f"{type(response).__name__}.{name}")
    for response in RESPONSES
    for name in asdict(response)
]


class Nothing:
    """Of no type that JSON has."""


@pytest.mark.parametrize(("response", "name"), REQUIRED)
def test_a_response_without_a_part_or_with_another_type_is_refused(response: Any, name: str) -> None:
    """
    Only a part with a default may be missing, and only one that is any JSON has no type.
    """
    complete = as_json(response)
    (field,) = (field for field in fields(response) if field.name == name)
    lacking = {part: value for part, value in complete.items() if part != name}

    refused = []
    for raw in (lacking, {**complete, name: Nothing()}, {**complete, "surprise": 1}):
        try:
            read(type(response), raw, what="the response")
        except ValueError as error:
            refused.append(str(error).startswith("the response"))
        else:
            refused.append(False)

    has_default = field.default is not field.default_factory  # both are MISSING without one
    assert [not has_default, field.type is not Any, True] == refused
