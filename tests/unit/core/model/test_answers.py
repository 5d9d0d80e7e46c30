"""Comparing the answers of a server with those of the training environment."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.answers import answers_digest, differences, non_json_values, volatile_paths

ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def compare(expected: object, observed: object, tolerance: float = 1e-6) -> list[str]:
    return [difference.text for difference in differences(expected, observed, tolerance=tolerance)]


@given(ANSWERS)
def test_an_answer_is_what_it_is(answer: object) -> None:
    """
    Any JSON value agrees with itself, NaN and infinity included, at any tolerance.
    """
    found = compare(answer, answer, tolerance=0)

    assert [] == found


@given(ANSWERS, ANSWERS)
def test_agreement_does_not_depend_on_the_side(one: object, other: object) -> None:
    """
    If one agrees with the other, so does the other with the one.
    """
    there, back = compare(one, other), compare(other, one)

    assert bool(there) == bool(back)


@pytest.mark.parametrize(
    ("expected", "observed"),
    [
        (0.1, 0.1 + 1e-8),
        (1e12, 1e12 + 1),
        (0.0, 1e-9),
        (1.0, 1),
        (math.nan, math.nan),
        (math.inf, math.inf),
        ({"predictions": [0.5, [1, 2]]}, {"predictions": [0.5 + 1e-9, [1, 2]]}),
    ],
)
def test_the_last_bits_of_a_float_depend_on_the_processor(expected: object, observed: object) -> None:
    """
    Floats may differ by the tolerance, relative to the larger one and absolutely below 1; `1.0` and `1` are one number.
    """
    found = compare(expected, observed)

    assert [] == found


@pytest.mark.parametrize(
    ("expected", "observed", "difference"),
    [
        (0.1, 0.2, "$ is 0.2, expected is 0.1"),
        (1, 2, "$ is 2, expected is 1"),
        (10**17, 10**17 + 1, "$ is 100000000000000001, expected is 100000000000000000"),
        (1, True, "$ is True, expected is 1"),
        (1.0, True, "$ is True, expected is 1.0"),
        ("1", 1, "$ is 1, expected is '1'"),
        (None, 0, "$ is 0, expected is None"),
        (math.nan, 1.0, "$ is 1.0, expected is nan"),
        (1.0, math.nan, "$ is nan, expected is 1.0"),
        (math.inf, -math.inf, "$ is -inf, expected is inf"),
        (1.0, 10**400, f"$ is {10**400}, expected is 1.0"),
        ([1], [1, 2], "$ has 2 items, expected are 1"),
        ([], {}, "$ is {}, expected is []"),
        ({"a": 1}, {}, "$.a is missing"),
        ({}, {"a": 1}, "$.a was not expected"),
        ({"a": [{"b": 1.0}]}, {"a": [{"b": 2.0}]}, "$.a[0].b is 2.0, expected is 1.0"),
        ({"a b": 1}, {}, "$['a b'] is missing"),
    ],
)
def test_every_other_difference_is_named_with_its_place(expected: object, observed: object, difference: str) -> None:
    """
    Types, lengths, keys, whole numbers and floats beyond the tolerance: one sentence, with the path in the answer.
    """
    found = compare(expected, observed)

    assert [difference] == found


def test_every_difference_is_named() -> None:
    """
    One wrong column does not hide the next.
    """
    found = compare({"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 2, "c": 4})

    assert ["$.a is 2, expected is 1", "$.c is 4, expected is 3"] == found


def test_the_digest_of_answers_ignores_the_order_of_keys() -> None:
    """
    The digest is over canonical JSON.
    """
    found = answers_digest({"b": [1.5], "a": None})

    assert answers_digest({"a": None, "b": [1.5]}) == found


@given(ANSWERS, ANSWERS)
def test_every_place_of_a_difference_can_be_left_out(one: object, other: object) -> None:
    """
    The path that a difference is told with is a path that `ignore-answers` takes, unless it is the answer itself.
    """
    found = [difference.path for difference in differences(one, other, tolerance=0)]

    paths = [parse_path(path) for path in found if path != "$" and "\\" not in path and not {"'", '"'} <= {*path}]

    assert all(path.text in found for path in paths)


@pytest.mark.parametrize(
    ("expected", "observed", "paths"),
    [
        ({"created": 1_764_130_000}, {"created": 1_764_130_007}, ("$.created",)),
        ({"created": 1_764_130_000.25}, {"created": 1_864_130_007.5}, ("$.created",)),
        ({"at": "2026-11-26T04:00:00Z"}, {"at": "2026-11-26T04:00:09Z"}, ("$.at",)),
        (
            {"output": [{"id": "msg_" + "0a" * 16}, {"id": "b" * 15 + "1"}]},
            {"output": [{"id": "msg_" + "1a" * 16}, {"id": "c" * 15 + "2"}]},
            ("$.output[*].id",),
        ),
        (
            {"id": "chatcmpl-8b5dc27a-8d60-4a1b-9c68-0123456789ab"},
            {"id": "chatcmpl-8b5dc27a-8d60-4a1b-9c68-ba9876543210"},
            ("$.id",),
        ),
        ({"predictions": [1]}, {"predictions": [2]}, ()),
        ({"predictions": [0.25]}, {"predictions": [0.75]}, ()),
        ({"text": "a long enough answer"}, {"text": "another such answer"}, ()),
        ({"created": 1_764_130_000, "n": 1}, {"created": 1_764_130_007, "n": 2}, ()),
        ({"created": 1_764_130_000}, {}, ()),
    ],
)
def test_only_what_is_of_the_moment_is_offered_to_be_ignored(
    expected: object, observed: object, paths: tuple[str, ...]
) -> None:
    """
    Times and names drawn anew are; a prediction that differs is never explained away.
    """
    found = tuple(differences(expected, observed, tolerance=1e-6))

    assert paths == volatile_paths(found)


def test_numbers_that_are_no_json_are_named_with_their_places() -> None:
    """
    Python writes NaN and infinity as words that JSON does not have.
    """
    answer = {"predictions": [1.0, math.nan, {"low": -math.inf, "high": math.inf}], "n": None}

    found = list(non_json_values(answer))

    assert [
        "$.predictions[1] is NaN",
        "$.predictions[2].low is -Infinity",
        "$.predictions[2].high is Infinity",
    ] == found
