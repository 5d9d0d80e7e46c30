"""A file that is no document, and a version without a record, are refused before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.steps import model_card
from mlflow_uv.tools.toolbox import Tools

from .test_report import tools as tools  # noqa: PLC0414  # the fixture


@pytest.fixture
def inputs(tmp_path: Path) -> Callable[..., model_card.Inputs]:
    """Inputs about the version, outside of a project."""

    def of(**more: object) -> model_card.Inputs:
        given = {"version_uri": "models:/wine/1", "card_folder": tmp_path / "card", **more}
        return model_card.Inputs(project=tmp_path, **given)  # type: ignore[arg-type]

    return of


def test_a_version_without_a_record_has_no_card(
    inputs: Callable[..., model_card.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    Nothing is written.
    """
    with pytest.raises(ChainBroken):
        model_card.run(inputs(), tools)

    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * ((32 << 20) + 1)], ids=["missing", "no text", "large"])
def test_a_file_that_cannot_be_compared_is_refused(
    content: bytes | None, inputs: Callable[..., model_card.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    The store is not asked.
    """
    if content is not None:
        (tmp_path / "bom.json").write_bytes(content)

    with pytest.raises(BadInput, match=r"bom\.json"):
        model_card.run(inputs(check_file=tmp_path / "bom.json"), tools)
