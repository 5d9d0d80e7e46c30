"""Packages of an environment and the requirements that it was made from."""

import pytest

from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.image.installed_packages import installed_difference

LINUX = {"sys_platform": "linux", "python_version": "3.11"}


@pytest.mark.parametrize(
    ("installed", "differences"),
    [
        ((("A", "1.0.0"), ("b", "2")), ()),
        ((("a", "1"),), ("b is not installed",)),
        ((("a", "1"), ("b", "2"), ("c", "3")), ("c 3 is installed but not required",)),
        ((("a", "1.1"), ("b", "2")), ("a is 1.1, required is 1",)),
    ],
)
def test_what_is_installed_is_compared_by_name_and_version(
    installed: tuple[tuple[str, str], ...], differences: tuple[str, ...]
) -> None:
    """
    Each package that is missing, left over or another version is one sentence; `1` and `1.0.0` are one version.
    """
    requirements = parse_requirements("a==1\nb==2 ; sys_platform == 'linux'\nd==4 ; sys_platform == 'win32'")

    found = installed_difference(requirements, environment=LINUX, installed=installed)

    assert differences == found


def test_a_wheel_that_travels_with_the_model_is_required() -> None:
    """
    A local package counts as required in the version of its wheel.
    """
    requirements = parse_requirements("a==1")

    found = installed_difference(
        requirements, environment=LINUX, installed=(("a", "1"),), local=(("My_Package", "0.1"),)
    )

    assert ("my-package is not installed",) == found
