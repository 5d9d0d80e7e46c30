"""Two files are compared on a laptop as the comment compares them."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.core.version_difference.comment import comment_of_release
from mlflow_uv.core.version_difference.comparison import compare_descriptions
from mlflow_uv.core.version_difference.document import description_document
from mlflow_uv.steps.compare_versions import Inputs, Outputs, run
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from tests.runner import words
from tests.unit.core.version_difference.descriptions import CHAMPION, VERSION


def compared(folder: Path, **given: Path) -> Report[Outputs]:
    """Run the step on a version and the champion, which are written unless they are given."""
    files = {"description_file": folder / "version.json", "champion_file": folder / "champion.json"}
    for path, description in zip(files.values(), (VERSION, CHAMPION), strict=True):
        path.write_bytes(description_document(description))
    host = Host.of(dict(os.environ), folder=folder, python=Path(sys.executable))
    with locktools(host, console=terminal(words())) as tools:
        return run(Inputs(**{**files, **given}), tools)


def test_two_files_give_the_part_of_the_comment(tmp_path: Path) -> None:
    """
    As Markdown, and as tables with what is not compared.
    """
    page = tmp_path / "comment.md"

    report = compared(tmp_path, markdown_file=page)

    comparison = compare_descriptions(VERSION, CHAMPION)
    assert comment_of_release(comparison) == page.read_text()
    assert (comparison.verdict, comparison.tables, ()) == (report.summary, report.tables, report.advice)
    assert Outputs(differs=True) == report.outputs


def test_equal_versions_do_not_differ(tmp_path: Path) -> None:
    """
    What is not compared is advice.
    """
    same = tmp_path / "same.json"
    same.write_bytes(description_document(replace(CHAMPION, answers=())))

    report = compared(tmp_path, description_file=same)

    assert not report.outputs.differs
    assert ("The answers are not compared: one of both versions has none.",) == report.advice


@pytest.mark.parametrize("missing", ["description_file", "champion_file"])
def test_a_file_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    """
    With the flag that names it.
    """
    with pytest.raises(BadInput) as raised:
        compared(tmp_path, **{missing: None})  # type: ignore[arg-type]  # what is not given

    assert f"--{missing.replace('_', '-')} FILE" == raised.value.fix


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """
    Neither file is trusted.
    """
    other = tmp_path / "other.json"
    other.write_bytes(b"{}")

    with pytest.raises(BadInput, match="is not the description of a version"):
        compared(tmp_path, champion_file=other)
