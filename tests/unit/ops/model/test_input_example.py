"""The file of `input-example`, as the project's MLflow reads it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.release.digests import sha256
from mlflow_uv.ops.model.input_example import example_of
from mlflow_uv.ops.model.training import Job


def job(folder: Path, read: Any) -> Job:
    """A job in a folder, whose MLflow reads examples so."""
    client = SimpleNamespace(read_example=read)
    return cast("Job", SimpleNamespace(project=SimpleNamespace(folder=folder), client=client))


def test_without_a_file_the_models_own_example_stays(tmp_path: Path) -> None:
    """
    Nothing is read, and nothing of it is in the release key.
    """
    assert ((), "") == example_of(None, job(tmp_path, None))


def test_a_file_is_named_from_the_project_and_counts_by_its_bytes(tmp_path: Path) -> None:
    """
    The digest is part of the release key: another example is another release.
    """
    (tmp_path / "rows.csv").write_bytes(b"x\r\n1\r\n")
    asked: list[Path] = []

    def read(path: Path) -> Any:
        asked.append(path)
        return SimpleNamespace(requests=({"inputs": [1]},))

    found = example_of(Path("rows.csv"), job(tmp_path, read))

    assert (({"inputs": [1]},), sha256(b"x\r\n1\r\n"), [tmp_path / "rows.csv"]) == (*found, asked)


def test_an_error_names_the_input(tmp_path: Path) -> None:
    """
    With the reason that MLflow's reader gave.
    """

    def read(_path: Path) -> Any:
        raise BadInput(what="x", why="`rows.csv` is not UTF-8")

    with pytest.raises(BadInput) as caught:
        example_of(Path("rows.csv"), job(tmp_path, read))

    assert ("`input-example` cannot be used", "`rows.csv` is not UTF-8", "--input-example FILE") == (
        caught.value.what, caught.value.why, str(caught.value.fix),
    )  # fmt: skip
