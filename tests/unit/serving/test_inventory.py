"""What an environment says of itself, where it is not as it looks."""

import json
import runpy
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.tools.mlflow.model_server import SERVING


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The packages of an environment with one distribution, that has a module, a backport and a folder of data."""
    venv.create(tmp_path / "environment", symlinks=True)
    (packages,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    info = packages / "grape-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grape\nVersion: 1.0\n")
    files = ("grape.py", "dataclasses.py", "grape-data/a.txt", "../../../bin/grape", "grape-1.0.dist-info/METADATA")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for name in files[:2]:
        (packages / name).write_text("")
    return packages


def inventory(packages: Path, **variables: str) -> dict[str, Any]:
    """What it prints, asked like an image."""
    argv = (packages.parents[2] / "bin" / "python", "-I", SERVING / "inventory.py")
    done = subprocess.run(argv, capture_output=True, check=True, env=variables)
    listed: dict[str, Any] = json.loads(done.stdout)
    return listed


def test_what_is_imported_is_what_is_installed(packages: Path) -> None:
    """
    A backport of a standard module, a script and data are no modules that another place could offer.
    """
    assert ([["grape", "1.0"]], []) == (inventory(packages)["installed"], inventory(packages)["elsewhere"])


def test_a_distribution_without_a_record_is_compared_too(packages: Path, tmp_path: Path) -> None:
    """
    As setuptools once installed them, with a list of files of another name.
    """
    info = packages / "grape-1.0.dist-info"
    info.rename(info.with_name("grape.egg-info"))
    info = info.with_name("grape.egg-info")
    (info / "METADATA").rename(info / "PKG-INFO")
    (info / "RECORD").unlink()
    (info / "SOURCES.txt").write_text("grape.py\n")
    (tmp_path / "grape.py").write_text("")
    (packages / "first.pth").write_text(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n")

    listed = inventory(packages)

    assert ([["grape", "1.0"]], [["grape", str(tmp_path / "grape.py")]]) == (listed["installed"], listed["elsewhere"])


def test_metadata_and_lists_that_are_not_utf_8_are_read(packages: Path) -> None:
    """
    Installers take an author's name in Latin-1, and a folder that an uninstallation left behind is no package.
    """
    info = packages / "grape-1.0.dist-info"
    (info / "METADATA").write_bytes(
        "Metadata-Version: 2.1\nAuthor: José\nName: grape\nVersion: 1.0\n".encode("latin-1")
    )
    (info / "RECORD").write_bytes(b"grape.py,,\nm\xfclleri.py,,\n")
    (packages / "plum-1.0.dist-info").mkdir()

    listed = inventory(packages)

    assert ([["grape", "1.0"]], []) == (listed["installed"], listed["elsewhere"])


def test_the_modules_are_those_of_importlib(packages: Path) -> None:
    """
    Names in quotes, with a dot in front, and above the packages.
    """
    record = packages / "grape-1.0.dist-info" / "RECORD"
    lines = ('"must, have.py",,', "./dotted.py,,", "deep/module.so,,", "../../above.py,sha256=x,1", "a.b/c,,")
    record.write_text("".join(f"{line}\n" for line in lines))
    for file in ("must, have.py", "dotted.py", "deep/module.so", "a.b/c"):
        (packages / file).parent.mkdir(exist_ok=True)
        (packages / file).write_text("")
    namespace = runpy.run_path(str(SERVING / "inventory.py"))

    (item,) = metadata.distributions(path=[str(packages)])

    assert {Path(file).parts for file in item.files or () if file.parts} <= {
        tuple(p) for p in namespace["listed"](item)
    }


@pytest.mark.parametrize("file", ["grape.py", "grape/__init__.py"])
def test_a_module_that_another_place_offers_first_is_told(packages: Path, tmp_path: Path, file: str) -> None:
    """
    As a base image does that has a package of the same name where its own standard library lies.
    """
    shadow = tmp_path / "shadow" / file
    shadow.parent.mkdir(parents=True)
    shadow.write_text("")
    (packages / "first.pth").write_text(f"import sys; sys.path.insert(0, {str(tmp_path / 'shadow')!r})\n")

    listed = inventory(packages)["elsewhere"]

    assert [["grape", str(shadow if file == "grape.py" else shadow.parent)]] == listed


def test_the_model_is_where_the_server_would_look(packages: Path, tmp_path: Path) -> None:
    """
    A variable of the base image leads the server to another one.
    """
    (tmp_path / "MLmodel").touch()

    listed = [inventory(packages)["serves"], inventory(packages, AZUREML_MODEL_DIR=str(tmp_path))["serves"]]

    assert ["/opt/model", str(tmp_path)] == listed


def test_it_runs_on_this_python_without_the_packages_of_others(packages: Path) -> None:
    """
    Its Python's version is told to the micro version.
    """
    assert ".".join(map(str, sys.version_info[:3])) == inventory(packages)["python"]
