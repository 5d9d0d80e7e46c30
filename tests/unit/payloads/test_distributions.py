"""The metadata of packages that is read, whatever its encoding."""

from importlib import metadata
from pathlib import Path

import pytest

from mlflow_uv.payloads.conversion.installed_closure import closure_pins
from mlflow_uv.payloads.distributions import headers_of, requirements_of, version_of
from mlflow_uv.payloads.environment import describe
from mlflow_uv.payloads.messages.request import DescribeEnvironment


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which this interpreter looks for packages first."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def installed(folder: Path, name: str, headers: bytes) -> None:
    """A package as pip and uv leave it."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_bytes(b"Metadata-Version: 2.1\n" + headers)


LATIN_1 = "Author: José\n".encode("latin-1")


def test_metadata_that_is_not_utf_8_has_its_version_and_requirements(packages: Path) -> None:
    """
    Name, version and requirements are ASCII; the character that cannot be read is replaced.
    """
    needs = b"Requires-Dist: sour-yeast\nRequires-Dist: barrel; extra == 'old'\n"
    installed(packages, "sweet-grape", b"Name: sweet-grape\nVersion: 1.0\n" + LATIN_1 + needs)
    installed(packages, "sour-yeast", LATIN_1 + b"Name: sour-yeast\nVersion: 2.0\n")
    installed(packages, "mlflow-skinny", b"Name: mlflow-skinny\nVersion: 3.0\n" + LATIN_1)
    (item,) = metadata.distributions(name="sweet-grape", path=[str(packages)])

    assert "Jos\ufffd" == headers_of(item)["Author"]
    assert ["sour-yeast", "barrel; extra == 'old'"] == requirements_of("sweet-grape")
    assert ["sour-yeast==2.0", "sweet-grape==1.0"] == closure_pins(["Sweet_Grape"])
    assert "3.0" == describe(DescribeEnvironment()).mlflow


def test_metadata_in_utf_8_is_read_as_it_is(packages: Path) -> None:
    """
    A package that requires nothing has no requirement.
    """
    installed(packages, "sweet-grape", "Name: sweet-grape\nVersion: 1.0\nAuthor: José\n".encode())
    (item,) = metadata.distributions(name="sweet-grape", path=[str(packages)])

    assert ("José", "1.0", []) == (
        headers_of(item)["Author"],
        version_of("sweet-grape"),
        requirements_of("sweet-grape"),
    )


def test_a_folder_that_an_uninstallation_left_behind_is_no_package(packages: Path) -> None:
    """
    It has no version, which `None` in a list of pins would hide.
    """
    (packages / "sweet_grape-1.0.dist-info").mkdir()

    with pytest.raises(metadata.PackageNotFoundError):
        version_of("sweet-grape")
