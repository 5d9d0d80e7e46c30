"""Exchanges the identity of a workflow, or a client's secret, for an access token of a platform (OAuth 2.0)."""

from collections.abc import Mapping
from dataclasses import field
from urllib.parse import quote, urlencode

from ...command.errors import LoginRefused, ToolFailed
from ...core.security.documents import parse_json
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.web import Web, WebReply, WebRequest, WebUnreachable

_URL, _REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # names
_OK = 200
_REFUSED = frozenset({400, 401, 403, 404})
# Of a token whose service does not say how long it lasts (RFC 6749, 5.1, recommends that it does).
_SHORT_S = 600.0
_LONG_S = 86400.0
_GITHUB = "run the job again, with the permission `id-token: write`"
_CLIENT = "check the client's id, its secret or its federated credential"


@lazy_dataclass
class TokenRequest:
    """A request for an access token: the address of the platform's token service, and the form with the proof."""

    title: str
    url: str
    form: Mapping[str, str] = field(repr=False)


@lazy_dataclass
class IssuedToken:
    """A token, and for how many seconds it is accepted from the request on."""

    value: str = field(repr=False)
    lasts_s: float


def has_workflow_identity(variables: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub with the permission `id-token: write`."""
    return bool(variables.get(_URL) and variables.get(_REQUEST_TOKEN))


def workflow_identity(web: Web, variables: Mapping[str, str], audience: str) -> str:
    """The signed identity of a job of GitHub for an audience. Raises LoginRefused, ToolFailed."""
    url = variables[_URL]
    request = WebRequest(
        url=f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}",
        secret={"Authorization": f"Bearer {variables[_REQUEST_TOKEN]}"},
    )
    content = _answer(web, request, what="GitHub does not issue an identity of this job", name="value", fix=_GITHUB)
    return str(content["value"])


def access_token(web: Web, exchange: TokenRequest) -> str:
    """An access token. Raises as `issued_token`."""
    return issued_token(web, exchange).value


def issued_token(web: Web, exchange: TokenRequest) -> IssuedToken:
    """An access token, with its life. Raises LoginRefused, and ToolFailed, without the proof in it."""
    request = WebRequest(
        url=exchange.url,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        form=urlencode(exchange.form).encode(),
    )
    what = f"{exchange.title} does not accept the login"
    content = _answer(web, request, what=what, name="access_token", fix=_CLIENT)
    return IssuedToken(value=str(content["access_token"]), lasts_s=_life_s(content.get("expires_in")))


def _life_s(expires_in: object) -> float:
    """How long a token lasts by what the service says, which may be a number as text."""
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdecimal():
        expires_in = int(expires_in[:9])
    known = isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and 0 < expires_in <= _LONG_S
    return float(expires_in) if known else _SHORT_S  # type: ignore[arg-type]  # a number


def _answer(web: Web, request: WebRequest, *, what: str, name: str, fix: str) -> Mapping[str, object]:
    """The response with the token of this name. Raises LoginRefused where it is refused, else ToolFailed."""
    try:
        reply = web.send(request)
    except WebUnreachable as error:
        raise ToolFailed(what=what, why=str(error)) from error
    content = _object(reply)
    token = content.get(name)
    if reply.status == _OK and isinstance(token, str) and token.isprintable() and token:
        return content
    code = content.get("error") or content.get("error_code") or ""
    why = f"status {reply.status}{f', {code}' if isinstance(code, str) and code.isidentifier() else ''}"
    raise (LoginRefused if reply.status in _REFUSED else ToolFailed)(what=what, why=why, fix=fix)


def _object(reply: WebReply) -> Mapping[str, object]:
    try:
        content = parse_json(reply.body)
    except Unparsable:
        return {}
    return content if isinstance(content, dict) else {}
