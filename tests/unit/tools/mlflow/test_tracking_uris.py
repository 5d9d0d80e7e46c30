"""Tracking URIs as MLflow takes them, as they mean the same in every folder."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.mlflow.tracking_uris import absolute_uri, path_of_files


@pytest.mark.parametrize(
    ("uri", "absolute"),
    [
        ("sqlite:///mlflow.db", "sqlite:////wine/mlflow.db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("sqlite:///../mlflow.db?timeout=5", "sqlite:////mlflow.db?timeout=5"),
        ("mlruns", "file:///wine/mlruns"),
        ("./mlruns", "file:///wine/mlruns"),
        ("../mlruns", "file:///mlruns"),
        ("runs/here", "file:///wine/runs/here"),
        ("/data/mlruns", "file:///data/mlruns"),
        ("file:./mlruns", "file:///wine/mlruns"),
        ("file:mlruns", "file:///wine/mlruns"),
        ("file:///data/ml%20runs", "file:///data/ml%20runs"),
        ("file://localhost/data", "file:///data"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql://db/mlflow", "postgresql://db/mlflow"),
        ("databricks", "databricks"),
        ("uc:profile", "uc:profile"),
    ],
)
def test_a_relative_path_is_that_of_the_folder(uri: str, absolute: str) -> None:
    """
    SQLite files, paths and `file:` are read as MLflow reads them; anything with a host stays as it is.
    """
    assert absolute == absolute_uri(uri, Path("/wine"))


@pytest.mark.parametrize("uri", ["wine", "127.0.0.1:5000", "localhost:5000/path", "file://elsewhere/data"])
def test_what_is_no_path_of_this_machine_is_none(uri: str) -> None:
    """
    A word, an address without its scheme and another machine's folder are not taken for a folder here.
    """
    assert None is path_of_files(uri, Path("/wine"))


def test_a_word_is_refused_with_what_could_be_meant() -> None:
    """
    An address without `http://` is the most likely mistake.
    """
    with pytest.raises(BadInput) as caught:
        absolute_uri("127.0.0.1:5000", Path("/wine"))

    assert "sqlite:///PATH, ./PATH or http://HOST" == caught.value.fix
