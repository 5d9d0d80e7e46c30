"""Where a comment silences a rule."""

import pytest

from mlflow_uv.core.lint.silencing import silences


@pytest.mark.parametrize(
    ("rows", "line", "silent"),
    [
        (["a  # mlflow-uv: ignore[x]"], 1, True),
        (["a  # mlflow-uv: ignore[y, x]"], 1, True),
        (["# mlflow-uv: ignore[x]\r", "a"], 2, True),
        (["<!-- mlflow-uv: ignore[x] -->", "a"], 2, True),
        (["b  # mlflow-uv: ignore[x]", "a"], 2, False),
        (["a  # mlflow-uv: ignore[xy]"], 1, False),
        (["a  # mlflow-uv: ignore"], 1, False),
        (["a"], 7, False),
        ([], 1, False),
    ],
)
def test_a_comment_silences_its_line_or_the_next(rows: list[str], line: int, silent: bool) -> None:
    """
    The next one only if it is alone, and only the rules that it names.
    """
    assert silent is silences(rows, line, "x")
