"""
Reads a pull request and its comments, and writes comments, through GitHub's REST API.

The address is GITHUB_API_URL, which a runner sets, also one of GitHub Enterprise Server. The token is GITHUB_TOKEN.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...command.errors import BadInput, ToolFailed
from ...command.wording import local
from ...core.security.documents import parse_json
from ...core.security.toml_documents import Unparsable
from ..system.clock import Clock
from ..system.web import Web, WebReply, WebRequest, WebUnreachable

PUBLIC_API = "https://api.github.com"
VERSION = "2022-11-28"
_PAGE = 100
_MOST_PAGES = 100
_BUSY = frozenset({429, 500, 502, 503, 504})
_WAITS_S = (1.0, 4.0)
_OK = range(200, 300)
_ABSENT = 404
_DENIED = frozenset({401, 403})
_BOT = "Bot"


@dataclass(frozen=True, kw_only=True, slots=True)
class PullRequest:
    """The state of a pull request; `repository` is the id of the one that its branch is in, 0 if that was deleted."""

    number: int
    head: str
    branch: str
    repository: int
    is_open: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PullRequestComment:
    """A comment on a pull request, with its author's name and whether that is a bot."""

    id: int
    body: str
    address: str
    author: str
    by_bot: bool


class PullRequests:
    """The pull requests of one repository."""

    def __init__(self, web: Web, clock: Clock, variables: Mapping[str, str]) -> None:
        """Raises BadInput without a repository or a token."""
        self._web = web
        self._clock = clock
        self._root = (variables.get("GITHUB_API_URL") or PUBLIC_API).rstrip("/")
        repository = variables.get("GITHUB_REPOSITORY", "")
        self._token = variables.get("GITHUB_TOKEN", "")
        if not re.fullmatch(r"[\w-]+/(?!\.{1,2}\Z)[\w.-]+", repository, re.ASCII):
            raise BadInput(
                what="the repository is unknown",
                why=f"GITHUB_REPOSITORY is {repository!r}",
                fix=local("GITHUB_REPOSITORY=OWNER/NAME", "run this step in a workflow of GitHub"),
            )
        if not self._token:
            raise BadInput(
                what="there is no token for GitHub's API",
                why="GITHUB_TOKEN is not set",
                fix=local("GITHUB_TOKEN=…", "add `env: GITHUB_TOKEN: ${{ github.token }}` to the step"),
            )
        self._repository = f"{self._root}/repos/{repository}"

    def pull_request(self, number: int) -> PullRequest | None:
        """A pull request, None if there is none of this number. Raises ToolFailed."""
        reply = self._send("GET", f"{self._repository}/pulls/{number}", absent_ok=True)
        if reply is None:
            return None
        try:
            head = reply["head"]
            return PullRequest(
                number=int(reply["number"]),
                head=str(head["sha"]),
                branch=str(head["ref"]),
                repository=int((head["repo"] or {"id": 0})["id"]),
                is_open=reply["state"] == "open",
            )
        except (LookupError, TypeError, ValueError) as error:
            raise _malformed() from error

    def own_comments(self, number: int, marker: str) -> tuple[PullRequestComment, ...]:
        """
        The comments of this token's account whose first line is the marker, oldest first. Raises ToolFailed.

        A marker alone proves nothing, since anybody may write one, and the token of a job may edit all comments.
        """
        marked = [comment for comment in self._comments(number) if comment.body.split("\n", 1)[0].strip() == marker]
        if not marked:
            return ()
        account = self._account()
        return tuple(
            comment for comment in marked if (comment.author == account if account is not None else comment.by_bot)
        )

    def create(self, number: int, body: str) -> str:
        """Write a comment; its address. Raises ToolFailed."""
        reply = self._send("POST", f"{self._repository}/issues/{number}/comments", body=body)
        return _text(reply, "html_url")

    def update(self, comment: PullRequestComment, body: str) -> None:
        """Replace the text of a comment. Raises ToolFailed."""
        self._send("PATCH", f"{self._repository}/issues/comments/{comment.id}", body=body)

    def delete(self, comment: PullRequestComment) -> None:
        """Delete a comment; one that is gone already is no error. Raises ToolFailed."""
        self._send("DELETE", f"{self._repository}/issues/comments/{comment.id}", absent_ok=True)

    def _comments(self, number: int) -> Iterator[PullRequestComment]:
        for page in range(1, _MOST_PAGES + 1):
            query = f"?per_page={_PAGE}&page={page}"
            reply = self._send("GET", f"{self._repository}/issues/{number}/comments{query}")
            if not isinstance(reply, list):
                raise _malformed()
            yield from map(_comment, reply)
            if len(reply) < _PAGE:
                return

    def _account(self) -> str | None:
        """The account of a personal token; None for the token of a job or an app, which may not ask for it."""
        reply = self._send("GET", f"{self._root}/user", denied_ok=True)
        return None if reply is None else _text(reply, "login")

    def _send(
        self, method: str, url: str, *, body: str | None = None, absent_ok: bool = False, denied_ok: bool = False
    ) -> Any:
        """The parsed response, None without one. A request that creates something is sent once."""
        request = WebRequest(
            url=url,
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "User-Agent": "mlflow-uv",
                "X-GitHub-Api-Version": VERSION,
                **({"Content-Type": "application/json"} if body is not None else {}),
            },
            secret={"Authorization": f"Bearer {self._token}"},
            form=None if body is None else json.dumps({"body": body}).encode(),
            limit=20 << 20,
        )
        reply = self._reply(request)
        if (absent_ok and reply.status == _ABSENT) or (denied_ok and reply.status in _DENIED):
            return None
        if reply.status not in _OK:
            raise _refused(method, url.removeprefix(self._root), reply)
        try:
            return parse_json(reply.body) if reply.body else None
        except Unparsable as error:
            raise _malformed() from error

    def _reply(self, request: WebRequest) -> WebReply:
        waits = iter(() if request.method == "POST" else _WAITS_S)
        while True:
            wait = next(waits, None)
            try:
                reply = self._web.send(request)
            except WebUnreachable as error:
                if wait is None or error.permanent:
                    raise ToolFailed(what="GitHub's API does not answer", why=str(error), fix="try again") from error
            else:
                if wait is None or reply.status not in _BUSY:
                    return reply
            self._clock.wait(wait)


def _comment(raw: Any) -> PullRequestComment:
    try:
        user = raw["user"] or {}
        return PullRequestComment(
            id=int(raw["id"]),
            body=str(raw["body"] or ""),
            address=str(raw.get("html_url", "")),
            author=str(user.get("login", "")),
            by_bot=user.get("type") == _BOT,
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _malformed() from error


def _text(raw: Any, name: str) -> str:
    if not isinstance(raw, dict) or not isinstance(raw.get(name), str):
        raise _malformed()
    return str(raw[name])


def _malformed() -> ToolFailed:
    return ToolFailed(what="GitHub's API gave an unexpected response", why="it is not what its documentation describes")


def _refused(method: str, path: str, reply: WebReply) -> ToolFailed:
    try:
        message = str(parse_json(reply.body)["message"])[:300]
    except (Unparsable, LookupError, TypeError):
        message = ""
    why = f"{method} {path.partition('?')[0]}: {' '.join(filter(None, (str(reply.status), message)))}"
    permissions = local("a token that may write pull requests", "give the job `permissions: pull-requests: write`")
    fix = permissions if reply.status in {*_DENIED, _ABSENT} else ""
    return ToolFailed(what="GitHub's API refused a request", why=why, fix=fix)
