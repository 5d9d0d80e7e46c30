"""Tests that the pins of a converted model name everything that it installs, in a real environment."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.payloads.conversion.installed_closure import closure_pins
from tests.conversions import run_in


def test_what_a_package_needs_is_pinned_and_nothing_else() -> None:
    """
    Only what pytest needs here: a package that is installed for other reasons is left out.
    """
    pins = closure_pins(["Pytest"])

    names = {pin.partition("==")[0] for pin in pins}
    assert f"pytest=={importlib.metadata.version('pytest')}" in pins
    assert {"iniconfig", "pluggy", "packaging"} <= names
    assert "hypothesis" not in names
    assert sorted(pins) == pins


def test_a_package_that_is_missing_is_an_error() -> None:
    """
    A name that nothing here has.
    """
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        closure_pins(["no-such-package-here"])


@pytest.mark.extended
@pytest.mark.installs
def test_the_pins_are_what_an_installer_selects(converting: Path, tmp_path: Path) -> None:
    """
    uv resolves the names, with each version fixed by the environment, to the same packages.
    """
    uv, constraints = Path(sys.executable).parent / "uv", tmp_path / "constraints.txt"
    program = 'pins = importlib.import_module("payloads.conversion.installed_closure").closure_pins(["mlflow", "onnx"])'
    found = run_in(converting, f"{program}; print(json.dumps(pins))")
    listing = (uv, "pip", "list", "--python", converting, "--format=freeze")
    constraints.write_text(subprocess.run(listing, capture_output=True, text=True, check=True).stdout)
    resolving = (uv, "pip", "compile", "-", "--no-header", "--no-annotate", "-c", constraints, "--python", converting)

    resolved = subprocess.run(
        resolving, input="mlflow\nonnx\n", capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert 0 == resolved.returncode, resolved.stderr
    assert resolved.stdout.split() == found
