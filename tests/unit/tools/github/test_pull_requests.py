"""Pull requests and comments on them, through a stand-in of GitHub's API."""

from dataclasses import replace

from mlflow_uv.tools.github.pull_requests import NewPullRequest, PullRequest, PullRequests
from tests.github_api import FakeGithub
from tests.unit.tools.github.conftest import MARKER, api


def pulls(github: FakeGithub) -> PullRequests:
    """The pull requests, as a job has them."""
    return PullRequests(api(github))


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
    github.comment(3, f"{MARKER}\nof another author", author="mallory", kind="User")
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


def test_a_pull_request_of_the_same_branches_is_opened_once_and_then_updated(github: FakeGithub) -> None:
    """
    A closed one, and one to another branch, are left alone.
    """
    wanted = NewPullRequest(branch="mlflow-uv/prod", base="main", title="Deploy 1", body="a")
    first = pulls(github).propose(wanted)
    again = pulls(github).propose(replace(wanted, title="Deploy 2"))
    other = pulls(github).propose(replace(wanted, base="stable"))
    number = int(first.rpartition("/")[2])
    titles = [github.pulls[number]["title"]]
    github.pulls[number]["state"] = "closed"

    later = pulls(github).propose(wanted)

    assert (first, ["Deploy 2"]) == (again, titles)
    assert 3 == len({first, other, later})


def test_a_pull_request_of_somebody_else_keeps_its_text(github: FakeGithub) -> None:
    """
    With the marker copied into it too; one from the branch of this name in a fork is another one.
    """
    wanted = NewPullRequest(branch="mlflow-uv/prod", base="main", title="Deploy 1", body="a")
    theirs = {"title": "Not yet", "body": "<!-- mlflow-uv deploy -->\nwait"}
    github.propose(8, wanted.branch, "main", theirs, author="mallory", repository=9)
    opened = pulls(github).propose(wanted)
    number = int(opened.rpartition("/")[2])
    github.propose(number, wanted.branch, "main", theirs, author="grower")

    again = pulls(github).propose(replace(wanted, title="Deploy 2"))

    assert (True, opened) == (number != 8, again)
    assert ["Not yet", "Not yet"] == [github.pulls[known]["title"] for known in (8, number)]
