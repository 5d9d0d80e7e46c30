"""The results of a diagnosis as tables."""

from mlflow_uv.core.image.installed_packages import PackageDifference
from mlflow_uv.core.lock.targets import parse_target
from mlflow_uv.ops.diagnosis.diagnosis import Diagnosis


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
