"""Comments on lines of a pull request, through a stand-in of GitHub's API."""

from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.lock_difference.lock_update import MARKER, Suggestion
from mlflow_uv.tools.github.review_comments import ReviewComments, WrittenSuggestion
from tests.github_api import FakeGithub
from tests.unit.tools.github.conftest import api

LOCK = "a/uv.lock"


def test_the_lines_that_a_pull_request_shows_are_those_of_its_hunks(github: FakeGithub) -> None:
    """
    On a later page too; a hunk without a count has one line, and a file too large for a diff has none.
    """
    github.files += [{"filename": f"{number}.py", "patch": "@@ -1 +1 @@"} for number in range(120)]
    github.files += [
        {"filename": LOCK, "patch": "@@ -1,2 +3,4 @@ [[package]]\n x\n@@ -9 +11 @@\n-@@ -1 +99,9 @@"},
        {"filename": "large/uv.lock"},
    ]
    comments = ReviewComments(api(github), 3)

    lines = [comments.commentable(path) for path in (LOCK, "large/uv.lock", "absent/uv.lock")]

    assert [(range(3, 7), range(11, 12)), (), ()] == lines


@pytest.mark.parametrize("first", [5, 6])
def test_a_suggestion_is_found_again_where_it_was_written(github: FakeGithub, first: int) -> None:
    """
    For one line or several; once its lines are gone, it has no place.
    """
    github.files.append({"filename": LOCK, "patch": "@@ -1,9 +1,9 @@"})
    suggestion = Suggestion(path=LOCK, first_line=first, last_line=6, lines=("x",))
    comments = ReviewComments(api(github), 3)

    comments.write(suggestion, "b" * 40)
    (written,) = comments.own()
    github.suggestions[0]["line"] = None
    (moved,) = comments.own()
    comments.delete(moved)

    assert WrittenSuggestion(id=written.id, place=(LOCK, first, 6), body=suggestion.body) == written
    assert (None, []) == (moved.place, github.suggestions)


@pytest.mark.parametrize("wrong", [[], "x", {"patch": "@@"}, {"filename": LOCK, "patch": {}, "x": 1}, None])
def test_an_unexpected_file_is_an_error_or_no_line(github: FakeGithub, wrong: Any) -> None:
    """
    It is not a traceback.
    """
    github.files.append(wrong)
    comments = ReviewComments(api(github), 3)

    try:
        lines = comments.commentable(LOCK)
    except ToolFailed as error:
        assert "unexpected response" in error.what  # noqa: PT017  # one of both
    else:
        assert () == lines


def test_a_comment_with_another_place_than_github_writes_is_an_error(github: FakeGithub) -> None:
    """
    A line that is no number.
    """
    github.suggestions.append(
        {"id": 1, "body": MARKER, "user": {"type": "Bot"}, "path": LOCK, "line": "6", "start_line": None}
    )

    with pytest.raises(ToolFailed, match="unexpected response"):
        ReviewComments(api(github), 3).own()
