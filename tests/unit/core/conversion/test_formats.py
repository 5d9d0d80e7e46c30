"""Tests the formats that models are converted to."""

from pathlib import Path

from mlflow_uv.core.conversion.formats import FORMATS
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.own_group import OWN_NAME
from mlflow_uv.steps.export_model import ExportFormat


def test_each_format_of_the_step_is_described() -> None:
    """
    And no other, under its own name.
    """
    assert {kind.value: kind.value for kind in ExportFormat} == {key: kind.name for key, kind in FORMATS.items()}


def test_a_flavor_is_converted_to_one_format() -> None:
    """
    So a refusal can name the format for a model.
    """
    loaders = [loader for kind in FORMATS.values() for loader in kind.loaders]

    assert len(loaders) == len(set(loaders))


def test_the_groups_are_in_our_lock(root: Path) -> None:
    """
    With the runtime among the packages of both.
    """
    (own,) = read_lockfile((root / "uv.lock").read_bytes()).by_name[OWN_NAME]

    for kind in FORMATS.values():
        for group in (kind.runtime_group, kind.conversion_group):
            assert kind.runtime in {dependency.name for dependency in own.groups[group]}
