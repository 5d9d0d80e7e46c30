"""What the files of a model record: the Python that it was trained with, and the project without credentials."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.model_verification import _overwritten, _trained_with, require_run
from mlflow_uv.ops.model.verification_plan import RequirementsPolicy
from mlflow_uv.tools.system.content import digests_in
from tests.messages import MODEL


def test_the_python_that_trained_is_the_one_the_model_names(tmp_path: Path) -> None:
    """
    A model that is found again was trained with its own Python, whichever one is here today.
    """
    (tmp_path / "mlflow-uv").mkdir()
    (tmp_path / model_files.PYTHON).write_text("3.11.7\n")

    found = _trained_with(tmp_path)

    assert "3.11.7" == found


def test_a_model_that_names_no_python_says_nothing(tmp_path: Path) -> None:
    """
    Not said is not guessed here: the caller knows what it trained with.
    """
    found = _trained_with(tmp_path)

    assert found is None


def test_a_model_without_a_run_is_refused_before_its_release_is_half_done() -> None:
    """
    The record is logged to the run at the very end, after the alias was moved.
    """
    with pytest.raises(BadInput, match=r"`model` was logged without a run: .*Fix: call `log_model` inside"):
        require_run(replace(MODEL, run_id=None))

    assert "r1" == require_run(MODEL)


class FolderStore:
    """A store that keeps the files of one model in a folder; `meanwhile` is written before they are returned."""

    def __init__(self, folder: Path, meanwhile: str | None) -> None:
        self.folder, self.meanwhile = folder, meanwhile

    def overwrite_model(self, model_id: str, *, folder: Path, delete: tuple[str, ...]) -> None:
        """See StoreClient."""
        assert MODEL.model_id == model_id
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)
        for path in delete:
            (self.folder / path).unlink()

    def download_model(self, model_id: str, destination: Path) -> None:
        """See StoreClient."""
        assert MODEL.model_id == model_id
        if self.meanwhile is not None:
            (self.folder / self.meanwhile).write_text("other")
        shutil.copytree(self.folder, destination)


def overwritten(tmp_path: Path, meanwhile: str | None = None) -> list[str]:
    """The files of a model after additions were written into it, which another process changed meanwhile."""
    stored, overlay = tmp_path / "stored", tmp_path / "overlay"
    for folder, files in (
        (stored, ("MLmodel", "model.pkl", "uv.lock", "mlflow-uv/requests.json", "mlflow-uv/uv.lock")),
        (overlay, ("requirements.txt", "mlflow-uv/uv.lock")),
    ):
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("a==1\n")
    before = dict(digests_in(stored))
    served = SimpleNamespace(python="3.11", requirements=parse_requirements("a==1\n"))
    job = SimpleNamespace(
        client=FolderStore(stored, meanwhile), store=SimpleNamespace(shown="x"), commit=None, lock=None
    )
    plan: Any = SimpleNamespace(
        job=job, key="5", selection=None, served=served, mlflow="3", policy=RequirementsPolicy.LOCK
    )
    tools: Any = SimpleNamespace(console=SimpleNamespace(say=lambda _: None))

    record = _overwritten(plan, MODEL, before, overlay, tools)

    assert None is record.answers
    return sorted(path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file())


def test_a_model_keeps_nothing_of_a_release_before(tmp_path: Path) -> None:
    """
    Requests of an interrupted release, or of a model that this one is a copy of, would be tested and recorded.
    """
    assert ["MLmodel", "mlflow-uv/uv.lock", "model.pkl", "requirements.txt"] == overwritten(tmp_path)


@pytest.mark.parametrize("meanwhile", ["model.pkl", "mlflow-uv/other.json"])
def test_a_model_that_another_process_changed_while_it_was_verified_is_refused(tmp_path: Path, meanwhile: str) -> None:
    """
    The answers are of the files before.
    """
    with pytest.raises(ChainBroken, match=f"{meanwhile} changed in the store while the model was verified"):
        overwritten(tmp_path, meanwhile)
