"""When the commit of a version cannot be trained again here."""

import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.verify.results import Verdict
from mlflow_uv.ops.verify.comparison import Verification
from mlflow_uv.ops.verify.project_run import run_project
from mlflow_uv.ops.verify.ways import select_ways

COMMIT = Commit(sha="c" * 40, project="models/wine")


def verification(folder: Path, commit: Commit | None, *, project: bool = True, known: bool = True) -> Verification:
    """Of a version that was trained from a commit, which git knows, with a README alone."""

    def export(_folder: Path, _commit: str, archive: Path) -> bool:
        (folder / "README.md").touch()
        with tarfile.open(archive, "w") as tar:
            tar.add(folder / "README.md", "models/wine/README.md")
        return known

    nothing = cast("Any", None)
    tools = SimpleNamespace(git=SimpleNamespace(export=export))
    here = SimpleNamespace(folder=folder) if project else None
    return Verification(
        registry=cast("Any", SimpleNamespace(project=here, tools=tools)),
        subject=nothing,
        environments=nothing,
        expected=nothing,
        scratch=folder,
        spark_master="",
        secrets=(),
        record=cast("Any", SimpleNamespace(commit=commit)) if commit else None,
    )


@pytest.mark.parametrize(
    ("commit", "options", "why"),
    [
        (COMMIT, {"project": False}, "there is no project in this folder to run"),
        (None, {}, "the version has no release record, which names its commit"),
        (replace(COMMIT, dirty="d" * 64), {}, "it was trained with changes that are in no commit"),
        (COMMIT, {"known": False}, "git does not have the commit cccccccccccc of the version here"),
        (
            replace(COMMIT, project="../elsewhere"),
            {},
            "its record names the folder `../elsewhere`, which is outside of the commit",
        ),
        (COMMIT, {}, "the project has no MLproject file at the commit of the version"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, commit: Commit | None, options: dict[str, bool], why: str) -> None:
    """
    The way cannot run here; nothing is trained.
    """
    result = run_project("project", verification(tmp_path, commit, **options))

    assert (Verdict.UNAVAILABLE, why) == (result.verdict, result.why)


def test_nothing_is_trained_unless_the_way_is_named() -> None:
    """
    All other ways are tried by default.
    """
    assert "project" not in [way.name for way in select_ways(())]
    assert ["project"] == [way.name for way in select_ways(("project",))]
