"""What the files of a model record: the Python that it was trained with, and the project without credentials."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.proof import _trained_with, require_run
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
