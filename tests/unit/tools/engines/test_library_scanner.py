"""Missing libraries of unpacked wheels are found by the program that also checks images."""

import os
import platform
import sys
from dataclasses import replace
from pathlib import Path

from mlflow_uv.command.host import Host
from mlflow_uv.tools.engines.library_scanner import CompiledCode, LibraryScanner, NeededSymbols, TruncatedFile
from mlflow_uv.tools.system.process import SystemRunner
from tests import elf


def test_libraries_of_unpacked_wheels_are_compared_with_a_list(tmp_path: Path) -> None:
    """
    What a package has itself, and what the list has, is not missing.
    """
    packages = tmp_path / "packages"
    record = packages / "viewer-1.0.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("view.so,,\nlibown.so.1,,\n")
    (packages / "view.so").write_bytes(elf.library("libc.so.6", "libown.so.1", "libplanted.so.9"))
    (packages / "libown.so.1").write_bytes(elf.library(name="libown.so.1"))
    scanner = LibraryScanner(SystemRunner(), host=Host.of(os.environ, folder=tmp_path, python=Path(sys.executable)))

    names = scanner.system_names()
    missing = scanner.compare(packages, names, elsewhere=False)

    assert (True, (("viewer", "view.so", "libplanted.so.9", ""),)) == ("libc.so.6" in names, missing)
    assert () == scanner.compare(packages, (*names, "libplanted.so.9"), elsewhere=False)


def test_files_of_this_machine_say_nothing_about_another_system(tmp_path: Path) -> None:
    """
    A library may name a folder of the machine where it was built; what is beside it in its package counts anywhere.
    """
    packages, machine = tmp_path / "packages", tmp_path / "machine"
    packages.mkdir()
    machine.mkdir()
    (machine / "libplanted.so.9").write_bytes(elf.library())
    (packages / "libown.so.1").write_bytes(elf.library(name="other"))
    folders = f"$ORIGIN:{machine}:{packages}/../machine"
    (packages / "view.so").write_bytes(elf.library("libplanted.so.9", "libown.so.1", folders=folders))
    scanner = LibraryScanner(SystemRunner(), host=Host.of(os.environ, folder=tmp_path, python=Path(sys.executable)))

    here, elsewhere = (scanner.compare(packages, (), elsewhere=elsewhere) for elsewhere in (False, True))

    assert ((), ["libplanted.so.9"]) == (here, [library for _, _, library, _ in elsewhere])


def test_needed_symbols_have_a_version_or_are_features(tmp_path: Path) -> None:
    """
    As a library with packed relocations names both; a file that is cut off is listed apart.
    """
    packages = tmp_path / "pear"
    packages.mkdir()
    (packages / "short.so").write_bytes(elf.library()[:60])
    (packages / "pear.so").write_bytes(elf.library(versions={"libc.so.6": ("GLIBC_2.36", "GLIBC_ABI_DT_RELR")}))
    scanner = LibraryScanner(SystemRunner(), host=Host.of(os.environ, folder=tmp_path, python=Path(sys.executable)))

    found = scanner.examine(scanner.describe(packages), ())

    needed = {"": (), "GLIBC": (2, 36), "GLIBC_ABI_DT_RELR": ()}
    file = NeededSymbols(package="pear", file="pear.so", machine=platform.machine(), symbols="", version=())
    rows = tuple(replace(file, symbols=name, version=needed[name]) for name in needed)
    assert CompiledCode(needed=rows, truncated=(TruncatedFile(package="pear", file="short.so"),)) == found.code
