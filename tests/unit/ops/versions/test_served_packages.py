"""Which packages of a version's lock are served."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.core.model.model_files import LOCK
from mlflow_uv.ops.versions.served_packages import served_packages
from tests.unit.core.release.test_record import WHOLE
from tests.unit.ops.versions.test_promotion import sbom_of

TOOLS: Any = SimpleNamespace(uv=SimpleNamespace(sbom=sbom_of))
RECORD = replace(WHOLE, model=replace(WHOLE.model, python="3.11.9"))


def test_the_image_and_the_targets_of_the_project_install_them(tmp_path: Path) -> None:
    """
    The others are named.
    """
    lock = tmp_path / LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text("version = 1\n")
    (lock.parent / "pyproject.toml").write_text("[project]\nname = 'wine'\nversion = '1'\n")

    alone, everywhere = (
        served_packages(tmp_path, RECORD, targets, TOOLS) for targets in ((), ("windows-x86_64-py3.11",))
    )

    assert (["grape", "oak"], ("glass 1",)) == (names_in(alone.sbom), alone.others)
    assert (["glass", "grape", "oak"], ()) == (names_in(everywhere.sbom), everywhere.others)


def names_in(sbom: str) -> list[str]:
    """The names of the components."""
    return sorted(component["name"] for component in json.loads(sbom)["components"])


def test_a_model_without_a_lock_has_none(tmp_path: Path) -> None:
    """
    Nothing is taken for "no packages".
    """
    with pytest.raises(ValueError, match="the model has no lock"):
        served_packages(tmp_path, RECORD, (), TOOLS)
