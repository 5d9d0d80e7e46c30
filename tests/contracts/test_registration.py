"""Contract: one model becomes one version, whatever name it is given and whoever registers it too."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import Worker, working

STATE = "mlflow-uv.state"


@pytest.fixture(scope="session")
def registry(local_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """MLflow on a SQLite store, kept for all tests of this module."""
    with working(local_store, tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="session")
def model_id(registry: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A logged model."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
    run = registry.ask("create-run", experiment="registration", tags={}, run_name="ours")["run_id"]
    return str(registry.ask("log-folder", folder=str(folder), name="tiny", run_id=run)["model_id"])


def asked(name: str, model_id: str, **changes: Any) -> dict[str, Any]:
    tags = {"mlflow-uv.model-sha256": f"digest of {name}", STATE: "registered"}
    about = {"model_sha256": f"digest of {name}", "tags": tags, "description": "made by a test", "timeout_s": 30}
    return {"name": name, "model_id": model_id, **about, **changes}


def numbers(registry: Worker, name: str) -> list[str]:
    return [version["version"] for version in registry.ask("find-versions", name=name)["versions"]]


def test_what_others_made_of_a_model_is_one_version_again(
    registry: Worker, local_store: MlflowInterpreter, model_id: str, tmp_path: Path
) -> None:
    """
    A second version that is exactly as it was made goes; one with an alias stays, and so does one that a person made.

    What training registered by itself is adopted: it gets our tags, and keeps its description and the tags it has.
    """
    made = f"source='models:/{model_id}'"
    tags = {"mlflow-uv.model-sha256": "digest of twice", STATE: "registered"}
    ours = f"{made}, tags={tags}, description='made by a test'"
    theirs = f"{made}, tags={{'{STATE}': 'theirs'}}, description='theirs'"
    script = (
        "from mlflow import MlflowClient",
        "client = MlflowClient()",
        *(f"client.create_registered_model('{name}')" for name in ("twice", "adopted")),
        *(f"client.create_model_version('twice', {words})" for words in (ours, ours, ours, made)),
        "client.set_registered_model_alias('twice', 'mine', '3')",
        f"client.create_model_version('adopted', {theirs})",
    )
    by_hand = local_store.run("-I", "-c", "\n".join(script), cwd=tmp_path)

    twice = registry.ask("find-or-create-version", **asked("twice", model_id))
    adopted = registry.ask("find-or-create-version", **asked("adopted", model_id))

    assert 0 == by_hand.returncode, by_hand.stderr
    assert ("1", False, ["3", "4"]) == (twice["version"], twice["created"], twice["also"])
    assert ["1", "3", "4"] == numbers(registry, "twice")
    assert ("1", False, "theirs") == (adopted["version"], adopted["created"], adopted["description"])
    assert {STATE: "theirs", "mlflow-uv.model-sha256": "digest of adopted"} == adopted["tags"]


def test_a_name_in_three_parts_is_a_name_like_any_other(registry: Worker, model_id: str) -> None:
    """
    `catalog.schema.model` is registered, found by its name alone, promoted, and asked for a rollback.
    """
    name = "catalog.schema.model"
    words = {"name": name, "alias": "champion"}
    expected = {"alias_names": None, "record_sha256": None, "state": "registered"}

    made = registry.ask("find-or-create-version", **asked(name, model_id))
    promoted = registry.ask("promote", **words, version="1", entry={"who": "alice", "when": "now"}, expected=expected)
    again = registry.ask("find-or-create-version", **asked(name, model_id))
    way = registry.ask("find-rollback", **words)

    assert (True, "1", False, ["champion"]) == (
        made["created"], promoted["after"], again["created"], again["aliases"],
    )  # fmt: skip
    assert ("1", None) == (way["before"], way["after"])


@pytest.mark.parametrize("name", ["a/b", "a:b", "it's", " "])
def test_a_name_that_is_not_allowed_is_refused(registry: Worker, name: str, model_id: str) -> None:
    """
    As a mistake of the caller, in MLflow's own words.
    """
    kind, message = registry.refuse("find-or-create-version", **asked(name, model_id))

    assert "invalid" == kind, message


@pytest.mark.extended
def test_a_server_refuses_such_a_name_too(remote_store: MlflowInterpreter) -> None:
    """
    The same over HTTP, where MLflow answers with a status.
    """
    words = asked("a/b", "", source="mlflow-artifacts:/somewhere", run_id=None)

    refused = remote_store.refuse("find-or-create-version", **words)

    assert "invalid" == refused["kind"], refused["message"]


def test_a_model_that_does_not_exist_leaves_no_empty_name(registry: Worker) -> None:
    """
    What MLflow's own `register_model` leaves behind then is not there.
    """
    kind, _ = registry.refuse("find-or-create-version", **asked("nothing", "m-" + "0" * 32))
    after = registry.ask("describe-name", name="nothing")

    assert ("not-found", False) == (kind, after["exists"])
    assert "nothing" not in after["names"]


def test_a_model_that_does_not_exist_is_described_by_the_names_of_others(registry: Worker, model_id: str) -> None:
    """
    A message suggests one of them; a model that exists is described without.
    """
    registry.ask("find-or-create-version", **asked("other", model_id))

    missing, existing = (registry.ask("describe-name", name=name) for name in ("othr", "other"))

    assert (False, True, True, []) == (
        missing["exists"], "other" in missing["names"], existing["exists"], existing["names"],
    )  # fmt: skip


def test_a_version_that_stays_pending_is_told_in_time(
    registry: Worker, local_store: MlflowInterpreter, model_id: str
) -> None:
    """
    After the given seconds it is an error that names the version, and no second one is made.
    """
    registry.ask("find-or-create-version", **asked("stuck", model_id))
    database = local_store.variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE model_versions SET status = 'PENDING_REGISTRATION' WHERE name = 'stuck'")

    refused = registry.refuse("find-or-create-version", **asked("stuck", model_id, timeout_s=0.5))

    assert (("timeout", "version 1 of `stuck` is still pending"), ["1"]) == (refused, numbers(registry, "stuck"))
