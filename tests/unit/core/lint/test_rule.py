"""Paths and lines, as rules use them."""

import pytest

from mlflow_uv.core.lint.rule import is_test, joined_path, line_at_offset, lines_of


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [("a/b", "../c", "a/c"), ("", "./c/", "c"), ("a", "../../c", "../c"), ("a", "", "a"), ("", "../../x", "../../x")],
)
def test_a_path_is_joined_without_dots(folder: str, name: str, path: str) -> None:
    """
    A path that leads out begins with two dots.
    """
    assert path == joined_path(folder, name)


def test_lines_end_at_line_feeds_only() -> None:
    """
    Editors and git count them so; other separators of Unicode are part of a line.
    """
    text = "a\r\nb\u2028c\x0bd\ne"

    assert (["a", "b\u2028c\x0bd", "e"], 3) == (lines_of(text), line_at_offset(text, text.index("e")))


def test_tests_are_known_by_their_folder_or_name() -> None:
    """
    Not by a part of a name.
    """
    paths = ("tests/a.py", "src/test_a.py", "a_test.py", "conftest.py", "contest.py", "latest/a.py")

    assert [True, True, True, True, False, False] == list(map(is_test, paths))
