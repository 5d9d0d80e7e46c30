"""The licences of installed packages, from their metadata."""

from pathlib import Path

import pytest

from mlflow_uv.payloads.licences import describe, licences_on
from mlflow_uv.payloads.messages.request import DeclaredLicence, DescribeLicences


def installed(folder: Path, name: str, headers: str) -> None:
    """A package as pip and uv leave it."""
    target = folder / f"{name}-1.0.dist-info"
    target.mkdir(parents=True)
    (target / "METADATA").write_text(f"Metadata-Version: 2.4\n{headers}\n")


def test_each_package_says_its_own_licence(tmp_path: Path) -> None:
    """
    The first of a name on the path counts, as for an import; what an uninstallation left behind is no package.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    classifiers = "Classifier: License :: OSI Approved :: MIT License\nClassifier: Topic :: Wine"
    installed(first, "Old.Grape", f"Name: Old.Grape\nVersion: 1.0\nLicense: {'x' * 500}\n{classifiers}")
    installed(first, "yeast", "Name: yeast\nVersion: 2.0\nLicense-Expression: MIT OR ISC")
    installed(first, "left", "")
    installed(second, "yeast", "Name: yeast\nVersion: 1.0\nLicense-Expression: Unlicense")

    found = licences_on((str(first), str(second))).packages

    assert (
        DeclaredLicence(name="old-grape", version="1.0", expression="", text="x" * 200, classifiers=("MIT License",)),
        DeclaredLicence(name="yeast", version="2.0", expression="MIT OR ISC", text="", classifiers=()),
    ) == found


def test_the_packages_of_the_interpreter_are_described() -> None:
    """
    The tests run in an environment with pytest.
    """
    found = {package.name: package for package in describe(DescribeLicences()).packages}

    assert ("MIT", pytest.__version__) == (found["pytest"].expression, found["pytest"].version)
