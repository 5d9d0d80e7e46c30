"""Reads which lines of a pull request can be commented, and writes suggestions for them."""

import re
from typing import Any

from ...core.lock_difference.lock_update import MARKER, Suggestion
from ...core.security.documents import whole_number
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .api import GithubApi, malformed

_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d{1,9})(?:,(\d{1,9}))? @@", re.MULTILINE)


@lazy_dataclass
class WrittenSuggestion:
    """A comment of this program on lines of a pull request; `place` is None once these lines were changed."""

    id: int
    place: tuple[str, int, int] | None
    body: str


class ReviewComments:
    """The comments on lines of one pull request. Every method raises ToolFailed."""

    def __init__(self, api: GithubApi, number: int) -> None:
        self._api = api
        self._pull = f"{api.repository}/pulls/{number}"

    def commentable(self, path: str) -> tuple[range, ...]:
        """The lines of a file that the pull request shows, one range for each hunk; none if GitHub shows no diff."""
        for raw in self._api.listed(f"{self._pull}/files"):
            try:
                if raw["filename"] == path:
                    hunks = _HUNK.findall(str(raw.get("patch") or ""))
                    return tuple(range(int(first), int(first) + int(count or 1)) for first, count in hunks)
            except (AttributeError, LookupError, TypeError) as error:
                raise malformed() from error
        return ()

    def own(self) -> tuple[WrittenSuggestion, ...]:
        """The suggestions of this token's account, oldest first."""
        found = self._api.own(f"{self._pull}/comments", MARKER)
        return tuple(WrittenSuggestion(id=text.id, place=_place(raw), body=text.body) for text, raw in found)

    def write(self, suggestion: Suggestion, commit: str) -> None:
        """Write a suggestion about a commit."""
        several = suggestion.first_line < suggestion.last_line
        start = {"start_line": suggestion.first_line, "start_side": "RIGHT"} if several else {}
        where = {"path": suggestion.path, "line": suggestion.last_line, "side": "RIGHT", "commit_id": commit}
        self._api.post(f"{self._pull}/comments", {"body": suggestion.body, **where, **start})

    def delete(self, comment: WrittenSuggestion) -> None:
        """Delete a suggestion."""
        self._api.delete(f"{self._api.repository}/pulls/comments/{comment.id}")


def _place(raw: Any) -> tuple[str, int, int] | None:
    try:
        if raw.get("line") is None:
            return None
        last = whole_number(raw["line"])
        first = last if raw.get("start_line") is None else whole_number(raw["start_line"])
        return str(raw["path"]), first, last
    except (AttributeError, LookupError, TypeError) as error:
        raise malformed() from error
