"""Which store is meant by an address, and the address of a store is shown without what opens it."""

import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.mlflow import Mlflow
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.system.process import SystemRunner
from tests.stores import login_of


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


def asked(folder: Path, **variables: str) -> Mlflow:
    """MLflow for a caller who stands in a folder; nothing is started."""
    host = Host.of({"HOME": str(folder), **variables}, folder=folder, python=Path(sys.executable))
    return Mlflow(SystemRunner(), host=host, login=login_of(host), on_line=lambda _line: None, say=lambda _line: None)


@pytest.mark.parametrize(
    ("uri", "variables", "opened"),
    [
        ("./mlruns", {}, "true"),
        ("file:./mlruns", {}, "true"),
        ("mlruns", {"MLFLOW_ALLOW_FILE_STORE": "false"}, "false"),
    ],
)
def test_a_folder_of_files_is_a_store(tmp_path: Path, uri: str, variables: dict[str, str], opened: str) -> None:
    """
    Relative to where the caller stands; naming it is asking a newer MLflow for it, unless the caller says otherwise.
    """
    mlflow = asked(tmp_path, **variables)

    store = mlflow.store(uri, embedded=False)
    command = mlflow.ui_command(Path("/venv/bin/python"), store)

    address = f"file://{tmp_path}/mlruns"
    assert (address, StoreKind.DATABASE) == (store.uri, store.kind)
    assert {"MLFLOW_TRACKING_URI": address, "MLFLOW_ALLOW_FILE_STORE": opened} == store.variables
    assert f"env MLFLOW_ALLOW_FILE_STORE=true /venv/bin/mlflow ui --backend-store-uri {address}" == command


def test_a_word_is_no_tracking_uri(tmp_path: Path) -> None:
    """
    An address without its scheme is not taken for a folder.
    """
    with pytest.raises(BadInput, match="is not a tracking URI"):
        asked(tmp_path).store("127.0.0.1:5000", embedded=False)


@pytest.mark.parametrize("named", [True, False])
def test_an_address_that_nobody_can_read_is_a_wrong_input(tmp_path: Path, named: bool) -> None:
    """
    As an input or in the environment; it is not repeated, since a password may be in it.
    """
    uri = "http://user:canary@[bad"
    mlflow = asked(tmp_path) if named else asked(tmp_path, MLFLOW_TRACKING_URI=uri)

    with pytest.raises(BadInput) as caught:
        mlflow.store(uri if named else None, embedded=False)

    assert "the tracking URI cannot be read: Invalid IPv6 URL" == f"{caught.value.what}: {caught.value.why}"
