"""A tracking server says where artifacts lie: nothing is read or written on this machine, or sent elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.conftest import MODEL, TOKEN, Client, Impostor, asking

CANARY = "ca-na-ry-of-a-file"
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "log into an experiment": ("prepare-experiment", {"experiment": "wine", "artifact_location": None}),
    "read a model": ("download-model", {"model_id": MODEL, "destination": "BACK"}),
    "read a version": ("download-model", {"uri": "models:/wine/1", "destination": "BACK"}),
    "read a model of a run": ("download-model", {"model_id": "runs:/r/model", "destination": "BACK"}),
    "write a model": ("overwrite-model", {"model_id": MODEL, "folder": "OURS", "delete": ["key"]}),
    "read a record": ("download-record", {"run_id": "r", "path": "key", "destination": "BACK"}),
    "write a record": ("log-record", {"run_id": "r", "file": "OURS/MLmodel", "path": "key"}),
}


@pytest.fixture
def places(tmp_path: Path) -> Mapping[str, Path]:
    """A folder of this machine that is nobody's business, one with files of ours, and a place to download to."""
    private, ours = tmp_path / "private", tmp_path / "ours"
    for folder, text in ((private, CANARY), (private / "model", CANARY), (ours, "ours")):
        folder.mkdir()
        for name in ("MLmodel", "key"):
            (folder / name).write_text(text)
    return {"private": private, "OURS": ours, "BACK": tmp_path / "back"}


def refused(client: Client, request_name: str, places: Mapping[str, Path]) -> dict[str, Any]:
    """The error of a question about those places."""
    verb, words = REQUESTS[request_name]
    located = {
        key: word.replace("OURS", str(places["OURS"])).replace("BACK", str(places["BACK"]))
        if isinstance(word, str)
        else word
        for key, word in words.items()
    }
    return client.refuse(verb, **located)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("form", ["file:", ""])
def test_a_folder_of_this_machine_is_neither_read_nor_written(
    client: Client, impostor: Impostor, places: Mapping[str, Path], request_name: str, form: str
) -> None:
    """
    A server whose artifacts lie at `file:///home/runner/.ssh` gets nothing out of there and nothing into it.
    """
    private = places["private"]
    impostor.keeps_artifacts_at(f"{form}{private}")

    error = refused(client, request_name, places)

    assert "local-artifacts" == error["kind"], error
    assert not places["BACK"].exists()
    assert {CANARY} == {path.read_text() for path in private.rglob("*") if path.is_file()}
    assert ["MLmodel", "key", "model", "model/MLmodel", "model/key"] == sorted(
        path.relative_to(private).as_posix() for path in private.rglob("*")
    )
    assert [] == [request for request in impostor.requests if CANARY in request]


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("form", ["http", "mlflow-artifacts", "two-readings"])
def test_no_other_server_is_asked_with_our_credentials(
    client: Client, impostor: Impostor, bystander: Impostor, places: Mapping[str, Path], request_name: str, form: str
) -> None:
    """
    The token is for the server that the caller named; the one that an artifact location names never hears of it.
    """
    host = bystander.uri.removeprefix("http://")
    named = impostor.uri.removeprefix("http://")
    impostor.keeps_artifacts_at(
        {
            "http": f"http://{host}/api/2.0/mlflow-artifacts/artifacts/1",
            "mlflow-artifacts": f"mlflow-artifacts://{host}/1",
            "two-readings": f"http://{host}\\@{named}/api/2.0/mlflow-artifacts/artifacts/1",
        }[form]
    )

    error = refused(client, request_name, places)

    assert "foreign-artifacts" == error["kind"], error
    assert [] == bystander.requests
    assert TOKEN in "".join(impostor.requests)


@pytest.mark.parametrize("name", ["../../planted", "/PRIVATE/planted", "%2e%2e/%2e%2e/planted", "a/../../planted"])
def test_a_listed_name_plants_no_file(
    client: Client, impostor: Impostor, places: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    """
    A file that a server lists as `../../x` is written nowhere.
    """
    before = set(tmp_path.rglob("*"))
    impostor.lists("MLmodel", name.replace("/PRIVATE", str(places["private"])))

    error = refused(client, "read a model", places)

    assert error["kind"] in {"invalid", "unexpected"}, error
    assert before == set(tmp_path.rglob("*"))
    assert not places["BACK"].exists()


def test_a_model_that_is_at_itself_is_an_error(client: Client, impostor: Impostor, places: Mapping[str, Path]) -> None:
    """
    `models:/m-…` may lead to itself; the question ends.
    """
    impostor.keeps_artifacts_at(f"models:/{MODEL}")

    error = refused(client, "read a model", places)

    assert "unexpected" == error["kind"], error
    assert not places["BACK"].exists()


@pytest.mark.extended
def test_a_folder_that_is_shared_and_said_to_be_is_used(
    registry_python: Path, impostor: Impostor, places: Mapping[str, Path], root: Path, tmp_path: Path
) -> None:
    """
    Where the caller says that this machine shares a folder with the server, artifacts below it are read and written.
    """
    shared = tmp_path / "private"
    impostor.keeps_artifacts_at(str(shared))

    with asking(registry_python, impostor, root, tmp_path, MLFLOW_UV_ARTIFACT_ROOTS=str(shared)) as client:
        client.ask("prepare-experiment", experiment="wine", artifact_location=None)
        client.ask("download-model", model_id=MODEL, destination=str(places["BACK"]))
        client.ask("overwrite-model", model_id=MODEL, folder=str(places["OURS"]), delete=["key"])

    assert CANARY == (places["BACK"] / "MLmodel").read_text()
    assert ("ours", False) == ((shared / "MLmodel").read_text(), (shared / "key").exists())
