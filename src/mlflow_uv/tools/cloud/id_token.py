"""Exchanges the identity of a workflow, or a client's secret, for an access token of a platform (OAuth 2.0)."""

from collections.abc import Mapping
from dataclasses import field
from urllib.parse import quote, urlencode

from ...command.errors import ToolFailed
from ...core.security.documents import parse_json
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.web import Web, WebReply, WebRequest, WebUnreachable

_URL, _REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # names
_OK = 200


@lazy_dataclass
class TokenRequest:
    """A request for an access token: the address of the platform's token service, and the form with the proof."""

    title: str
    url: str
    form: Mapping[str, str] = field(repr=False)


def has_workflow_identity(variables: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub with the permission `id-token: write`."""
    return bool(variables.get(_URL) and variables.get(_REQUEST_TOKEN))


def workflow_identity(web: Web, variables: Mapping[str, str], audience: str) -> str:
    """The signed identity of a job of GitHub for an audience. Raises ToolFailed."""
    url = variables[_URL]
    request = WebRequest(
        url=f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}",
        secret={"Authorization": f"Bearer {variables[_REQUEST_TOKEN]}"},
    )
    return _token(web, request, "GitHub does not issue an identity of this job", "value")


def access_token(web: Web, exchange: TokenRequest) -> str:
    """An access token. Raises ToolFailed, without the proof in it."""
    request = WebRequest(
        url=exchange.url,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        form=urlencode(exchange.form).encode(),
    )
    return _token(web, request, f"{exchange.title} does not accept the login", "access_token")


def _token(web: Web, request: WebRequest, what: str, name: str) -> str:
    try:
        reply = web.send(request)
    except WebUnreachable as error:
        raise ToolFailed(what=what, why=str(error)) from error
    content = _object(reply)
    token = content.get(name)
    if reply.status == _OK and isinstance(token, str) and token.isprintable() and token:
        return token
    code = content.get("error") or content.get("error_code") or ""
    why = f"status {reply.status}{f', {code}' if isinstance(code, str) and code.isidentifier() else ''}"
    raise ToolFailed(what=what, why=why, fix="check the client's id, its secret or its federated credential")


def _object(reply: WebReply) -> Mapping[str, object]:
    try:
        content = parse_json(reply.body)
    except Unparsable:
        return {}
    return content if isinstance(content, dict) else {}
