"""
Sends requests to GitHub's REST API.

The address is GITHUB_API_URL, which a runner sets, also one of GitHub Enterprise Server. The token is GITHUB_TOKEN.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...command.errors import BadInput, ToolFailed
from ...command.wording import local
from ...core.security.documents import parse_json, whole_number
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.web import Web, WebReply, WebRequest, WebUnreachable

PUBLIC_API = "https://api.github.com"
VERSION = "2022-11-28"
_PAGE = 100
_MOST_PAGES = 100
_BUSY = frozenset({429, 500, 502, 503, 504})
_WAITS_S = (1.0, 4.0)
_LONGEST_WAIT_S = 60.0
_LARGEST = 20 << 20  # bytes of a document
_OK = range(200, 300)
_ABSENT = 404
_DENIED = frozenset({401, 403})
_BOT = "Bot"


@lazy_dataclass
class GithubText:
    """An issue or a comment: its text and address, and its author's name and whether that is a bot."""

    id: int
    body: str
    address: str
    author: str
    by_bot: bool


class GithubApi:
    """
    The API for one repository, whose paths begin with `repository`.

    `permission` is what the token must be allowed to do, as a key of a workflow's `permissions`.
    """

    def __init__(self, web: Web, clock: Clock, variables: Mapping[str, str], *, permission: str) -> None:
        """Raises BadInput without a repository or a token."""
        self._web = web
        self._clock = clock
        self._permission = permission
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
        self.repository = f"/repos/{repository}"

    def own(self, path: str, marker: str) -> tuple[tuple[GithubText, Any], ...]:
        """
        The issues or comments of a list by this token's account whose first line is the marker, with their JSON.

        A marker alone proves nothing, since anybody may write one, and the token of a job may edit all of them. Raises
        ToolFailed.
        """
        every = ((_text_of(raw), raw) for raw in self.listed(path))
        marked = [(text, raw) for text, raw in every if text.body.split("\n", 1)[0].strip() == marker]
        if not marked:
            return ()
        account = self._account()
        return tuple(
            (text, raw) for text, raw in marked if (text.author == account if account is not None else text.by_bot)
        )

    def get(self, path: str) -> Any:
        """A document, None if there is none. Raises ToolFailed."""
        return self._send("GET", path, tolerated=frozenset({_ABSENT}))

    def post(self, path: str, content: Mapping[str, object]) -> str:
        """Create something, once; its address. Raises ToolFailed."""
        return _string(self._send("POST", path, content=content), "html_url")

    def patch(self, path: str, content: Mapping[str, object]) -> None:
        """Change something. Raises ToolFailed."""
        self._send("PATCH", path, content=content)

    def delete(self, path: str) -> None:
        """Delete something; what is gone already is no error. Raises ToolFailed."""
        self._send("DELETE", path, tolerated=frozenset({_ABSENT}))

    def listed(self, path: str) -> Iterator[Any]:
        """Everything on the pages of a list. Raises ToolFailed."""
        for page in range(1, _MOST_PAGES + 1):
            sign = "&" if "?" in path else "?"
            reply = self._send("GET", f"{path}{sign}per_page={_PAGE}&page={page}")
            if not isinstance(reply, list):
                raise malformed()
            yield from reply
            if len(reply) < _PAGE:
                return

    def download(self, path: str, *, limit: int) -> bytes:
        """A file, which GitHub may have on another server. Raises ToolFailed, also for more than `limit` bytes."""
        reply = self._request("GET", path, None, limit)
        if reply.status not in _OK:
            raise self._refused("GET", path, reply)
        return reply.body

    def _account(self) -> str | None:
        """The account of a personal token; None for the token of a job or an app, which may not ask for it."""
        reply = self._send("GET", "/user", tolerated=_DENIED)
        return None if reply is None else _string(reply, "login")

    def _send(
        self,
        method: str,
        path: str,
        *,
        content: Mapping[str, object] | None = None,
        tolerated: frozenset[int] = frozenset(),
    ) -> Any:
        """The parsed response, None without one and for a status that is tolerated."""
        reply = self._request(method, path, content, _LARGEST)
        if reply.status in tolerated and not _is_limited(reply):
            return None
        if reply.status not in _OK:
            raise self._refused(method, path, reply)
        try:
            return parse_json(reply.body) if reply.body else None
        except Unparsable as error:
            raise malformed() from error

    def _request(self, method: str, path: str, content: Mapping[str, object] | None, limit: int) -> WebReply:
        request = WebRequest(
            url=self._root + path,
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "User-Agent": "mlflow-uv",
                "X-GitHub-Api-Version": VERSION,
                **({"Content-Type": "application/json"} if content is not None else {}),
            },
            secret={"Authorization": f"Bearer {self._token}"},
            form=None if content is None else json.dumps(content).encode(),
            limit=limit,
        )
        return self._reply(request)

    def _reply(self, request: WebRequest) -> WebReply:
        """The response; a request that creates something is sent once."""
        waits = iter(() if request.method == "POST" else _WAITS_S)
        while True:
            wait = next(waits, None)
            try:
                reply = self._web.send(request)
            except WebUnreachable as error:
                if wait is None or error.permanent:
                    fix = "" if error.permanent else "try again"
                    raise ToolFailed(what="GitHub's API does not answer", why=str(error), fix=fix) from error
            else:
                asked_s = _retry_after_s(reply)
                busy = reply.status in _BUSY or _is_limited(reply)
                if wait is None or not busy or asked_s > _LONGEST_WAIT_S:
                    return reply
                wait = max(wait, asked_s)
            self._clock.wait(wait)

    def _refused(self, method: str, path: str, reply: WebReply) -> ToolFailed:
        try:
            message = str(parse_json(reply.body)["message"])[:300]
        except (Unparsable, LookupError, TypeError):
            message = ""
        why = f"{method} {path.partition('?')[0]}: {' '.join(filter(None, (str(reply.status), message)))}"
        may = local(
            f"a token with the permission {self._permission}",
            f"give the job `permissions: {self._permission}`",
        )
        fix = may if reply.status in {*_DENIED, _ABSENT} else ""
        if _is_limited(reply):
            asked_s = _retry_after_s(reply)
            fix = f"try again in {asked_s:.0f} s" if asked_s else "try again later: the token has a limit of requests"
        return ToolFailed(what="GitHub's API refused a request", why=why, fix=fix)


def _is_limited(reply: WebReply) -> bool:
    """Whether the token has sent too many requests, which GitHub says with 429 or 403."""
    if reply.status not in {403, 429}:
        return False
    return "retry-after" in reply.headers or reply.headers.get("x-ratelimit-remaining") == "0"


def _retry_after_s(reply: WebReply) -> float:
    """After how many seconds GitHub allows the next request; 0 if it does not say."""
    seconds = reply.headers.get("retry-after", "")
    return float(seconds) if re.fullmatch(r"[0-9]{1,6}", seconds) else 0.0


def _text_of(raw: Any) -> GithubText:
    try:
        user = raw["user"] or {}
        return GithubText(
            id=whole_number(raw["id"]),
            body=str(raw["body"] or ""),
            address=str(raw.get("html_url", "")),
            author=str(user.get("login", "")),
            by_bot=user.get("type") == _BOT,
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise malformed() from error


def _string(raw: Any, name: str) -> str:
    if not isinstance(raw, dict) or not isinstance(raw.get(name), str):
        raise malformed()
    return str(raw[name])


def malformed() -> ToolFailed:
    """The error for a response that is not what the API's documentation describes."""
    return ToolFailed(what="GitHub's API gave an unexpected response", why="it is not what its documentation describes")
