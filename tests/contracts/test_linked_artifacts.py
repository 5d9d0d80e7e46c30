"""Contract: MLflow does not follow a symbolic link out of an artifact folder, and the error names it and what helps."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.tools.mlflow.errors import FIXES
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import Worker, working

FILES = ["MLmodel", "uv.lock", "data/weights"]
FIX = FIXES["linked-artifacts"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder that MLflow takes for a model."""
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
    (folder / "uv.lock").write_text("version = 1\n")
    (folder / "data" / "weights").write_bytes(b"\x00\x01")
    return folder


def moved(path: Path, elsewhere: Path) -> None:
    """A larger disk has the content, and a link is left."""
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("link", "gone", "fix"),
    [
        ("uv.lock", False, "put what it leads to in its place"),
        ("data", False, "put what it leads to in its place"),
        ("uv.lock", True, "if nothing is there, release the model again"),
    ],
    ids=["file", "folder", "nothing"],
)
def test_a_link_out_of_an_artifact_folder_is_named_with_what_helps(  # what is linked
    local_store: MlflowInterpreter, tmp_path: Path, saved: Path, link: str, gone: bool, fix: str
) -> None:
    """
    MLflow says neither which path nor what to do; both fixes are done here, and the model is read.
    """
    with working(local_store, tmp_path) as worker:
        logged = logging(worker, saved)
        model_id = logged()
        path = stored(local_store, model_id) / link
        moved(path, tmp_path / "elsewhere")
        if gone:
            (tmp_path / "elsewhere").unlink()

        refused = worker.refuse("download-model", model_id=model_id, destination=str(tmp_path / "refused"), files=FILES)
        if gone:
            model_id = logged()
        else:
            (command,) = re.findall(r"`([^`]+)`", FIX)
            subprocess.run(("sh", "-ec", command.replace("LINK", str(path))), check=True)
        worker.ask("download-model", model_id=model_id, destination=str(tmp_path / "back"), files=FILES)

    why = "which is not there" if gone else "out of its folder"
    assert ("linked-artifacts", f"`{path}` leads to `{tmp_path / 'elsewhere'}`, {why}") == refused
    assert fix in FIX
    assert set(FILES) <= {os.path.relpath(file, tmp_path / "back") for file in (tmp_path / "back").rglob("*")}


def logging(worker: Worker, saved: Path) -> Callable[[], str]:
    """Log the model in a new run; its id."""

    def logged() -> str:
        run = worker.ask("create-run", experiment="links", tags={}, run_name="links")
        return str(worker.ask("log-folder", folder=str(saved), name="tiny", run_id=run["run_id"])["model_id"])

    return logged


def stored(local_store: MlflowInterpreter, model_id: str) -> Path:
    """The folder of a model in the store."""
    store = Path(local_store.variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent
    (folder,) = store.rglob(f"{model_id}/artifacts")
    return folder
