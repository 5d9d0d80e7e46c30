"""Exchanges the identity of a job of GitHub for a token of a Databricks workspace (OAuth 2.0, RFC 8693)."""

import json
import shlex
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urlsplit

from ...command.errors import BadInput, LoginRefused, ToolFailed
from ...core.security.documents import parse_json
from ...core.security.origins import is_loopback, is_plain_web_address
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.web import Web
from .id_token import IssuedToken, TokenRequest, issued_token, workflow_identity

TITLE = "Databricks"
HOST, CLIENT = "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"
AUDIENCE = "DATABRICKS_TOKEN_AUDIENCE"
_WAITS_S = (1.0, 4.0)


@lazy_dataclass
class WorkspaceAccount:
    """The address of a workspace, and the service principal that logs in there, by its application id."""

    root: str
    client: str
    variables: Mapping[str, str] = field(repr=False)

    @property
    def token_service(self) -> str:
        """The address that issues tokens, which is the audience of an identity unless another one is set."""
        return f"{self.root}/oidc/v1/token"


def workspace_root(variables: Mapping[str, str]) -> str:
    """
    The address of the workspace, which DATABRICKS_HOST has with or without `https://`.

    What a browser shows after the name is left out, such as `/?o=123`. Raises BadInput.
    """
    root = variables.get(HOST, "").strip().rstrip("/")
    if root and "://" not in root:
        root = f"https://{root}"
    loopback = root.startswith("http://") and is_plain_web_address(root) and is_loopback(urlsplit(root).hostname or "")
    if not is_plain_web_address(root) or not (root.startswith("https://") or loopback):
        why = f"{HOST} is not set" if not root else f"{HOST} is not an HTTPS address"
        raise BadInput(what="the Databricks workspace is unknown", why=why, fix=f"set {HOST} to https://WORKSPACE")
    parts = urlsplit(root)
    return f"{parts.scheme}://{parts.netloc}"


def exchange_identity(web: Web, clock: Clock, workspace: WorkspaceAccount) -> IssuedToken:
    """
    A token of the service principal, for the identity that GitHub issues to the job now.

    A service that is busy or away is asked three times. Raises LoginRefused with the federation policy that is missing,
    ToolFailed.
    """
    for wait_s in (*_WAITS_S, None):
        try:
            return _exchanged(web, workspace)
        except ToolFailed:
            if wait_s is None:
                raise
            clock.wait(wait_s)
    raise AssertionError  # the last attempt returns or raises


def _exchanged(web: Web, workspace: WorkspaceAccount) -> IssuedToken:
    audience = workspace.variables.get(AUDIENCE) or workspace.token_service
    identity = workflow_identity(web, workspace.variables, audience)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": identity,
        "scope": "all-apis",
        "client_id": workspace.client,
    }
    try:
        return issued_token(web, TokenRequest(title=TITLE, url=workspace.token_service, form=form))
    except LoginRefused as error:
        raise _refused(error, workspace, identity) from error


def _refused(error: LoginRefused, workspace: WorkspaceAccount, identity: str) -> LoginRefused:
    """The error with what the workspace was shown: claims of an identity are no secrets, its signature is."""
    issuer, subject, audience = (_claim(identity, name) for name in ("iss", "sub", "aud"))
    policy = {"oidc_policy": {"issuer": issuer, "audiences": [audience], "subject": subject}}
    create = shlex.join(
        ("databricks", "account", "service-principal-federation-policy", "create", "SERVICE_PRINCIPAL_ID")
    )
    return LoginRefused(
        what=f"{TITLE} does not accept the identity of this job",
        why=f"{error.why}; the job is `{subject}` for the audience `{audience}`, and {CLIENT} is `{workspace.client}`",
        fix=f"set {CLIENT} to the application id of a service principal that trusts this job, or let it:"
        f" {create} --json {shlex.quote(json.dumps(policy))}",
    )


def _claim(identity: str, name: str) -> str:
    """A claim of a signed identity (JWT), which was not verified; empty if it has none."""
    content = identity.split(".")[1:2]
    try:
        claims = parse_json(urlsafe_b64decode(content[0] + "=" * (-len(content[0]) % 4))) if content else {}
    except (ValueError, Unparsable):
        return ""
    claim = claims.get(name) if isinstance(claims, dict) else None
    return claim if isinstance(claim, str) and claim.isprintable() else ""
