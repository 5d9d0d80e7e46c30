"""Contract: of several exports of one version at once, on any machines, one model counts."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.payload_worker import Worker

TAG = "mlflow-uv.export.onnx"
KEY, DIGEST = "mlflow-uv.export-key", "mlflow-uv.model-sha256"


@dataclass(frozen=True, kw_only=True)
class Exports:
    """A version of a registered model, and what is exported from it."""

    worker: Worker
    folder: Path
    name: str = field(default_factory=lambda: f"wine-{uuid.uuid4().hex[:8]}")

    def logged(self, tags: dict[str, str]) -> tuple[str, str]:
        """A logged model with tags, and its run."""
        run = self.worker.ask("create-run", experiment="exports", tags=tags, run_name="export")["run_id"]
        model = self.worker.ask("log-folder", folder=str(self.folder), name="tiny", run_id=run)["model_id"]
        self.worker.ask("tag", model_id=model, tags=tags)
        self.worker.ask("end-run", run_id=run, status="FINISHED")
        return str(model), str(run)

    def exported(self, key: str) -> tuple[str, str]:
        """What an export leaves before it is decided which one counts."""
        return self.logged({KEY: key, DIGEST: f"digest of {key}"})

    def registered(self, model: str, name: str) -> str:
        """The version made of a model."""
        asked = {"model_sha256": model, "tags": {}, "description": "", "timeout_s": 30}
        return str(self.worker.ask("find-or-create-version", name=name, model_id=model, **asked)["version"])

    def request(self, key: str, model: str, *, is_new: bool = True) -> dict[str, Any]:
        """What an export asks."""
        return {"name": self.name, "version": "1", "key": key, "tag": TAG, "model_id": model, "is_new": is_new}

    def ready(self, key: str) -> list[str]:
        """The models that are left, by the key."""
        found = self.worker.ask("find-models", tag=[KEY, key])["models"]
        return [model["model_id"] for model in found if model["status"] == "READY"]

    def tag(self) -> str:
        """The exported model that the version names."""
        return str(self.worker.ask("describe-version", name=self.name, version="1")["tags"][TAG])


@pytest.fixture
def exports(workers: tuple[Worker, Worker], tmp_path: Path) -> Exports:
    """Version 1 of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
    found = Exports(worker=workers[0], folder=folder)
    original, _ = found.logged({})
    assert found.registered(original, found.name) == "1"
    return found


def test_two_exports_at_once_agree_on_one_model(exports: Exports, workers: tuple[Worker, Worker]) -> None:
    """
    Both get the same one, the version names it, and the other one is deleted; its run is no longer a finished one.
    """
    seen = []
    for turn in range(3):
        key = f"{exports.name} {turn}"
        models = dict([exports.exported(key), exports.exported(key)])
        with ThreadPoolExecutor() as threads:
            asked = [
                threads.submit(worker.ask, "find-export", **exports.request(key, model))
                for worker, model in zip(workers, models, strict=True)
            ]
            found = [answer.result()["model_id"] for answer in asked]
        (loser,) = set(models) - set(found)
        status = exports.worker.ask("describe-run", run_id=models[loser])["status"]
        seen.append((len(set(found)), exports.ready(key) == found[:1], exports.tag() == f"models:/{found[0]}", status))

    assert [(1, True, True, "KILLED")] * 3 == seen


def test_a_model_that_the_version_names_counts_although_it_is_not_the_first(exports: Exports) -> None:
    """
    The export that decided before did not see the earlier one, which was not complete yet; also by its version.
    """
    first, second = exports.exported("slow")[0], exports.exported("slow")[0]
    version = exports.registered(second, f"{exports.name}-onnx")
    exports.worker.ask("tag", version=[exports.name, "1"], tags={TAG: f"models:/{exports.name}-onnx/{version}"})

    found = exports.worker.ask("find-export", **exports.request("slow", first))

    assert (second, f"{exports.name}-onnx", version) == (found["model_id"], found["name"], found["version"])
    assert [second] == exports.ready("slow")


def test_what_was_not_made_now_or_has_a_version_stays(exports: Exports) -> None:
    """
    A duplicate of an earlier run is not deleted, nor one that somebody registered; a model of another key never counts.
    """
    other, _ = exports.exported("another file")
    exports.worker.ask("tag", version=[exports.name, "1"], tags={TAG: f"models:/{other}"})
    first, second = exports.exported("kept")[0], exports.exported("kept")[0]
    exports.registered(second, f"{exports.name}-by-hand")

    old = exports.worker.ask("find-export", **exports.request("kept", second, is_new=False))
    new = exports.worker.ask("find-export", **exports.request("kept", second))

    assert [first, first] == [old["model_id"], new["model_id"]]
    assert [first, second] == exports.ready("kept")
    assert ("not-found", True) == (
        exports.worker.refuse("find-export", **exports.request("nothing", second))[0], exports.tag().endswith(first),
    )  # fmt: skip
