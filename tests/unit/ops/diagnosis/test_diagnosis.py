"""The results of a diagnosis as tables."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.core.image.installed_packages import PackageDifference
from mlflow_uv.core.lock.targets import parse_target
from mlflow_uv.ops.diagnosis.diagnosis import Diagnosis, _inventory, installation_fix


def test_packages_are_a_table_only_if_some_differ() -> None:
    """
    What the model needs is always shown.
    """
    differing = PackageDifference(name="rich", required=None, installed="14.0")
    diagnosis = Diagnosis(
        target=parse_target("linux-x86_64-py3.11"),
        facts=(("model", "m"),),
        findings=(),
        differences=(differing,),
        libraries=(),
    )

    facts, packages = diagnosis.tables

    assert ((("model", "m"),), (("rich", "not required", "14.0"),)) == (facts.rows, packages.rows)


def test_a_wheel_of_the_model_is_not_installed_from_an_index() -> None:
    """
    An index may have another package of its name.
    """
    differing = [
        PackageDifference(name="mlflow", required="3.17.2", installed="3.16.0"),
        PackageDifference(name="own", required="1.0", installed=None),
    ]

    fixes = [installation_fix(Path("/e/bin/python"), differing, names) for names in ({"own"}, {"own", "mlflow"})]

    command, where = "uv pip install --python /e/bin/python mlflow==3.17.2", "from `mlflow-uv/wheels` in the model"
    assert [f"{command}, and install own {where}", f"install mlflow, own {where}"] == fixes


def test_a_program_that_is_not_python_is_named_with_the_option() -> None:
    """
    It was given as the environment to compare with.
    """

    def inventory(_python: Path) -> str:
        raise ToolFailed(what="`env` cannot be started", why="")

    tools: Any = SimpleNamespace(servers=SimpleNamespace(inventory=inventory))

    with pytest.raises(BadInput, match="does not list its packages, as Python does") as raised:
        _inventory(Path("/usr/bin/env"), tools)

    assert ("`env` cannot be started", "--compare-with FOLDER") == (raised.value.why, str(raised.value.fix))
