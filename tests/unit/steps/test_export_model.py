"""Tests what export-model refuses before it connects to a store."""

from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, BadProject, StepError
from mlflow_uv.steps.export_model import Inputs, run


def refused(**inputs: Any) -> StepError:
    """The error for inputs, without any tools."""
    with pytest.raises((BadInput, BadProject)) as raised:
        run(Inputs(**{"version_uri": "models:/wine@champion", **inputs}), None)  # type: ignore[arg-type]
    return raised.value


def test_the_converted_model_is_no_version_of_the_original() -> None:
    """
    An alias would move between models with different inputs; the fix is another name.
    """
    error = refused(register="wine")

    assert (2, "--register wine-onnx") == (error.exit_code, str(error.fix))


def test_a_bundle_replaces_nothing(tmp_path: Path) -> None:
    """
    A folder with other content stays as it is.
    """
    (tmp_path / "notes.txt").write_text("mine")

    error = refused(bundle=tmp_path)

    assert "bundle" in error.what
    assert ["notes.txt"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("bundle", "why"),
    [("dangling", "does not replace a link"), ("link", "does not replace a link"), ("file/edge", "no folder"),
     ("dangling/edge", "no folder")],
)  # fmt: skip
def test_a_folder_that_cannot_become_the_bundle_is_refused(tmp_path: Path, bundle: str, why: str) -> None:
    """
    Before the model is converted and logged: a link, and a path below a file.
    """
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("new")

    error = refused(bundle=tmp_path / bundle)

    assert (2, True, "--bundle NEW_FOLDER") == (error.exit_code, why in error.why, str(error.fix))
    assert [] == list((tmp_path / "empty").iterdir())


def test_a_uri_without_a_version_is_refused() -> None:
    """
    With the one that may be meant.
    """
    assert "models:/wine@champion" in str(refused(version_uri="wine").fix)
