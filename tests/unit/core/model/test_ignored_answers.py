"""Paths of `ignore-answers`: invalid ones, those that match nothing, and those that leave nothing to compare."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import Severity
from mlflow_uv.core.model.ignored_answers import everything_ignored, ignored_paths, unmatched_paths

ANSWERS = ({"id": "a", "predictions": [1, 2]}, {"id": "b", "predictions": []})


def test_an_invalid_path_is_a_wrong_input_with_an_example() -> None:
    """
    The reason quotes the path.
    """
    with pytest.raises(BadInput, match="`created` does not begin with `\\$`") as caught:
        ignored_paths(["$.id", "created"])

    assert "--ignore-answers '$.created'" == str(caught.value.fix)


def test_a_path_that_matches_nothing_is_a_warning() -> None:
    """
    A path that matches in one of the answers has an effect.
    """
    findings = list(unmatched_paths(ignored_paths(["$.id", "$.predictions[1]", "$.created"]), ANSWERS))

    assert [
        ("ignored-nothing", Severity.WARNING, "`$.created` in `ignore-answers` matches nothing in any response")
    ] == [(finding.rule, finding.severity, str(finding.what)) for finding in findings]


@pytest.mark.parametrize(
    ("paths", "rules"),
    [
        ((), []),
        (("$.id",), []),
        (("$.id", "$.predictions"), ["ignored-everything"]),
        (("$.*",), ["ignored-everything"]),
    ],
)
def test_paths_that_leave_nothing_are_an_error(paths: tuple[str, ...], rules: list[str]) -> None:
    """
    Any response would be equal to any other.
    """
    assert rules == [finding.rule for finding in everything_ignored(ignored_paths(paths), ANSWERS)]


def test_answers_without_values_are_nobodys_mistake() -> None:
    """
    There is nothing that the paths could have left.
    """
    assert [] == list(everything_ignored(ignored_paths(["$.id"]), [{}, []]))
