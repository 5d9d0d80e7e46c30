"""
Logs in to the store of a release with the identity of the job, and gives the token to the programs that use the store.

A workspace of Databricks is such a store. The right to ask GitHub for identities stays with this process, because it
is one for any audience: children get a token of the workspace alone, which ends after an hour or so.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from threading import Lock

from ...command.errors import LoginRefused, StoreUnreachable, ToolFailed
from ...command.host import Host
from ...command.wording import Wording, option
from ...core.security.masking import forms_of
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.web import Web

_HOST, _TOKEN, _KIND = "DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_AUTH_TYPE"  # names of variables
_CLIENT, _AUDIENCE = "DATABRICKS_CLIENT_ID", "DATABRICKS_TOKEN_AUDIENCE"
# Kinds of logins of Databricks' SDK: the one that is replaced, which need not be named, and the one that replaces it.
_BY_IDENTITY, _BY_TOKEN = ("", "github-oidc"), "pat"
# Variables that are a login of their own, which MLflow's client uses by itself.
_OWN_LOGINS = (_TOKEN, "DATABRICKS_CLIENT_SECRET", "DATABRICKS_CONFIG_PROFILE", "DATABRICKS_PASSWORD")
_OTHER_IDENTITY = "DATABRICKS_OIDC_TOKEN"  # and names that begin so: the identity itself, its file, its variable
_STORES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_WORKSPACES = frozenset({"databricks", "databricks-uc"})  # of the environment, not of a profile
# A token is exchanged again so long before it ends, since a request may upload a model; one with a shorter life after
# half of it.
_EARLY_S = 900.0


@lazy_dataclass
class StoreToken:
    """
    A token of a workspace, the reading of the clock at which it ends, and its whole life; both in seconds.

    `root` is the address of the workspace, without what a browser shows after its name.
    """

    root: str
    value: str = field(repr=False)
    until_s: float
    lasts_s: float


class StoreLogin:
    """The login to a workspace with the identity of the job: one token, which is renewed before it ends."""

    def __init__(self, *, host: Host, web: Web, clock: Clock, conceal: Callable[[str], None]) -> None:
        self._host = host
        self._web = web
        self._clock = clock
        self._conceal = conceal
        self._token: StoreToken | None = None
        self._issued: list[str] = []
        self._turn = Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The tokens that were issued, in every form in which they may be printed."""
        return forms_of(self._issued)

    def given(self, variables: Mapping[str, str], store: Mapping[str, str]) -> dict[str, str]:
        """
        The variables of a child that uses a store: with a token in place of what it could not log in with.

        `store` are the variables that name the store. They are returned as they are for any other store, and where the
        environment has a login that needs no identity. Raises as `token`.
        """
        token = self.token(store)
        if token is None:
            return dict(variables)
        kept = {name: value for name, value in variables.items() if name not in (_CLIENT, _AUDIENCE)}
        return {**kept, _HOST: token.root, _TOKEN: token.value, _KIND: _BY_TOKEN}

    def token(self, store: Mapping[str, str]) -> StoreToken | None:
        """
        A token that does not end soon, None for a store or an environment that needs none.

        Raises LoginRefused, StoreUnreachable, and BadInput for an address that is none.
        """
        if not self._is_needed(store):
            return None
        with self._turn:
            token = self._token
            if token is None or self._clock.now_s() >= token.until_s - min(_EARLY_S, token.lasts_s / 2):
                self._token = token = self._exchanged()
            return token

    def has_ended(self, token: StoreToken) -> bool:
        """Whether a token has ended."""
        return self._clock.now_s() >= token.until_s

    def _is_needed(self, store: Mapping[str, str]) -> bool:
        caller = self._host.variables
        if not any(store.get(name) in _WORKSPACES for name in _STORES) or not caller.get(_CLIENT):
            return False
        if any(caller[name] for name in caller if name in _OWN_LOGINS or name.startswith(_OTHER_IDENTITY)):
            return False
        if caller.get(_KIND, "") not in _BY_IDENTITY:
            return False
        # On a laptop, MLflow's client may have another login, such as that of Databricks' command line.
        return self._host.ci or self._has_identity

    @property
    def _has_identity(self) -> bool:
        from ..cloud.id_token import has_workflow_identity  # noqa: PLC0415  # few stores are workspaces

        return has_workflow_identity(self._host.variables)

    def _exchanged(self) -> StoreToken:
        from ..cloud.workspace_identity import (  # noqa: PLC0415  # few stores are workspaces
            WorkspaceAccount,
            exchange_identity,
            workspace_root,
        )

        caller = self._host.variables
        if not self._has_identity:
            raise _without_identity(untrusted=self._host.untrusted_event)
        workspace = WorkspaceAccount(root=workspace_root(caller), client=caller[_CLIENT].strip(), variables=caller)
        asked_s = self._clock.now_s()
        try:
            issued = exchange_identity(self._web, self._clock, workspace)
        except ToolFailed as error:
            raise StoreUnreachable(what=error.what, why=error.why, fix=error.fix) from error
        self._issued.append(issued.value)
        self._conceal(issued.value)
        return StoreToken(
            root=workspace.root, value=issued.value, until_s=asked_s + issued.lasts_s, lasts_s=issued.lasts_s
        )


def _without_identity(*, untrusted: bool) -> LoginRefused:
    what = "this job has no identity to log in to Databricks with"
    if untrusted:
        return LoginRefused(
            what=what,
            why="GitHub gives none to a pull request from a fork",
            fix=Wording(
                "leave out ", option("tracking-uri"), " and set ", option("embedded"), " for such pull requests"
            ),
        )
    return LoginRefused(
        what=what,
        why="it lacks the permission `id-token: write`, and no secret is set in place of it",
        fix="add `id-token: write` to `permissions` of the job",
    )
