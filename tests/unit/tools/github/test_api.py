"""Requests to GitHub's API: what is repeated, and what prevents them."""

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from tests.github_api import REPOSITORY, TOKEN, FakeGithub
from tests.unit.tools.github.conftest import api

PULL = f"/repos/{REPOSITORY}/pulls/3"
COMMENTS = f"/repos/{REPOSITORY}/issues/3/comments"


def test_a_busy_server_is_asked_again_but_writes_once(github: FakeGithub) -> None:
    """
    A comment that was created behind an error would be there twice.
    """
    github.failures += [503, 502]
    assert api(github).get(PULL) is not None

    github.failures += [502]
    with pytest.raises(ToolFailed, match="refused a request"):
        api(github).post(COMMENTS, {"body": "x"})

    assert 1 == len(github.written)


def test_a_refusal_names_the_permission(github: FakeGithub) -> None:
    """
    The fix is what the job lacks.
    """
    github.failures += [403]

    with pytest.raises(ToolFailed) as caught:
        api(github).patch(COMMENTS, {})

    assert "a token with the permission pull-requests: write" == caught.value.fix


@pytest.mark.parametrize(
    ("variables", "error", "text"),
    [
        ({"GITHUB_TOKEN": ""}, BadInput, "there is no token"),
        ({"GITHUB_REPOSITORY": "../user"}, BadInput, "the repository is unknown"),
        ({"GITHUB_REPOSITORY": "a/b/../../c"}, BadInput, "the repository is unknown"),
        ({"GITHUB_TOKEN": "wrong"}, ToolFailed, "401 Bad credentials"),
        ({"GITHUB_API_URL": "http://github.example"}, ToolFailed, "without encryption"),
        ({"GITHUB_API_URL": "http://127.0.0.1:9"}, ToolFailed, "does not answer"),
    ],
)
def test_what_prevents_a_comment_is_said(
    github: FakeGithub, variables: dict[str, str], error: type[Exception], text: str
) -> None:
    """
    The reason, and never the token.
    """
    with pytest.raises(error) as caught:
        api(github, **variables).get(PULL)

    assert text in str(caught.value)
    assert TOKEN not in str(caught.value)
