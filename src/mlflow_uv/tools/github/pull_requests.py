"""Reads a pull request and its comments, and writes comments."""

from typing import Any
from urllib.parse import quote

from ...core.security.documents import whole_number
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .api import GithubApi, GithubText, malformed

_PROPOSED = "<!-- mlflow-uv deploy -->"
PERMISSION = "pull-requests: write"


@lazy_dataclass
class PullRequest:
    """The state of a pull request; `repository` is the id of the one that its branch is in, 0 if that was deleted."""

    number: int
    head: str
    branch: str
    repository: int
    is_open: bool


@lazy_dataclass
class NewPullRequest:
    """A pull request that is to be open: its branch, the one that it changes in the same repository, and its text."""

    branch: str
    base: str
    title: str
    body: str


class PullRequests:
    """The pull requests of one repository. Every method raises ToolFailed."""

    def __init__(self, api: GithubApi) -> None:
        self._api = api

    def pull_request(self, number: int) -> PullRequest | None:
        """A pull request, None if there is none of this number."""
        reply = self._api.get(f"{self._api.repository}/pulls/{number}")
        if reply is None:
            return None
        try:
            head = reply["head"]
            return PullRequest(
                number=whole_number(reply["number"]),
                head=str(head["sha"]),
                branch=str(head["ref"]),
                repository=whole_number((head["repo"] or {"id": 0})["id"]),
                is_open=reply["state"] == "open",
            )
        except (LookupError, TypeError, ValueError) as error:
            raise malformed() from error

    def propose(self, wanted: NewPullRequest) -> str:
        """
        Open a pull request, or give the open one of the same branches this text; its address.

        The text of one that somebody else opened stays, and one from a branch of this name in a fork is another one.
        """
        owner = self._api.repository.split("/")[2]
        head = quote(f"{owner}:{wanted.branch}", safe="")
        path = f"{self._api.repository}/pulls"
        query = f"{path}?state=open&head={head}&base={quote(wanted.base, safe='')}"
        text = {"title": wanted.title, "body": f"{_PROPOSED}\n\n{wanted.body}"}
        try:
            for found, raw in self._api.own(query, _PROPOSED):
                if _is_in_one(raw):
                    self._api.patch(f"{path}/{whole_number(raw['number'])}", text)
                    return found.address
            of_others = next((str(raw["html_url"]) for raw in self._api.get(query) or () if _is_in_one(raw)), None)
        except (LookupError, TypeError, ValueError) as error:
            raise malformed() from error
        return of_others or self._api.post(path, {**text, "head": wanted.branch, "base": wanted.base})

    def own_comments(self, number: int, marker: str) -> tuple[GithubText, ...]:
        """The comments of this token's account whose first line is the marker, oldest first."""
        return tuple(text for text, _ in self._api.own(f"{self._api.repository}/issues/{number}/comments", marker))

    def create(self, number: int, body: str) -> str:
        """Write a comment; its address."""
        return self._api.post(f"{self._api.repository}/issues/{number}/comments", {"body": body})

    def update(self, comment: GithubText, body: str) -> None:
        """Replace the text of a comment."""
        self._api.patch(f"{self._api.repository}/issues/comments/{comment.id}", {"body": body})

    def delete(self, comment: GithubText) -> None:
        """Delete a comment."""
        self._api.delete(f"{self._api.repository}/issues/comments/{comment.id}")


def _is_in_one(raw: Any) -> bool:
    """Whether both branches of a pull request are in one repository. The fork's may be deleted."""
    head, base = raw["head"]["repo"], raw["base"]["repo"]
    return head is not None and whole_number(head["id"]) == whole_number(base["id"])
