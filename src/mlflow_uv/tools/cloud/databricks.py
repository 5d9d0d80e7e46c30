"""Connects to a Databricks workspace with the login of the environment."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from ...command.errors import BadInput
from ...core.security.endpoint_address import EndpointHeaders, endpoint_address
from ...core.security.origins import is_loopback, is_plain_web_address
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..mlflow.endpoint import Endpoint
from ..system.clock import Clock
from ..system.web import Web
from .id_token import TokenRequest, access_token, has_workflow_identity, workflow_identity
from .rest import RestAccount, RestApi

_HOST, _TOKEN = "DATABRICKS_HOST", "DATABRICKS_TOKEN"  # names of variables
_CLIENT, _SECRET = "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"  # names of variables
_AUDIENCE = "DATABRICKS_TOKEN_AUDIENCE"
_LOGIN = f"set {_TOKEN}, or {_CLIENT} and {_SECRET}, from a secret"
TITLE = "Databricks"


@lazy_dataclass
class DatabricksConnection:
    """A workspace: its address, and its API."""

    web: Web
    root: str
    api: RestApi

    def server(self, path: str) -> Endpoint:
        """What answers requests for predictions at a path of the workspace, with the login of the API."""
        headers = EndpointHeaders(variables={"Authorization": _TOKEN}, values={_TOKEN: self.api.authorization})
        return Endpoint(self.web, endpoint_address(self.root + path), headers, examples_only=True)


def connect_workspace(web: Web, clock: Clock, variables: Mapping[str, str]) -> DatabricksConnection:
    """
    The workspace that DATABRICKS_HOST names; nothing is sent yet.

    The login is DATABRICKS_TOKEN, else the service principal DATABRICKS_CLIENT_ID with its secret, else with the
    identity of the workflow, which Databricks must trust (a federation policy). Raises BadInput without one of them.
    """
    root = _root(variables.get(_HOST, ""))
    client, secret = variables.get(_CLIENT, ""), variables.get(_SECRET, "")
    url = f"{root}/oidc/v1/token"

    def by_secret() -> str:
        form = {"grant_type": "client_credentials", "scope": "all-apis", "client_id": client, "client_secret": secret}
        return access_token(web, TokenRequest(title=TITLE, url=url, form=form))

    def by_identity() -> str:
        identity = workflow_identity(web, variables, variables.get(_AUDIENCE) or url)
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "subject_token": identity,
            "scope": "all-apis",
            "client_id": client,
        }
        return access_token(web, TokenRequest(title=TITLE, url=url, form=form))

    if given := variables.get(_TOKEN, "").strip():
        token = lambda: given  # noqa: E731  # one of three
    elif client and secret:
        token = by_secret
    elif client and has_workflow_identity(variables):
        token = by_identity
    else:
        raise BadInput(what="there is no login for Databricks", why=f"{_TOKEN} is not set", fix=_LOGIN)
    account = RestAccount(root=root, title=TITLE, login=_LOGIN, token=token)
    return DatabricksConnection(web=web, root=root, api=RestApi(web, clock, account))


def _root(host: str) -> str:
    """The address of a workspace, which is given with or without `https://`. Raises BadInput."""
    root = host.strip().rstrip("/")
    if root and "://" not in root:
        root = f"https://{root}"
    loopback = root.startswith("http://") and is_plain_web_address(root) and is_loopback(urlsplit(root).hostname or "")
    if not is_plain_web_address(root) or not (root.startswith("https://") or loopback):
        why = f"{_HOST} is not set" if not root else f"{_HOST} is not an HTTPS address"
        raise BadInput(what="the Databricks workspace is unknown", why=why, fix=f"set {_HOST} to https://WORKSPACE")
    return root
