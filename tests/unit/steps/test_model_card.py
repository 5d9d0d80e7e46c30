"""A file that is no document, and a version without a record, are refused before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.core.card.ml_bom import render_ml_bom
from mlflow_uv.core.card.readme import render_readme
from mlflow_uv.steps import model_card
from mlflow_uv.tools.toolbox import Tools
from tests.unit.core.card.described import DESCRIBED

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


@pytest.mark.parametrize(
    ("name", "content"), [("README.md", "# wine\n"), ("README.md", ""), ("ml-bom.cdx.json", "{}"), ("README.md", None)]
)
def test_a_file_of_somebody_else_is_not_replaced(
    name: str, content: str | None, inputs: Callable[..., model_card.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    The README of a project, or a folder of that name, is as before; the fix names a folder below.
    """
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text(content)

    with pytest.raises(BadInput, match=f"{name}` is not replaced") as raised:
        model_card.run(inputs(card_folder=tmp_path), tools)

    assert f"--card-folder {tmp_path / 'mlflow-uv-model-card'}" == raised.value.fix
    assert content is None or content == (tmp_path / name).read_text()


def test_a_card_that_was_written_before_is_replaced(
    inputs: Callable[..., model_card.Inputs], tools: Tools, tmp_path: Path
) -> None:
    """
    The step goes on to the version, which has no record here.
    """
    (tmp_path / "README.md").write_text(render_readme(DESCRIBED))
    (tmp_path / "ml-bom.cdx.json").write_text(render_ml_bom(DESCRIBED))

    with pytest.raises(ChainBroken):
        model_card.run(inputs(card_folder=tmp_path), tools)
