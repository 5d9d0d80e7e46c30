"""Maps the kinds of problem that a payload reports to errors, with a sentence and a fix for each."""

from collections.abc import Mapping

from ...command.errors import (
    BadInput,
    ModelUnusable,
    StepError,
    StoreUnreachable,
    ToolFailed,
    ToolMissing,
    TrainingFailed,
)
from ...command.wording import Wording, option, step_call
from .store import Store, StoreKind


class NotInStore(ToolFailed):
    """The store responds, and has no such object."""


ERRORS: Mapping[str, tuple[type[StepError], str]] = {
    "unreachable": (StoreUnreachable, "the tracking server does not answer"),
    "not-mlflow": (StoreUnreachable, "the server is not an MLflow tracking server"),
    "locked": (StoreUnreachable, "another process locks the tracking database"),
    "schema": (StoreUnreachable, "the tracking database is of another MLflow"),
    "library-missing": (ToolMissing, "a package that the store needs is not installed"),
    "denied": (StoreUnreachable, "the tracking server denies access"),
    "not-found": (NotInStore, "the tracking server has no such object"),
    "invalid": (BadInput, "MLflow does not accept it"),
    "params": (BadInput, "`params` does not fit the signature of the model"),
    "training": (TrainingFailed, "training failed"),
    "cannot-load": (ModelUnusable, "the model does not load"),
    "cannot-predict": (ModelUnusable, "the model cannot predict its own input example"),
    "ambiguous-response": (ModelUnusable, "a response of the model has a name twice"),
    "timeout": (StoreUnreachable, "the version did not become ready in time"),
    "local-artifacts": (StoreUnreachable, "the tracking server keeps artifacts in a folder, not in the server"),
    "foreign-artifacts": (StoreUnreachable, "the tracking server names an artifact location that is not its own"),
    "linked-artifacts": (StoreUnreachable, "the store has a symbolic link among its artifacts, which is not followed"),
    "conflict": (ToolFailed, "another process changed the registry at the same time"),
    "mlflow-missing": (ToolMissing, "the project's environment has no MLflow"),
}
FIXES: Mapping[str, str] = {
    "unreachable": Wording("start it, or name another with ", option("tracking-uri", "URI")),
    "not-mlflow": "name the address that `mlflow server` prints, or log in with MLFLOW_TRACKING_TOKEN",
    "library-missing": "let the server pass artifacts on (`mlflow server --artifacts-destination`), or `uv add` it",
    "denied": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "locked": "run it again when the other process has ended",
    "schema": "use the MLflow that made it, or, with a backup at hand, `mlflow db upgrade`",
    "params": option("params", '{"NAME": VALUE}'),
    "training": Wording("see its output above; ", step_call("log-model")),
    "cannot-load": "put what its code imports into the served selection or into a packaged project",
    "cannot-predict": "log an input_example that the model's predict accepts",
    "ambiguous-response": "give the columns of what predict returns distinct names, as text: 1 and '1' become one",
    "timeout": "run it again; it finds the version and creates no second one",
    "local-artifacts": Wording(
        "start it with `mlflow server --artifacts-destination FOLDER` in place of --default-artifact-root, and name a",
        " new ",
        option("experiment", "NAME"),
        ", since one that is there keeps its location; a folder that this machine shares with the server goes into",
        " MLFLOW_UV_ARTIFACT_ROOTS",
    ),
    "foreign-artifacts": "name the origin of an artifact server that you trust in MLFLOW_UV_ARTIFACT_ROOTS",
    "linked-artifacts": (
        "put what it leads to in its place (`cp -rL LINK LINK.copy && rm LINK && mv LINK.copy LINK`); if nothing is"
        " there, release the model again"
    ),
    "conflict": "run it again, one release at a time",
    "mlflow-missing": "uv add mlflow",
}
# Its credentials are part of its address, and its driver is a package of the project.
_DATABASE_FIXES: Mapping[str, str] = {
    "denied": "put its user and password into MLFLOW_TRACKING_URI, from a secret",
    "library-missing": "uv add the driver of that database, e.g. 'psycopg[binary]' or pymysql",
}
# MLflow uses the login of the SDK of Databricks.
_DATABRICKS_FIXES: Mapping[str, str] = {
    "denied": (
        "set DATABRICKS_HOST with DATABRICKS_TOKEN, or with DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, from"
        " secrets"
    ),
    "unreachable": "set DATABRICKS_HOST to https://WORKSPACE",
}
# The workspace issued a token to the service principal, and does not let it in.
_FEDERATED_FIXES: Mapping[str, str] = {
    "denied": (
        "add the service principal of DATABRICKS_CLIENT_ID to the workspace, and let it write to the experiment and the"
        " schema"
    ),
}


def fixes_for(store: Store | None, *, by_identity: bool) -> Mapping[str, str]:
    """The fix of each kind of problem with a store; `by_identity` if the login is the identity of a job."""
    if store is None:
        return FIXES
    if store.kind is not StoreKind.SERVER:
        return {**FIXES, **_DATABASE_FIXES}
    if not store.uri.startswith("databricks"):
        return FIXES
    return {**FIXES, **_DATABRICKS_FIXES, **(_FEDERATED_FIXES if by_identity else {})}
