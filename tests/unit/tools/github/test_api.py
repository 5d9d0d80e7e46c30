"""Requests to GitHub's API: what is repeated, and what prevents them."""

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.tools.github.api import GithubApi
from mlflow_uv.tools.github.pull_requests import PullRequests
from mlflow_uv.tools.system.web import WebReply, WebRequest
from tests.github_api import REPOSITORY, TOKEN, FakeGithub
from tests.unit.tools.github.conftest import NoWait, api

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
        ({"GITHUB_API_URL": "https://[bad"}, ToolFailed, "not a valid URL"),
        ({"GITHUB_API_URL": "http://127.0.0.1:99999x"}, ToolFailed, "not a valid URL"),
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


class OneAnswer:
    """A network with one answer."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        self.answer = WebReply(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body)
        self.requests: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.requests.append(request)
        return self.answer


class Waits(NoWait):
    """A clock that notes the waits."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.waits.append(seconds)


def client(web: OneAnswer, clock: NoWait) -> GithubApi:
    """A client of this network."""
    job = {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": TOKEN}
    return GithubApi(web, clock, job, permission="pull-requests: write")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "waits", "fix"),
    [
        ({"retry_after": "7"}, [7.0, 7.0], "try again in 7 s"),
        ({"retry_after": "3600"}, [], "try again in 3600 s"),
        ({"x_ratelimit_remaining": "0"}, [1.0, 4.0], "try again later: the token has a limit of requests"),
        ({"x_ratelimit_remaining": "9"}, [], "a token with the permission pull-requests: write"),
    ],
)
def test_a_limit_of_requests_is_no_missing_permission(headers: dict[str, str], waits: list[float], fix: str) -> None:
    """
    GitHub says so with 403 too, and after how many seconds it answers again.
    """
    clock = Waits()

    with pytest.raises(ToolFailed) as caught:
        client(OneAnswer(403, b"{}", **headers), clock).get(PULL)

    assert (waits, fix) == (clock.waits, caught.value.fix)


@pytest.mark.parametrize(
    "body", [b'{"number": 1e999, "head": {"sha": "x", "ref": "x", "repo": null}, "state": "open"}', b"9" * 5000]
)
def test_a_number_that_is_none_is_an_unexpected_response(body: bytes) -> None:
    """
    A proxy may answer in GitHub's place.
    """
    with pytest.raises(ToolFailed, match="unexpected response"):
        PullRequests(client(OneAnswer(200, body), NoWait())).pull_request(3)
