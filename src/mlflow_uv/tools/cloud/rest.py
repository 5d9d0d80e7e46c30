"""Sends requests to the REST API of a platform, with a token that the environment leads to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from ...command.errors import PlanOutdated, ToolFailed
from ...core.security.documents import parse_json
from ...core.security.masking import forms_of, mask
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.web import Web, WebReply, WebRequest, WebUnreachable

_OK = range(200, 300)
_UNAUTHORIZED, _FORBIDDEN, _ABSENT, _CONFLICT, _TOO_MANY = 401, 403, 404, 409, 429
_BUSY = frozenset({_TOO_MANY, 500, 502, 503, 504})
# Statuses after which a request that creates something was not carried out.
_NOT_TAKEN = frozenset({_TOO_MANY, 503})
_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
_WAITS_S = (1.0, 4.0)
_LONGEST_WAIT_S = 60.0
_LONGEST_REASON, _LONGEST_READ = 400, 65536


class PlatformRefused(ToolFailed):
    """A platform refused a request: the HTTP status, and the code of its error."""

    def __init__(self, *, what: str, why: str, fix: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(what=what, why=why, fix=fix)
        self.status = status
        self.code = code


@lazy_dataclass
class RestAccount:
    """
    What is contacted, below the address `root`; `title` names it in messages, `login` is what to do without access.

    `token` is called before the first request, and again if a request is denied with status 401. It is empty where no
    login is needed.
    """

    root: str
    title: str
    login: str
    token: Callable[[], str] = field(repr=False)


class RestApi:
    """The API of a platform."""

    def __init__(self, web: Web, clock: Clock, account: RestAccount) -> None:
        self._web = web
        self._clock = clock
        self._account = account
        self._title = account.title
        self._current = ""

    @property
    def authorization(self) -> str:
        """The value of the header `Authorization`."""
        if not self._current:
            self._current = self._account.token()
        return f"Bearer {self._current}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers with the login; none if the platform needs none and the token is empty."""
        authorization = self.authorization
        return {"Authorization": authorization} if self._current else {}

    def get(self, path: str) -> Any:
        """A document, None if there is none. Raises PlatformRefused, ToolFailed."""
        return self.send("GET", path, absent_ok=True)

    def send(self, method: str, path: str, content: object = None, *, absent_ok: bool = False) -> Any:
        """
        Send a request, and return the JSON of the response; with `absent_ok`, None for what does not exist.

        Raises PlatformRefused; PlanOutdated if somebody else changes the same thing (409); ToolFailed if the platform
        does not answer.
        """
        reply = self._sent(method, path, content)
        if reply.status == _UNAUTHORIZED:
            self._current = ""
            reply = self._sent(method, path, content)
        if reply.status in _OK:
            return self._parsed(reply)
        if reply.status == _ABSENT and absent_ok:
            return None
        code, message = _reason(reply)
        shown = self._masked(message)[:_LONGEST_REASON]  # a part of a token would not be found
        why = f"status {reply.status}{f', {self._masked(code)}' if code else ''}{f': {shown}' if shown else ''}"
        if reply.status == _CONFLICT:
            raise PlanOutdated(
                what=f"{self._title} refuses the change", why=why, fix="run it again when the other change has ended"
            )
        denied = reply.status in {_UNAUTHORIZED, _FORBIDDEN}
        what = f"{self._title} denies access to {path}" if denied else f"{self._title} refuses {method} {path}"
        fix = self._account.login if denied else ""
        raise PlatformRefused(what=what, why=why, fix=fix, status=reply.status, code=code)

    def _sent(self, method: str, path: str, content: object) -> WebReply:
        request = WebRequest(
            url=self._account.root.rstrip("/") + path,
            method=method,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            secret=self.headers,
            form=None if content is None else json.dumps(content).encode(),
        )
        retried = _BUSY if method in _REPEATABLE else _NOT_TAKEN
        for wait_s in (*_WAITS_S, None):
            try:
                reply = self._web.send(request)
            except WebUnreachable as error:
                if wait_s is None or error.permanent or method not in _REPEATABLE:
                    raise ToolFailed(what=f"{self._title} does not answer", why=self._masked(str(error))) from error
                self._clock.wait(wait_s)
                continue
            if wait_s is None or reply.status not in retried:
                return reply
            retry_after = reply.headers.get("retry-after", "")
            self._clock.wait(
                max(wait_s, min(float(retry_after), _LONGEST_WAIT_S)) if retry_after.isdecimal() else wait_s
            )
        raise AssertionError  # the last attempt returns or raises

    def _parsed(self, reply: WebReply) -> Any:
        if not reply.body.strip():
            return {}
        try:
            return parse_json(reply.body)
        except Unparsable as error:
            raise ToolFailed(what=f"{self._title} answers with something else than JSON", why=str(error)) from error

    def _masked(self, text: str) -> str:
        return mask(text, forms_of((self._current,)) if self._current else ())


def _reason(reply: WebReply) -> tuple[str, str]:
    """The code and the message of an error, as `error_code` and `message`, or as `error` with `code` and `message`."""
    try:
        content = parse_json(reply.body)
    except Unparsable:
        return "", " ".join(reply.body.decode(errors="replace").split())[:_LONGEST_READ]
    inner = content.get("error") if isinstance(content, dict) else None
    error = inner if isinstance(inner, dict) else content
    if not isinstance(error, dict):
        return "", str(error)[:_LONGEST_READ]
    code = error.get("error_code") or error.get("code") or (inner if isinstance(inner, str) else "")
    message = error.get("message") or error.get("error_description") or ""
    return str(code)[:_LONGEST_REASON], " ".join(str(message).split())[:_LONGEST_READ]


def child(document: object, *path: str) -> Any:
    """A part of a document by the keys that lead to it; {} where there is none."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return {} if document is None else document
