"""Finds, opens, changes and closes an issue."""

from ...core.security.documents import whole_number
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .api import GithubApi, malformed

PERMISSION = "issues: write"


@lazy_dataclass
class Issue:
    """An open issue."""

    number: int
    body: str
    address: str


class Issues:
    """The issues of one repository. Every method raises ToolFailed."""

    def __init__(self, api: GithubApi) -> None:
        self._api = api
        self._path = f"{api.repository}/issues"

    def own(self, marker: str) -> Issue | None:
        """The oldest open issue of this token's account whose first line is the marker; pull requests are none."""
        found = self._api.own(f"{self._path}?state=open&sort=created&direction=asc", marker)
        try:
            issues = (
                Issue(number=whole_number(raw["number"]), body=text.body, address=text.address)
                for text, raw in found
                if "pull_request" not in raw
            )
            return next(issues, None)
        except (LookupError, TypeError, ValueError) as error:
            raise malformed() from error

    def open(self, title: str, body: str) -> str:
        """Open an issue; its address."""
        return self._api.post(self._path, {"title": title, "body": body})

    def update(self, issue: Issue, body: str) -> None:
        """Replace the text of an issue."""
        self._api.patch(f"{self._path}/{issue.number}", {"body": body})

    def close(self, issue: Issue, comment: str) -> None:
        """Close an issue with a comment."""
        self._api.post(f"{self._path}/{issue.number}/comments", {"body": comment})
        self._api.patch(f"{self._path}/{issue.number}", {"state": "closed", "state_reason": "completed"})
