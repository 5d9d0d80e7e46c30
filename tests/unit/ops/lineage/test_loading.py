"""The line that tells how a version is loaded."""

import pytest

from mlflow_uv.ops.lineage.loading import load_line
from mlflow_uv.tools.mlflow.store import Store, StoreKind

CALL = 'load it:     mlflow.pyfunc.load_model("models:/wine@champion")'
SERVER = "https://ada:geheim@mlflow.test"


@pytest.mark.parametrize(
    ("uri", "kind", "variables", "line"),
    [
        (SERVER, StoreKind.SERVER, {"MLFLOW_TRACKING_URI": SERVER}, CALL),
        (SERVER, StoreKind.SERVER, {}, f"{CALL}, with MLFLOW_TRACKING_URI=https://mlflow.test"),
        ("sqlite:////a b/m.db", StoreKind.EMBEDDED, {}, f"{CALL}, with MLFLOW_TRACKING_URI='sqlite:////a b/m.db'"),
        (
            "sqlite:////team.db",
            StoreKind.DATABASE,
            {"MLFLOW_TRACKING_URI": "https://other.test"},
            f"{CALL}, with MLFLOW_TRACKING_URI=sqlite:////team.db",
        ),
    ],
)  # fmt: skip
def test_the_call_names_the_store_unless_the_caller_has_it(
    uri: str, kind: StoreKind, variables: dict[str, str], line: str
) -> None:
    """
    Without it MLflow would look into `mlflow.db` of the current folder; no password is repeated.
    """
    store = Store(uri=uri, kind=kind, variables={})

    assert line == load_line("wine", "champion", store, variables)
