"""Writes the line that tells how a registered version is loaded in Python."""

import shlex
from collections.abc import Mapping

from ...command.wording import local
from ...tools.mlflow.store import Store, StoreKind

_TRACKING = "MLFLOW_TRACKING_URI"


def load_line(name: str, alias: str, store: Store, variables: Mapping[str, str]) -> str:
    """Return the call, and the tracking URI for which it works unless the caller's variables have it already."""
    call = f'load it:     mlflow.pyfunc.load_model("models:/{name}@{alias}")'
    if variables.get(_TRACKING) != store.uri:
        call = f"{call}, with {_TRACKING}={shlex.quote(store.shown)}"
    return local(call) if store.kind is StoreKind.EMBEDDED else call
