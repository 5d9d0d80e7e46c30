"""JSON is read by a library whose results were compared, and by the standard library for everything else."""

import pytest

from mlflow_uv.serving.protocols import json_text


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.13.9", False), ("2.14.0", True), ("2.50.4", True), ("2.51.0", False), ("1.0.0", False), ("3.14.0", False)],
)
def test_only_versions_that_were_compared_are_used(version: str, *, expected: bool) -> None:
    """
    A newer version may read or write a float in another way.
    """
    assert expected == json_text.compared_core(version)


def test_names_of_columns_are_escaped() -> None:
    """
    A name may hold quotes, percent signs and commas, or be a number.
    """
    text = json_text.joined(['100% "a, b"', 7], [["1", "2"], ["0.5", "-0.0"]])

    assert '[{"100% \\"a, b\\"": 1, "7": 0.5}, {"100% \\"a, b\\"": 2, "7": -0.0}]' == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"a": [1, 2.5, null]}', "{'a': [1, 2.5, None]}"), (b"[NaN]", "[nan]"), ('"\\ud800"', r"'\ud800'"),
     ("[" * 300 + "]" * 300, "[" * 300 + "]" * 300)],
)  # fmt: skip
def test_what_the_library_refuses_is_still_read(text: str | bytes, expected: str) -> None:
    """
    A lone surrogate and deep lists are valid for the standard library.
    """
    assert expected == repr(json_text.loads(text))
