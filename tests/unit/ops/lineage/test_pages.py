"""The pages of a tracking server about a version, and none where there is no server."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import WebLink
from mlflow_uv.ops.lineage.pages import pages_about
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from tests.unit.core.release.test_record import WHOLE

assert WHOLE.version is not None
RECORD = replace(
    WHOLE,
    version=replace(WHOLE.version, name="wine/red #1", version="4"),
    model=replace(WHOLE.model, run_id="r1"),
)


def registry_at(uri: str, kind: StoreKind) -> RegistryClient:
    """A registry whose runs are all of experiment 7."""
    client = SimpleNamespace(
        store=Store(uri=uri, kind=kind, variables={}), describe_run=lambda _: SimpleNamespace(experiment_id="7")
    )
    return cast("RegistryClient", SimpleNamespace(client=client))


def test_the_pages_of_a_version_are_those_of_the_server_without_credentials() -> None:
    """
    The version, the registered model and the run; a name is one part of the address, whatever it contains.
    """
    registry = registry_at("https://ada:geheim@mlflow.test/base/", StoreKind.SERVER)

    pages = pages_about(RECORD, registry)

    model = "https://mlflow.test/base/#/models/wine%2Fred%20%231"
    assert (
        WebLink(title="Version 4", address=f"{model}/versions/4"),
        WebLink(title="Registered model wine/red #1", address=model),
        WebLink(title="Training run", address="https://mlflow.test/base/#/experiments/7/runs/r1"),
    ) == pages


@pytest.mark.parametrize(
    ("uri", "kind"), [("sqlite:///mlflow.db", StoreKind.DATABASE), ("databricks", StoreKind.SERVER)]
)
def test_a_store_without_pages_has_no_links(uri: str, kind: StoreKind) -> None:
    """
    A database has no web server, and a profile no address.
    """
    assert () == pages_about(RECORD, registry_at(uri, kind))
