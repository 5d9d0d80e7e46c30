"""Paths into a recorded answer: parsing them, and leaving out what they name."""

import pytest

from mlflow_uv.core.model.answer_paths import names_something, parse_path, without_paths


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$.created", {"choices": [{"id": "a", "n": 1}, {"id": "b"}], "a b": 2}),
        ("$['a b']", {"created": 9, "choices": [{"id": "a", "n": 1}, {"id": "b"}]}),
        ('$["a b"]', {"created": 9, "choices": [{"id": "a", "n": 1}, {"id": "b"}]}),
        ("$.choices[*].id", {"created": 9, "choices": [{"n": 1}, {}], "a b": 2}),
        ("$.choices[1].id", {"created": 9, "choices": [{"id": "a", "n": 1}, {}], "a b": 2}),
        ("$.choices[0]", {"created": 9, "choices": [None, {"id": "b"}], "a b": 2}),
        ("$.choices", {"created": 9, "a b": 2}),
        ("$.*", {}),
        ("$.*[*].id", {"created": 9, "choices": [{"n": 1}, {}], "a b": 2}),
    ],
)
def test_a_path_leaves_out_what_it_names(path: str, left: object) -> None:
    """
    Members are gone; items of a list become null, so that its length is still compared.
    """
    answer = {"created": 9, "choices": [{"id": "a", "n": 1}, {"id": "b"}], "a b": 2}

    found = without_paths(answer, [parse_path(path)])

    assert (left, True) == (found, names_something(answer, parse_path(path)))


@pytest.mark.parametrize("path", ["$.updated", "$.choices[7]", "$.created.id", "$.choices.id", "$[0]"])
def test_a_path_that_names_nothing_is_known(path: str) -> None:
    """
    It changes nothing, and whoever wrote it can be told.
    """
    answer = {"created": 9, "choices": [{"id": "a"}]}

    found = without_paths(answer, [parse_path(path)])

    assert (answer, False) == (found, names_something(answer, parse_path(path)))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("created", "`created` does not begin with `$`"),
        ("$", "`$` is the whole response"),
        ("$.", "`$.` cannot be read from `.` on"),
        ("$..id", "`$..id` cannot be read from `..id` on"),
        ("$.a[-1]", "`$.a[-1]` cannot be read from `[-1]` on"),
        ("$.a[?(@.b)]", "`$.a[?(@.b)]` cannot be read from `[?(@.b)]` on"),
        ("$.a b", "`$.a b` cannot be read from ` b` on"),
    ],
)
def test_what_is_no_path_is_refused_with_the_place(path: str, why: str) -> None:
    """
    What this subset of JSONPath lacks is an error, never a path to nothing.
    """
    with pytest.raises(ValueError, match=r"\$") as refused:
        parse_path(path)

    assert str(refused.value).startswith(why)
