"""
Contract: MLflow's client of Unity Catalog registers versions, finds them, and moves aliases with what they keep.

mlflow-skinny asks a stand-in for a workspace, which refuses what the service refuses.
"""

import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.store_client import StoreClient
from mlflow_uv.tools.toolbox import toolbox
from tests.console import KeptConsole
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import Worker, working
from tests.stand_ins.databricks_models import DatabricksModels, databricks_models
from tests.stand_ins.unity_catalog import PREFIX, REQUESTS
from tests.waiting import happens

STATE, RECORD = "mlflow-uv.state", "mlflow-uv.record-sha256"
ENTRY = {"who": "alice", "when": "2026-01-01T00:00:00Z", "run": ""}
MODEL = """\
flavors:
  python_function:
    loader_module: nothing
model_id: null
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}]'
  outputs: '[{"type": "double", "required": true}]'
"""
MESSAGES = """\
import json
from mlflow.store._unity_catalog.registry.rest_store import _METHOD_TO_INFO
print(json.dumps(sorted(
    [method, path, sorted(field.name for field in request.DESCRIPTOR.fields)]
    for request, (path, method) in _METHOD_TO_INFO.items()
    if "/unity-catalog/registered-models" in path or "/unity-catalog/model-versions" in path
)))
"""


@pytest.fixture(scope="module")
def workspace(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabricksModels]:
    """A workspace with a schema `main.models`."""
    with databricks_models(mlflow.python, tmp_path_factory.mktemp("workspace")) as found:
        yield found


@pytest.fixture(scope="module")
def client(skinny: MlflowInterpreter, workspace: DatabricksModels) -> MlflowInterpreter:
    """The registry client of this program, logged in as a service principal."""
    return skinny.on(MLFLOW_TRACKING_URI="databricks", **workspace.with_secret)


