"""Tests which packages of this program's own lock a group installs."""

from pathlib import Path
from typing import cast

from packaging.markers import default_environment

from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.own_group import CONVERSION, RUNTIME, group_pins


def names(root: Path, group: str, python: str = "3.11", **options: tuple[str, ...]) -> dict[str, str]:
    """The versions of the pins by name."""
    lock = read_lockfile((root / "uv.lock").read_bytes())
    environment: dict[str, str] = {
        **cast("dict[str, str]", default_environment()),
        "python_version": python,
        "python_full_version": f"{python}.9",
    }
    pins = group_pins(lock, group, environment, **options)
    assert all(pin.hashes and all(digest.startswith("sha256:") for digest in pin.hashes) for pin in pins)
    return {pin.name: str(pin.version) for pin in pins}


def test_the_runtime_has_no_converter(root: Path) -> None:
    """
    A device needs numpy, onnxruntime and what that needs.
    """
    found = names(root, RUNTIME)

    assert {"numpy", "onnxruntime"} <= found.keys()
    assert {"onnx", "scikit-learn", "skl2onnx"} & found.keys() == set()


def test_packages_of_the_model_and_what_only_they_need_are_left_out(root: Path) -> None:
    """
    The converters work with the scikit-learn of the model, whatever version it has.
    """
    found = names(root, CONVERSION, without=("scikit-learn", "numpy"))

    assert {"onnx", "onnxmltools", "onnxruntime", "skl2onnx"} <= found.keys()
    assert {"numpy", "scikit-learn", "joblib", "threadpoolctl"} & found.keys() == set()


def test_each_python_has_the_version_that_is_locked_for_it(root: Path) -> None:
    """
    The lock has one for Python 3.11 and another one for newer releases.
    """
    assert names(root, RUNTIME)["numpy"] < names(root, RUNTIME, python="3.12")["numpy"]
