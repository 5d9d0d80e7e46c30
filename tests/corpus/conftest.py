"""Reads lockfiles of public projects from the folder named by MLFLOW_UV_LOCKS."""

import os
import shutil
from pathlib import Path

import pytest

FEWEST = 40


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the lockfiles: one folder a repository, paths in it as they stood. Nothing may be written there."""
    named = os.environ.get("MLFLOW_UV_LOCKS")
    if not named:
        pytest.skip("MLFLOW_UV_LOCKS does not say where real lockfiles are")
    folder = Path(named).resolve()
    found = sum(1 for _ in folder.rglob("uv.lock"))
    if found < FEWEST:
        pytest.fail(f"MLFLOW_UV_LOCKS leads to {found} lockfiles, which is fewer than {FEWEST}")
    return folder


@pytest.fixture(scope="session")
def locks(corpus: Path) -> tuple[Path, ...]:
    """Every uv.lock of the corpus, in path order, where it lies."""
    return tuple(sorted(corpus.rglob("uv.lock")))


@pytest.fixture(scope="session")
def checkouts(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The same in a copy that may be written to, for programs that do."""
    copy = tmp_path_factory.mktemp("corpus") / "locks"
    shutil.copytree(corpus, copy)
    return tuple(sorted(copy.rglob("uv.lock")))
