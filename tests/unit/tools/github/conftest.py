"""A stand-in of GitHub's API, and the client of a job."""

from collections.abc import Iterator

import pytest

from mlflow_uv.tools.github.api import GithubApi
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
    """The server with one pull request, no comments and no issues."""
    server.login = None
    lists = (server.comments, server.issues, server.requests, server.failures, server.files, server.suggestions)
    for state in (server.pulls, *lists):
        state.clear()
    server.open(3, "b" * 40)
    return server


def api(github: FakeGithub, **variables: str) -> GithubApi:
    """The client, as a job has it."""
    job = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": TOKEN}
    return GithubApi(Web({}), NoWait(), {**job, **variables}, permission="pull-requests: write")
