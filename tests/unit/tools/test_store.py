"""The address of a store is shown without what opens it."""

import pytest

from mlflow_uv.tools.mlflow import Store, StoreKind


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://tracking.test:5000", "http://tracking.test:5000"),
        ("http://t0ken@tracking.test:5000/mlflow", "http://tracking.test:5000/mlflow"),
        ("http://me:pa55@tracking.test", "http://tracking.test"),
        ("postgresql://mlflow:sla/sh@db.test/mlflow", "postgresql://mlflow:***@db.test/mlflow"),
        ("postgresql://db.test/mlflow?user=me&password=pa55word", "postgresql://db.test/mlflow?user=me&password=***"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
    ],
)
def test_a_store_is_shown_without_its_credentials(uri: str, shown: str) -> None:
    """
    A token as user, a password with a slash, a password in the query: none is in records, advice and messages.
    """
    store = Store(uri=uri, kind=StoreKind.SERVER, variables={})

    assert shown == store.shown
    assert "pa55" not in repr(store)
