"""Describes a tracking store: its URI, its kind, and the variables that configure MLflow for it."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from ...core.security.masking import mask, secrets_in
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...core.security.url_credentials import without_userinfo
from ...payloads.messages.lazy_dataclass import lazy_dataclass

# The default artifact root of a database store is a folder of the current directory, unless a server says otherwise.
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


class StoreKind(Enum):
    """Which MLflow may use a store: any one over HTTP, only the project's own for a database or folder."""

    EMBEDDED = "embedded"
    SERVER = "server"
    DATABASE = "database"


@lazy_dataclass
class Store:
    """
    A tracking store and registry, and the variables that configure MLflow for it.

    `handed` are variables of the caller for code that MLflow calls; their values are masked whatever their names are.
    """

    uri: str = field(repr=False)
    kind: StoreKind
    variables: Mapping[str, str] = field(repr=False)
    handed: ServeVariables = NO_VARIABLES

    @property
    def artifacts(self) -> str | None:
        """The artifact root of a database, as a URI; None for a server, which has its own."""
        return self.variables.get(ARTIFACT_ROOT)

    @property
    def shown(self) -> str:
        """The URI without credentials."""
        return mask(without_userinfo(self.uri), secrets_in({"MLFLOW_TRACKING_URI": self.uri}))