@pytest.fixture(scope="module")
def worker(client: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The same, kept for all tests of this module."""
    with working(client, tmp_path_factory.mktemp("worker")) as found:
        yield found


def logged(worker: Worker, folder: Path, text: str = MODEL) -> str:
    """The id of a new logged model."""
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(text)
    (folder / "data").mkdir()
    (folder / "data" / "weights").write_bytes(b"\x00\x01" * 5000)
    run = worker.ask("create-run", experiment="/Shared/wine", tags={"mlflow-uv.attempt": "1"}, run_name="ours")[
        "run_id"
    ]
    return str(worker.ask("log-folder", folder=str(folder), name="tiny", run_id=run)["model_id"])


def request(name: str, model_id: str, **tags: str) -> dict[str, Any]:
    written = {"mlflow-uv.model-sha256": f"digest of {model_id}", STATE: "tested", **tags}
    return {
        "name": name, "model_id": model_id, "model_sha256": f"digest of {model_id}", "tags": written,
        "description": "made by a test", "timeout_s": 30,
    }  # fmt: skip


def name_of() -> str:
    return f"main.models.wine_{uuid.uuid4().hex[:8]}"


def test_the_stand_in_knows_the_requests_of_mlflows_client(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    Every request about models, with all of its fields but two of one request.
    """
    done = mlflow.run("-I", "-c", MESSAGES, cwd=tmp_path)

    assert 0 == done.returncode, done.stderr
    # Renaming a model and the job of its deployments are not in the stand-in.
    more = {"update_model": ("new_name", "deployment_job_id")}
    known = sorted(
        [method, PREFIX + path, sorted((*required, *optional, *more.get(name, ())))]
        for (method, path), (name, required, optional) in REQUESTS.items()
    )
    assert known == json.loads(done.stdout.splitlines()[-1])


def test_a_tag_with_a_dot_is_refused_from_mlflow_and_that_of_this_program_is_read_back(
    worker: Worker, client: MlflowInterpreter, workspace: DatabricksModels, tmp_path: Path
) -> None:
    """
    The catalog has no tag with a dot or a hyphen, and no value of this length; they are read as they were set.
    """
    name, long = name_of(), json.dumps(["ü" * 900, "x" * 3000])
    tags = {"mlflow-uv.audit.20260101T000000.000000Z-ab12": long, "mlflow-uv.reason": ""}
    worker.ask("find-or-create-version", **request(name, logged(worker, tmp_path / "model")))
    script = (
        "from mlflow import MlflowClient",
        f"MlflowClient().set_model_version_tag({name!r}, '1', '{STATE}', 'x')",
    )

    plain = client.run("-I", "-c", "\n".join(script), cwd=tmp_path)
    worker.ask("tag", version=[name, "1"], tags=tags)
    worker.ask("tag", name=name, tags={"mlflow-uv.deployment.prod_1": long})
    version = worker.ask("describe-version", name=name, version="1")

    assert "contains one or more of the reserved characters" in plain.stderr
    assert {**request(name, version["model_id"])["tags"], **tags} == version["tags"]
    assert {"mlflow-uv.deployment.prod_1": long} == worker.ask("describe-name", name=name)["tags"]
    assert max(len(value) for value in workspace.catalog.models[name].versions["1"]["tags"].values()) <= 1000


def test_a_version_is_found_by_its_model_and_by_its_digest(
    worker: Worker, workspace: DatabricksModels, tmp_path: Path
) -> None:
    """
    A search finds no tags there, and pages of two; a model that is registered again is the version that it was.
    """
    name = name_of()
    models = [logged(worker, tmp_path / str(number)) for number in range(3)]
    created = [worker.ask("find-or-create-version", **request(name, model)) for model in models]

    again = [worker.ask("find-or-create-version", **request(name, model)) for model in models]
    same = worker.ask(
        "find-or-create-version", **{**request(name, logged(worker, tmp_path / "copy")), "model_sha256":
                                     f"digest of {models[1]}"},
    )  # fmt: skip

    assert [("1", True), ("2", True), ("3", True)] == [(one["version"], one["created"]) for one in created]
    assert [("1", False), ("2", False), ("3", False)] == [(one["version"], one["created"]) for one in again]
    assert ("2", False, models[1]) == (same["version"], same["created"], same["model_id"])
    found = worker.ask("find-versions", name=name)["versions"]
    assert [(model, "tested", "READY") for model in models] == [
        (version["model_id"], version["tags"][STATE], version["status"]) for version in found
    ]
    stored = f"/Models/{name.replace('.', '/')}/1/data/weights"
    assert b"\x00\x01" * 5000 == workspace.files[stored]


def test_an_alias_is_promoted_and_rolled_back(worker: Worker, workspace: DatabricksModels, tmp_path: Path) -> None:
    """
    With a lease that is gone afterwards, an entry on each version, and states; the entry leads back.
    """
    name = name_of()
    for number in ("1", "2"):
        worker.ask("find-or-create-version", **request(name, logged(worker, tmp_path / number), **{RECORD: number}))
    words = {"name": name, "alias": "champion", "previous": "previous"}
    expected = {"alias_names": None, "record_sha256": "1", "state": "tested"}
    worker.ask("promote", **words, version="1", entry=ENTRY, expected=expected)
    changed = worker.refuse("promote", **words, version="2", entry=ENTRY, expected={**expected, "record_sha256": "3"})

    moved = worker.ask(
        "promote", **words, version="2", entry={**ENTRY, "gates": ["✓ a gate"] * 300},
        expected={"alias_names": "1", "record_sha256": "2", "state": "tested"},
    )  # fmt: skip
    champion = worker.ask("describe-name", name=name)
    way = worker.ask("find-rollback", **words)
    back = worker.ask("roll-back", **words, entry=ENTRY, expected={"before": "2", "after": "1"})
    versions = worker.ask("find-versions", name=name)["versions"]

    assert ("conflict", "1", "2") == (changed[0], moved["before"], moved["after"])
    assert ({"champion": "2", "previous": "1"}, {}) == (champion["aliases"], champion["tags"])
    assert ("2", "1") == (way["before"], way["after"])
    assert "1" == back["after"]
    assert {"champion": "1"} == workspace.catalog.models[name].aliases
    assert [("promoted", ["champion"]), ("replaced", [])] == [(v["tags"][STATE], v["aliases"]) for v in versions]
    assert ["rollback", "promote", "promote"] == [entry["action"] for entry in versions[0]["entries"]]
    assert 300 == len(versions[0]["entries"][1]["gates"])


@pytest.mark.parametrize(
    ("name", "words"),
    [("wine", "all three levels"), ("models.wine", "all three levels"), ("main.other.wine", "does not exist")],
)
def test_a_name_that_the_catalog_refuses_is_an_error_with_its_message(
    worker: Worker, tmp_path: Path, name: str, words: str
) -> None:
    """
    Without three parts, and in a schema that does not exist.
    """
    kind, message = worker.refuse("find-or-create-version", **request(name, logged(worker, tmp_path / "model")))

    assert (True, True) == (kind in {"invalid", "not-found"}, words in message), message


def test_a_model_without_a_signature_leaves_no_name(
    worker: Worker, workspace: DatabricksModels, tmp_path: Path
) -> None:
    """
    The client refuses it before it uploads files; the empty model that it would leave is deleted.
    """
    name = name_of()
    model = logged(worker, tmp_path / "model", MODEL.partition("signature")[0])

    _, message = worker.refuse("find-or-create-version", **request(name, model))

    assert ("signature" in message, False) == (True, name in workspace.catalog.models)


@pytest.mark.extended
def test_a_wrong_secret_and_a_wrong_token_are_denied(skinny: MlflowInterpreter, workspace: DatabricksModels) -> None:
    """
    Neither is answered, and neither is a server that is down.
    """
    wrong = "quite-another-secret"
    token = {**workspace.with_token, "DATABRICKS_TOKEN": wrong}
    secret = {**workspace.with_secret, "DATABRICKS_CLIENT_SECRET": wrong}
    right = skinny.on(MLFLOW_TRACKING_URI="databricks", **workspace.with_token)

    refused = [
        skinny.on(MLFLOW_TRACKING_URI="databricks", **variables).refuse("describe-name", name="main.models.x")
        for variables in (token, secret)
    ]

    assert not right.ask("describe-name", name="main.models.x")["exists"]
    assert ["denied", "denied"] == [error["kind"] for error in refused], refused
    assert [] == [error for error in refused if wrong in json.dumps(error)]


def test_a_process_with_a_new_token_takes_over_when_the_first_one_ends(
    skinny: MlflowInterpreter, mlflow: MlflowInterpreter, tmp_path: Path
) -> None:
    """
    MLflow's client reads its login once; the one that is started with the next token is accepted.
    """
    with databricks_models(mlflow.python, tmp_path / "workspace") as workspace:
        workspace.trust_the_job()
        workspace.lasts_s = 30
        variables = {**os.environ, "MLFLOW_UV_HOME": str(tmp_path / "home"), **workspace.with_identity}
        variables = {name: value for name, value in variables.items() if name != "GITHUB_ACTIONS"}
        host = Host.of(variables, folder=tmp_path, python=Path(sys.executable))
        with toolbox(host, console=KeptConsole()) as tools:
            store = tools.mlflow.store("databricks", embedded=False)
            client = StoreClient(mlflow=tools.mlflow, python=skinny.python, store=store)
            first = client.describe_rights("main.models.wine", experiment="/Shared/wine")
            (token,) = workspace.exchanged
            assert happens(lambda: not workspace.accepts(f"Bearer {token}"))
            second = client.describe_rights("main.models.wine", experiment="/Shared/wine")

    assert (first, 2) == (second, len(workspace.exchanged))
