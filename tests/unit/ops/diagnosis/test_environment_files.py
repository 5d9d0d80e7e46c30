"""The files that describe a model's environment are copied, and nothing that is outside of the model."""

import os
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.security.size_limits import LOCK_LIMIT
from mlflow_uv.ops.diagnosis.environment_files import copy_environment_files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with a lock, a wheel, and files of other kinds."""
    folder = tmp_path / "model"
    for name in (
        "MLmodel",
        "requirements.txt",
        "model.pkl",
        "mlflow-uv/uv.lock",
        "mlflow-uv/wheels/a-1-py3-none-any.whl",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_the_files_of_the_environment_are_copied(tmp_path: Path, model: Path) -> None:
    """
    The model itself is not.
    """
    copy_environment_files(model, tmp_path / "copy")

    copied = {
        str(path.relative_to(tmp_path / "copy")): path for path in (tmp_path / "copy").rglob("*") if path.is_file()
    }
    assert {"MLmodel", "requirements.txt", "mlflow-uv/uv.lock", "mlflow-uv/wheels/a-1-py3-none-any.whl"} == set(copied)
    assert all(name == path.read_text() for name, path in copied.items())


@pytest.mark.parametrize("name", ["requirements.txt", "mlflow-uv", "mlflow-uv/wheels", "mlflow-uv/wheels/b.whl"])
def test_a_link_is_refused(tmp_path: Path, model: Path, name: str) -> None:
    """
    A file, and a folder above one.
    """
    if (model / name).exists():
        (model / name).rename(tmp_path / "outside")
    (model / name).symlink_to(tmp_path / "outside")

    with pytest.raises(BadInput, match=f"`{name}` in `{model}` is not read: it is a link"):
        copy_environment_files(model, tmp_path / "copy")


def test_a_pipe_is_refused(tmp_path: Path, model: Path) -> None:
    """
    Nobody waits for its writer.
    """
    os.mkfifo(model / "conda.yaml")

    with pytest.raises(BadInput, match="it is no regular file"):
        copy_environment_files(model, tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "size"), [("requirements.txt", LOCK_LIMIT + 1), ("mlflow-uv/wheels/a-1-py3-none-any.whl", 4_000_000_001)]
)
def test_a_file_that_is_too_large_is_refused(tmp_path: Path, model: Path, name: str, size: int) -> None:
    """
    It is not read.
    """
    os.truncate(model / name, size)

    with pytest.raises(BadInput, match="MB are read"):
        copy_environment_files(model, tmp_path / "copy")
