"""Comments on pull requests, through a stand-in of GitHub's API."""

from collections.abc import Iterator

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.tools.github.pull_requests import PullRequest, PullRequests
from mlflow_uv.tools.system.web import Web
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github

MARKER = "<!-- marker -->"


class NoWait:
    """A clock that does not wait."""

    def now_s(self) -> float:
        """See Clock."""
        return 0.0

    date_s = now_s

    def wait(self, seconds: float) -> None:
        """See Clock."""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGithub]:
    """GitHub Enterprise Server, whose API is below a path."""
    with fake_github(prefix="/api/v3") as started:
        yield started


@pytest.fixture
def github(server: FakeGithub) -> FakeGithub:
    """The server with one pull request and no comments."""
    server.login = None
    for state in (server.pulls, server.comments, server.requests, server.failures):
        state.clear()
    server.open(3, "b" * 40)
    return server


def pulls(github: FakeGithub, **variables: str) -> PullRequests:
    """The client, as a job has it."""
    job = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": TOKEN}
    return PullRequests(Web({}), NoWait(), {**job, **variables})


def test_a_pull_request_is_read(github: FakeGithub) -> None:
    """
    Its commit, branch and repository; one whose repository was deleted has none, and one that is not there is none.
    """
    github.open(4, "c" * 40, state="closed")
    github.pulls[4]["head"]["repo"] = None

    first, deleted, absent = (pulls(github).pull_request(number) for number in (3, 4, 5))

    assert PullRequest(number=3, head="b" * 40, branch="topic", repository=7, is_open=True) == first
    assert deleted is not None
    assert (0, False, None) == (deleted.repository, deleted.is_open, absent)


def test_a_comment_is_written_changed_and_deleted(github: FakeGithub) -> None:
    """
    It is found again by its first line.
    """
    client = pulls(github)

    url = client.create(3, f"{MARKER}\none")
    (comment,) = client.own_comments(3, MARKER)
    client.update(comment, f"{MARKER}\ntwo")
    changed = github.bodies(3)
    client.delete(comment)
    client.delete(comment)

    assert (url, [f"{MARKER}\ntwo"], []) == (comment.address, changed, github.bodies(3))


def test_comments_of_others_are_never_ours(github: FakeGithub) -> None:
    """
    The token of a job may edit every comment, and anybody can write the marker: only those of a bot count.
    """
    github.comment(3, f"{MARKER}\nof a stranger", author="mallory", kind="User")
    github.comment(3, f"quoted:\n{MARKER}")
    ours = github.comment(3, f"{MARKER}\r\nours")

    assert [ours] == [comment.id for comment in pulls(github).own_comments(3, MARKER)]


def test_with_a_personal_token_only_its_account_counts(github: FakeGithub) -> None:
    """
    A bot may quote the marker; the account says who it is.
    """
    github.login = "grower"
    github.comment(3, MARKER)
    ours = github.comment(3, MARKER, author="grower", kind="User")

    assert [ours] == [comment.id for comment in pulls(github).own_comments(3, MARKER)]


def test_a_comment_on_a_later_page_is_found(github: FakeGithub) -> None:
    """
    Long discussions have more than a hundred.
    """
    for number in range(230):
        github.comment(3, f"{number}", author="grower", kind="User")
    ours = github.comment(3, MARKER)

    assert [ours] == [comment.id for comment in pulls(github).own_comments(3, MARKER)]


def test_a_busy_server_is_asked_again_but_writes_once(github: FakeGithub) -> None:
    """
    A comment that was created behind an error would be there twice.
    """
    github.failures += [503, 502]
    assert pulls(github).pull_request(3) is not None

    github.failures += [502]
    with pytest.raises(ToolFailed, match="refused a request"):
        pulls(github).create(3, "x")

    assert 1 == len(github.written)


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
        pulls(github, **variables).pull_request(3)

    assert text in str(caught.value)
    assert TOKEN not in str(caught.value)
