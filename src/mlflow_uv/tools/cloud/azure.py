"""Connects to the management API of Azure with the login of the environment."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ...command.errors import BadInput, ToolFailed
from ..system.clock import Clock
from ..system.web import Web
from .id_token import TokenRequest, access_token, has_workflow_identity, workflow_identity
from .rest import RestAccount, RestApi

_TENANT, _CLIENT, _SECRET = "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"  # names
_FILE, _AUTHORITY = "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"
_PUBLIC = "login.microsoftonline.com"
# The management API of each cloud, by the host of its logins; the login never goes to another one.
_CLOUDS = {
    _PUBLIC: "https://management.azure.com",
    "login.microsoftonline.us": "https://management.usgovcloudapi.net",
    "login.chinacloudapi.cn": "https://management.chinacloudapi.cn",
}
_AUDIENCE = "api://AzureADTokenExchange"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LOGIN = f"set {_TENANT} and {_CLIENT}, and let the client trust this job, or set {_SECRET} from a secret"
TITLE = "Azure"


def connect_azure(web: Web, clock: Clock, variables: Mapping[str, str]) -> RestApi:
    """
    The management API; nothing is sent yet.

    The client AZURE_CLIENT_ID proves who it is by AZURE_CLIENT_SECRET, else by the token in AZURE_FEDERATED_TOKEN_FILE,
    else by the identity of the workflow. Raises BadInput without one of them.
    """
    tenant, client = variables.get(_TENANT, ""), variables.get(_CLIENT, "")
    given = variables.get(_AUTHORITY) or _PUBLIC
    host = urlsplit(given if "://" in given else f"https://{given}").hostname or ""
    if host not in _CLOUDS:
        why = f"{_AUTHORITY} is none of {', '.join(_CLOUDS)}"
        raise BadInput(what="the cloud of Azure is unknown", why=why, fix=f"unset {_AUTHORITY}")
    proof = _proof(web, variables)
    if not tenant or not client or proof is None or not tenant.replace("-", "").replace(".", "").isalnum():
        raise BadInput(what="there is no login for Azure", why=f"{_TENANT} or {_CLIENT} is not set", fix=_LOGIN)

    def token() -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "scope": f"{_CLOUDS[host]}/.default",
            **proof(),
        }
        request = TokenRequest(title=TITLE, url=f"https://{host}/{tenant}/oauth2/v2.0/token", form=form)
        return access_token(web, request)

    return RestApi(web, clock, RestAccount(root=_CLOUDS[host], title=TITLE, login=_LOGIN, token=token))


def _proof(web: Web, variables: Mapping[str, str]) -> Callable[[], dict[str, str]] | None:
    """What proves who the client is, as parts of a form; None without anything."""
    if secret := variables.get(_SECRET):
        return lambda: {"client_secret": secret}
    if file := variables.get(_FILE):
        return lambda: {"client_assertion_type": _ASSERTION, "client_assertion": _read(file)}
    if has_workflow_identity(variables):
        return lambda: {
            "client_assertion_type": _ASSERTION,
            "client_assertion": workflow_identity(web, variables, _AUDIENCE),
        }
    return None


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ToolFailed(what=f"the file that {_FILE} names cannot be read", why=type(error).__name__) from error
