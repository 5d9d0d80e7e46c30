"""Contract: who has a deployment, and what it runs, are tags of a real registry."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from mlflow_uv.payloads.messages.deployments import entry_in
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import Worker, working

ENTRY: dict[str, Any] = {"deployment": "prod", "target": "compose", "state": "changing", "who": "ann", "when": "now"}


@pytest.fixture(scope="module")
def registry(local_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """MLflow on a SQLite store, with a registered model of two versions."""
    folder = tmp_path_factory.mktemp("deployments")
    with working(local_store, folder) as worker:
        saved = folder / "model"
        saved.mkdir()
        (saved / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
        run = worker.ask("create-run", experiment="deployments", tags={}, run_name="ours")["run_id"]
        for number in ("1", "2"):
            model_id = worker.ask("log-folder", folder=str(saved), name=f"tiny-{number}", run_id=run)["model_id"]
            worker.ask(
                "find-or-create-version", name="wine", model_id=model_id, model_sha256=number, tags={},
                description="", timeout_s=30,
            )  # fmt: skip
        yield worker


def state_of(registry: Worker, version: str) -> str | None:
    """What a version says of the deployment."""
    entry = entry_in(registry.ask("describe-version", name="wine", version=version)["tags"], "prod")
    return entry.state if entry else None


def test_a_deployment_goes_from_one_run_and_one_version_to_the_next(registry: Worker) -> None:
    """
    A claim keeps others out, unless it expired or its run is known to be dead; the version before is marked.
    """

    def claim(token: str, version: str, *, expires: float | None = None, **more: str) -> Any:
        until = time.time() + 600 if expires is None else expires
        entry = {**ENTRY, "token": token, "version": version, "expires": until}
        return registry.ask("claim-deployment", name="wine", entry=entry, **more)

    def record(token: str, version: str, **more: str) -> None:
        entry = {**ENTRY, "token": token, "version": version, "state": "deployed"}
        registry.ask("record-deployment", name="wine", entry=entry, **more)

    first, refused = claim("a", "1"), claim("b", "2")
    renewed, taken = claim("a", "1"), claim("b", "2", abandoned="a")
    with pytest.raises(AssertionError, match="claimed by ann meanwhile"):
        record("a", "1")
    record("b", "1")
    claim("c", "2", expires=time.time() - 1)
    expired = claim("d", "2")
    record("d", "2", replaced="1")

    assert [True, False, True, True, True] == [
        answer["claimed"] for answer in (first, refused, renewed, taken, expired)
    ]
    assert (None, "a", "a", "c") == tuple(
        answer["entry"] and answer["entry"]["token"] for answer in (first, refused, taken, expired)
    )
    assert ("replaced", "deployed") == (state_of(registry, "1"), state_of(registry, "2"))


def test_a_registered_model_says_when_it_was_created(registry: Worker) -> None:
    """
    To the millisecond, and the same after a change of its tags.
    """
    created = registry.ask("describe-name", name="wine")["created"]
    entry = {**ENTRY, "deployment": "other", "token": "a", "version": "1", "expires": time.time()}
    registry.ask("claim-deployment", name="wine", entry=entry)

    assert created == registry.ask("describe-name", name="wine")["created"]
    assert 0 < time.time() * 1000 - created < 3_600_000


def test_a_deployment_of_a_deleted_version_can_be_removed(registry: Worker) -> None:
    """
    The version has no tags any more; the registered model says that the deployment is removed.
    """
    for state in ("deployed", "removed"):
        entry = {**ENTRY, "deployment": "old", "token": state, "version": "99", "state": state}
        registry.ask(
            "claim-deployment", name="wine", entry={**entry, "expires": time.time() + 600}, abandoned="deployed"
        )
        if state == "deployed":
            with pytest.raises(AssertionError):
                registry.ask("record-deployment", name="wine", entry=entry)
        else:
            registry.ask("record-deployment", name="wine", entry=entry)

    found = entry_in(registry.ask("describe-name", name="wine")["tags"], "old")
    assert ("99", "removed") == (found and found.version, found and found.state)
