"""
Contract: what the payloads make of a tracking server and its registry.

mlflow-skinny asks a real `mlflow server`, over HTTP and with proxied artifacts.
"""

import hashlib
import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter, response_file
from tests.contracts.payload_worker import Worker, working
from tests.ports import free_port
from tests.waiting import CEILING_S

# The variables under which a dead server is noticed in a second instead of in four minutes.
FAIL_FAST = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


@pytest.fixture
def name() -> str:
    """A name for a registered model that no other test uses."""
    return f"model-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest folder that MLflow takes for a model."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
    (folder / "uv.lock").write_text("version = 1\n")
    (folder / "data" / "weights").write_bytes(b"\x00\x01")
    return folder


@pytest.fixture(scope="session")
def registry(remote_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """mlflow-skinny on a server, kept for all tests of this module."""
    with working(remote_store, tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture(scope="session")
def run_id(registry: Worker) -> str:
    """A run of ours."""
    made = registry.ask("create-run", experiment="payloads", tags={"mlflow-uv.release-key": "k"}, run_name="ours")
    return str(made["run_id"])


@pytest.fixture(scope="session")
def model_id(registry: Worker, saved: Path, run_id: str) -> str:
    """A model of that run."""
    made = registry.ask("log-folder", folder=str(saved), name="tiny", run_id=run_id)
    return str(made["model_id"])


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def version_request(name: str, model_id: str, **changes: Any) -> dict[str, Any]:
    tags = {"mlflow-uv.model-sha256": f"digest-of-{name}", "mlflow-uv.state": "registered"}
    return {
        "name": name,
        "model_id": model_id,
        "model_sha256": f"digest-of-{name}",
        "tags": tags,
        "description": "made by a test",
        "timeout_s": 30,
        **changes,
    }


def test_an_environment_without_mlflow_is_described(mlflow: MlflowInterpreter) -> None:
    """
    describe-environment answers where there is no mlflow, and every other verb says that it is missing.
    """
    without = MlflowInterpreter(python=Path(sys.executable), payloads=mlflow.payloads)

    described = without.ask("describe-environment")
    refused = without.refuse("describe-run", run_id="1")

    assert (None, None) == (described["mlflow"], described["mlflow_flavor"])
    assert "mlflow-missing" == refused["kind"]


def test_a_saved_folder_becomes_a_model_of_a_run_and_comes_back(
    registry: Worker, saved: Path, run_id: str, model_id: str, tmp_path: Path
) -> None:
    """
    A logged folder is a ready model of its run; what is downloaded differs in MLmodel alone, which says who it is now.
    """
    destination, part = tmp_path / "back", tmp_path / "part"
    only = ["MLmodel", "data/weights", "requirements.txt"]

    model, found, *_ = registry.ask_each(
        ("describe-model", {"model_id": model_id}),
        ("find-models", {"run_id": run_id}),
        ("download-model", {"model_id": model_id, "destination": str(destination)}),
        ("download-model", {"model_id": model_id, "destination": str(part), "files": only}),
    )

    before, after = digests(saved), digests(destination)
    assert ("READY", run_id, "tiny") == (model["status"], model["run_id"], model["name"])
    assert model_id in {each["model_id"] for each in found["models"]}
    assert {"MLmodel"} == {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert f"model_id: {model_id}" in (destination / "MLmodel").read_text()
    # There is no requirements.txt.
    assert {path: after[path] for path in only[:2]} == digests(part)


def test_files_of_a_model_are_replaced_and_deleted_in_the_store(
    registry: Worker, saved: Path, run_id: str, tmp_path: Path
) -> None:
    """
    overwrite-model puts files over those in the store and takes others away, a lock at the root for one.
    """
    changes = tmp_path / "changes"
    (changes / "mlflow-uv").mkdir(parents=True)
    (changes / "requirements.txt").write_text("mlflow==3\n")
    (changes / "mlflow-uv" / "uv.lock").write_text("version = 1\n")
    destination = tmp_path / "back"
    model_id = registry.ask("log-folder", folder=str(saved), name="changed", run_id=run_id)["model_id"]

    registry.ask_each(
        ("overwrite-model", {"model_id": model_id, "folder": str(changes), "delete": ["uv.lock", "no/such"]}),
        ("download-model", {"model_id": model_id, "destination": str(destination)}),
    )

    assert {"MLmodel", "data/weights", "requirements.txt", "mlflow-uv/uv.lock"} == set(digests(destination))


def test_a_record_is_kept_with_its_run(registry: Worker, run_id: str, tmp_path: Path) -> None:
    """
    A file logged under a path is fetched again by it; a path that nobody logged is not found.
    """
    record, back = tmp_path / "anything.json", tmp_path / "back.json"
    record.write_text('{"schema": 1}')

    registry.ask("log-record", run_id=run_id, file=str(record), path="mlflow-uv/release.json")
    registry.ask("download-record", run_id=run_id, path="mlflow-uv/release.json", destination=str(back))
    missing = registry.refuse("download-record", run_id=run_id, path="mlflow-uv/none.json", destination=str(back))

    assert ('{"schema": 1}', "not-found") == (back.read_text(), missing[0])


def test_a_version_is_found_again_by_its_source_and_by_its_digest(
    registry: Worker, saved: Path, run_id: str, model_id: str, name: str
) -> None:
    """
    The same model is registered once; another model with the same bytes is the same version; no tag is overwritten.
    """
    twin = registry.ask("log-folder", folder=str(saved), name="twin", run_id=run_id)["model_id"]
    changed = {"mlflow-uv.state": "other", "added": "1", "mlflow-uv.model-sha256": "x"}

    first, again, by_digest = registry.ask_each(
        ("find-or-create-version", version_request(name, model_id)),
        ("find-or-create-version", version_request(name, model_id, tags=changed)),
        ("find-or-create-version", version_request(name, twin)),
    )

    assert [("1", True), ("1", False), ("1", False)] == [
        (v["version"], v["created"]) for v in (first, again, by_digest)
    ]
    assert [f"models:/{model_id}"] * 3 == [version["source"] for version in (first, again, by_digest)]
    assert ("registered", "1") == (again["tags"]["mlflow-uv.state"], again["tags"]["added"])


def test_two_registrations_at_once_agree_on_one_version(
    remote_store: MlflowInterpreter, model_id: str, name: str
) -> None:
    """
    Whatever two jobs create at the same moment, both end with the lowest version of the model.
    """
    request = version_request(name, model_id)

    processes = [remote_store.start("find-or-create-version") for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
    codes = [process.wait(CEILING_S) for process in processes]
    answers = [json.loads(response_file(process).read_text())["value"] for process in processes]

    assert [0, 0] == codes
    assert ["1", "1"] == [answer["version"] for answer in answers]
    assert 1 == sum(answer["created"] for answer in answers)


def test_a_version_that_cannot_be_made_leaves_no_empty_model_behind(registry: Worker, model_id: str, name: str) -> None:
    """
    When MLflow refuses the version, the registered model that was made for it is gone again.
    """
    refused = registry.refuse("find-or-create-version", **version_request(name, model_id, tags={"k" * 300: "v"}))
    after = registry.ask("describe-name", name=name)

    assert ("invalid", False) == (refused[0], after["exists"])


def test_an_alias_moves_and_says_what_it_named_before(registry: Worker, model_id: str, name: str) -> None:
    """
    assign-alias reports before and after, and moves to no version that is not there.
    """
    registry.ask("find-or-create-version", **version_request(name, model_id))
    entry = {"who": "alice", "when": "2026-01-01T00:00:00Z", "run": ""}
    alias = {"name": name, "alias": "candidate", "entry": entry}

    moved, named = registry.ask_each(("assign-alias", {**alias, "version": "1"}), ("describe-name", {"name": name}))
    nowhere = registry.refuse("assign-alias", **alias, version="7")

    assert {"before": None, "after": "1", "already": False, "notes": []} == moved
    assert {"candidate": "1"} == named["aliases"]
    assert "not-found" == nowhere[0]


def test_a_released_model_is_found_by_its_key_once_it_has_a_digest(registry: Worker, saved: Path, run_id: str) -> None:
    """
    find-released returns ready models with the key and a digest of ours, oldest first.
    """
    key = uuid.uuid4().hex
    tags = {"mlflow-uv.release-key": key}
    logging = {"folder": str(saved), "run_id": run_id}

    first, second, _ = registry.ask_each(
        ("log-folder", {**logging, "name": "a", "tags": {**tags, "mlflow-uv.model-sha256": "1"}}),
        ("log-folder", {**logging, "name": "b", "tags": {**tags, "mlflow-uv.model-sha256": "2"}}),
        ("log-folder", {**logging, "name": "c", "tags": tags}),
    )
    found = registry.ask("find-released", release_key=key)["models"]

    assert [first["model_id"], second["model_id"]] == [model["model_id"] for model in found]


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("verb", "request_", "kind"),
    [
        ("describe-model", {"model_id": "m-" + "0" * 32}, "not-found"),
        ("describe-version", {"name": "nobody", "version": "1"}, "not-found"),
        ("describe-run", {}, "invalid"),
        ("log-folder", {"folder": "/", "name": "x", "run_id": "x"}, "invalid"),
        ("no-such-verb", {}, "invalid"),
    ],
)
def test_what_is_not_there_and_what_is_wrong_are_told_apart(
    registry: Worker, verb: str, request_: dict[str, Any], kind: str
) -> None:
    """
    Each refusal has one kind out of few.
    """
    refused = registry.refuse(verb, **request_)

    assert kind == refused[0]


def test_a_dead_server_is_noticed_soon_and_its_password_is_not_told(skinny: MlflowInterpreter) -> None:
    """
    With the fail-fast variables an address nobody listens on is unreachable within seconds, credentials masked.
    """
    variables = {**FAIL_FAST, "MLFLOW_TRACKING_URI": f"http://somebody:hunter2222@127.0.0.1:{free_port()}"}
    dead = skinny.on(**variables)

    started = time.monotonic()
    refused = dead.refuse("describe-name", name="anything")

    assert "unreachable" == refused["kind"]
    assert "hunter2222" not in json.dumps(refused)
    assert time.monotonic() - started < 120


class Gate(BaseHTTPRequestHandler):
    """What stands in front of many tracking servers."""

    def do_GET(self) -> None:
        """Refuse, or be broken."""
        status = 403 if "denied" in self.path else 502
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<html>no</html>")

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def gate() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Gate) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("path", "kind"), [("denied", "denied"), ("broken", "unreachable")])
def test_a_gate_that_refuses_is_told_from_one_that_is_broken(
    skinny: MlflowInterpreter, gate: str, path: str, kind: str
) -> None:
    """
    401 and 403 are `denied`, 5xx is `unreachable`, also where the answer is no JSON.
    """
    variables = {**FAIL_FAST, "MLFLOW_TRACKING_URI": f"{gate}/{path}"}
    behind = skinny.on(**variables)

    refused = behind.refuse("describe-name", name="anything")

    assert kind == refused["kind"]
