"""Tests which packages of this program's own lock a group installs."""

from pathlib import Path
from typing import cast

from packaging.markers import default_environment

from mlflow_uv.core.conversion.formats import ONNX, TFLITE
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.own_group import group_pins


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
    found = names(root, ONNX.runtime_group)

    assert {"numpy", "onnxruntime"} <= found.keys()
    assert {"onnx", "scikit-learn", "skl2onnx"} & found.keys() == set()


def test_packages_of_the_model_and_what_only_they_need_are_left_out(root: Path) -> None:
    """
    The converters work with the scikit-learn of the model, whatever version it has.
    """
    found = names(root, ONNX.conversion_group, without=("scikit-learn", "numpy"))

    assert {"onnx", "onnxmltools", "onnxruntime", "skl2onnx"} <= found.keys()
    assert {"numpy", "scikit-learn", "joblib", "threadpoolctl"} & found.keys() == set()


def test_each_python_has_the_version_that_is_locked_for_it(root: Path) -> None:
    """
    The lock has one for Python 3.11 and another one for newer releases.
    """
    assert names(root, ONNX.runtime_group)["numpy"] < names(root, ONNX.runtime_group, python="3.12")["numpy"]


def test_the_tensorflow_of_a_model_replaces_ours_with_what_only_it_needs(root: Path) -> None:
    """
    Otherwise two packages would have the same files.
    """
    group, ours = TFLITE.conversion_group, ("tensorflow-cpu", "tensorflow")

    whole, found = (names(root, group, without=there) for there in ((), ours))

    assert {"tensorflow-cpu", "tensorflow"} & whole.keys()
    assert {"tensorflow-cpu", "tensorflow", "keras", "h5py"} & found.keys() == set()
    assert {"ai-edge-litert", "numpy"} <= found.keys()
