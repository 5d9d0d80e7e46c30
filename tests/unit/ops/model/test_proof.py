"""The Python that a model was trained with, as the files of the model record it."""

from pathlib import Path

from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.proof import _trained_with


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
