"""Connects to a Databricks workspace with the login of the environment."""

from collections.abc import Mapping

from ...command.errors import BadInput
from ...core.security.endpoint_address import EndpointHeaders, endpoint_address
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..mlflow.endpoint import Endpoint
from ..system.clock import Clock
from ..system.web import Web
from .id_token import TokenRequest, access_token, has_workflow_identity
from .rest import RestAccount, RestApi
from .workspace_identity import CLIENT, TITLE, WorkspaceAccount, exchange_identity, workspace_root

_TOKEN, _SECRET = "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"  # names of variables
_LOGIN = f"set {_TOKEN}, or {CLIENT} and {_SECRET}, from a secret"


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
    root = workspace_root(variables)
    client, secret = variables.get(CLIENT, ""), variables.get(_SECRET, "")
    workspace = WorkspaceAccount(root=root, client=client, variables=variables)

    def by_secret() -> str:
        form = {"grant_type": "client_credentials", "scope": "all-apis", "client_id": client, "client_secret": secret}
        return access_token(web, TokenRequest(title=TITLE, url=workspace.token_service, form=form))

    def by_identity() -> str:
        return exchange_identity(web, clock, workspace).value

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
