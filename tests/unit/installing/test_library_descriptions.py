"""Described libraries are examined as their files are, and nothing is read of the machine that examines them."""

import json
from pathlib import Path

import pytest

from mlflow_uv.installing import libraries, library_descriptions
from tests import elf
from tests.unit.installing.test_libraries import HERE, put

SITE = "lib/python3.11/site-packages"
COPY = "scikit_learn.libs/libgomp-a34b3233.so.1.0.0"
VERSIONS = {"libgomp.so.1": ("GOMP_4.0",)}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Packages that find libraries beside them, in another package, on this machine alone, and nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "libout.so.1").write_bytes(elf.library())
    folder = tmp_path / "environment"
    put(folder, "scikit-learn", **{COPY: elf.library("libc.so.6", name="libgomp-a34b3233.so.1", words=("GOMP_4.0",))})
    put(folder, "lightgbm", **{"lightgbm/lib.so": elf.library("libgomp.so.1", versions=VERSIONS)})
    put(
        folder,
        "viewer",
        **{
            "viewer/lib/libown.so.2": elf.library(name="another"),
            "viewer/view.so": elf.library("libown.so.2", "libout.so.1", folders=f"$ORIGIN/lib/../lib:{outside}"),
            "viewer/short.so": elf.library()[:60],
        },
    )
    return folder


def test_described_libraries_lack_and_need_what_their_files_do(environment: Path) -> None:
    """
    Also after JSON; a copy is named by its path, and a library outside of the packages is none for another system.
    """
    described = json.loads(json.dumps(library_descriptions.describe(environment)))

    examined = library_descriptions.examine({"names": sorted(HERE), "libraries": described})

    assert [
        ["lightgbm", "lib.so", "libgomp.so.1", f"{SITE}/{COPY}"],
        ["viewer", "view.so", "libout.so.1", ""],
    ] == examined["lacking"]
    needed = libraries.needed_symbols(list(libraries.libraries_in(environment)), libraries.owners_in(environment))
    assert [(package, *rest) for package, _, *rest in needed] == [(row[0], *row[2:]) for row in examined["needed"]]
    assert [["viewer", "short.so"]] == examined["truncated"]
    rows = libraries.compared(environment, HERE, environment)
    assert rows == [[*row[:3], row[3].rpartition("/")[2]] for row in examined["lacking"]]


def test_what_is_described_is_examined_without_the_files(environment: Path) -> None:
    """
    A copy counts only if it has the versions of symbols that are needed, which its description has.
    """
    described = library_descriptions.describe(environment)
    described[f"{SITE}/{COPY}"]["marks"] = ["GOMP_1.0"]
    for file in environment.rglob("*.so*"):
        file.unlink()

    examined = library_descriptions.examine({"names": sorted(HERE), "libraries": described})

    assert [["libgomp.so.1", ""], ["libout.so.1", ""]] == [row[2:] for row in examined["lacking"]]
