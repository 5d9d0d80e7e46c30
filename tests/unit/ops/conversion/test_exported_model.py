"""Tests how a converted model is logged, found again, and closed if it is interrupted."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import Cancelled
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Console
from mlflow_uv.ops.conversion.exported_model import LoggedExport, ModelExport, log_export
from mlflow_uv.ops.image.isolation import EvaluatedVersion
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.payloads.messages.conversion import FindExport, FoundExport
from mlflow_uv.payloads.messages.models import FindModels, FoundModels, LoggedModelDescription
from mlflow_uv.payloads.messages.registry import FindOrCreateVersion, SetTags
from mlflow_uv.payloads.messages.tags import ATTEMPT, EXPORT_KEY, EXPORTED_FROM, MODEL_DIGEST
from mlflow_uv.tools.mlflow.attempts import Attempts

SUBJECT = EvaluatedVersion(name="wine", version="7", model_id="m-1", run_id="r-1", model=Path("model"), sha256="a" * 64)


@dataclass
class Store:
    """A store that is cancelled when the files are uploaded, if it `stops`; another export logs `other` meanwhile."""

    store = SimpleNamespace(uri="http://127.0.0.1:9")
    stops: bool = False
    other: FoundExport | None = None
    models: list[LoggedModelDescription] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def find_models(self, request: FindModels) -> FoundModels:
        """See StoreClient."""
        assert request.tag is not None
        key = request.tag[1]
        found = tuple(model for model in self.models if model.tags.get(EXPORT_KEY) == key)
        return FoundModels(runs=(), models=found, versions=())

    def close_attempt(self, tag: str, value: str, *, status: str) -> None:
        """See StoreClient."""
        self.calls.append(("close", (tag, len(value), status)))

    def create_run(self, experiment: str, *, tags: Any, run_name: str, beside: str | None) -> Any:
        """See StoreClient."""
        self.calls.append(("run", (tags[EXPORTED_FROM], beside)))
        return SimpleNamespace(run_id="r-2")

    def log_folder(self, folder: Path, *, name: str, run_id: str) -> str:
        """See StoreClient."""
        if self.stops:
            raise Cancelled
        self.calls.append(("log", name))
        return "m-2"

    def download_model(self, model_id: str, destination: Path) -> None:
        """See StoreClient."""
        destination.mkdir()
        (destination / "MLmodel").write_text("flavors: {}\n")

    def set_tags(self, request: SetTags) -> None:
        """See StoreClient."""
        self.calls.append(("tags", request.version or request.model_id))
        if request.model_id:
            self.models.append(
                LoggedModelDescription(
                    model_id=request.model_id, name="wine-onnx", run_id="r-2", experiment_id="0", status="READY",
                    message=None, created=1, artifact_location="a", tags=request.tags,
                )
            )  # fmt: skip

    def end_run(self, run_id: str, *, status: str) -> None:
        """See StoreClient."""
        self.calls.append(("end", (run_id, status)))

    def find_export(self, request: FindExport) -> FoundExport:
        """See StoreClient."""
        self.calls.append(("decide", (request.tag, request.model_id, request.is_new)))
        return self.other or FoundExport(model_id=request.model_id, sha256="d" * 64)

    def find_or_create_version(self, request: FindOrCreateVersion) -> Any:
        """See StoreClient."""
        self.calls.append(("version", (request.name, request.tags[MODEL_DIGEST] == request.model_sha256)))
        return SimpleNamespace(version="1")


def export(store: Store, scratch: Path, *, name: str | None = None, digest: str = "b" * 64) -> LoggedExport:
    """A model that is exported."""
    attempts = Attempts(cast("Host", SimpleNamespace(state=scratch.parent / "state")))
    tools = SimpleNamespace(console=cast("Console", None), attempts=attempts)
    registry = cast("RegistryClient", SimpleNamespace(client=store, tools=tools))
    scratch.mkdir()
    plan = ModelExport(folder=Path("converted"), format="onnx", file_sha256=digest, name=name)
    return log_export(plan, SUBJECT, registry, scratch)


def test_a_model_is_logged_beside_the_original_and_the_version_gets_a_tag(tmp_path: Path) -> None:
    """
    In the experiment of its run, and the run is ended.
    """
    store = Store()

    logged = export(store, tmp_path / "1")

    assert ("models:/m-2", "") == (logged.exported.uri, logged.instead_of)
    assert [
        ("run", ("models:/wine/7", "r-1")), ("log", "wine-onnx"),
        ("tags", "m-2"),
        ("end", ("r-2", "FINISHED")), ("decide", ("mlflow-uv.export.onnx", "m-2", True)), ("tags", ("wine", "7")),
    ] == store.calls  # fmt: skip


def test_the_same_file_of_the_same_version_is_logged_once(tmp_path: Path) -> None:
    """
    A second run only registers it; another file is another model.
    """
    store = Store()
    export(store, tmp_path / "1")
    store.calls.clear()

    again = export(store, tmp_path / "2", name="wine-onnx")
    calls = [name for name, _ in store.calls]
    export(store, tmp_path / "3", digest="c" * 64)

    assert ("models:/wine-onnx/1", ["decide", "version", "tags"]) == (again.exported.uri, calls)
    assert ["log"] == [name for name, _ in store.calls if name == "log"]


def test_the_model_of_another_export_at_the_same_time_counts(tmp_path: Path) -> None:
    """
    It is the one that is registered, under the name that the other export gave it, and this one's own is named.
    """
    store = Store(other=FoundExport(model_id="m-1", sha256="e" * 64, name="wine-onnx", version="4"))

    logged = export(store, tmp_path / "1")

    assert ("m-1", "e" * 64, "wine-onnx", "m-2") == (
        logged.exported.model_id, logged.exported.sha256, logged.exported.name, logged.instead_of,
    )  # fmt: skip
    assert ("tags", ("wine", "7")) == store.calls[-1]


def test_a_cancelled_upload_leaves_no_open_run(tmp_path: Path) -> None:
    """
    It is closed as KILLED, and no tag and no version refers to it.
    """
    store = Store(stops=True)

    with pytest.raises(Cancelled):
        export(store, tmp_path / "1", name="wine-onnx")

    assert ["run", "close"] == [name for name, _ in store.calls]
    assert ("close", (ATTEMPT, 32, "KILLED")) == store.calls[-1]
