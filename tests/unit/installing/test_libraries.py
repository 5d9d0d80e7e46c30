"""Which shared libraries are missing, and which of them another package brings."""

import _ctypes
import os
import platform
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_uv.installing import libraries, library_descriptions
from tests import elf

HERE = {"libc.so.6", "libm.so.6"}
VERSIONS = ("GOMP_1.0", "GOMP_4.0")
HERE_IS = platform.machine()


def put(environment: Path, package: str, **files: bytes) -> Path:
    """Put the files of a package into an environment; where packages lie."""
    packages = environment / "lib" / "python3.11" / "site-packages"
    record = packages / f"{package}-1.0.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("".join(f"{name},,\n" for name in files))
    for name, data in files.items():
        path = packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return packages


def names(environment: Path) -> list[tuple[str, str]]:
    """What is lacking, by the file that needs it."""
    return [
        (library.path.name, name)
        for library, name in libraries.missing(list(libraries.libraries_in(environment)), HERE, Path("/"))
    ]


def needed_in(environment: Path) -> list[list[str]]:
    """What the packages of an environment need of their system."""
    return libraries.needed_symbols(list(libraries.libraries_in(environment)), libraries.owners_in(environment))


def truncated_in(environment: Path) -> list[list[str]]:
    """The package and the name of each file that ends too early."""
    described = sorted(library_descriptions.describe(environment).items())
    return [[each["package"], Path(path).name] for path, each in described if each["truncated"]]


@pytest.mark.parametrize(("order", "wide"), [("<", True), ("<", False), (">", True), (">", False)])
def test_an_elf_file_is_read_in_every_shape(tmp_path: Path, order: str, wide: bool) -> None:
    """
    Of either width and byte order: what it needs, its own name, and where it looks.
    """
    file = tmp_path / "a.so"
    needed = ("libc.so.6", "libx.so.1")
    file.write_bytes(elf.library(*needed, name="liba.so.2", folders="$ORIGIN:/x", order=order, wide=wide))

    found = libraries.read(file)

    assert found is not None
    assert (("libc.so.6", "libx.so.1"), "liba.so.2", ("$ORIGIN", "/x")) == (found.needed, found.name, found.folders)


def test_a_real_library_is_read() -> None:
    """
    The one of this interpreter that talks to the C library.
    """
    found = libraries.read(Path(_ctypes.__file__))

    assert found is not None
    assert any(name.startswith("libc.") for name in found.needed)


@example(cut=0, at=39, value=128)  # an offset that no file can have
@given(cut=st.integers(0, 500), at=st.integers(0, 500), value=st.integers(0, 255))
def test_a_broken_file_is_no_library(tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, value: int) -> None:
    """
    Whatever it is cut to or changed into, nothing is raised.
    """
    whole = elf.library("libc.so.6", name="liba.so", versions={"libc.so.6": ("GLIBC_2.4",)})
    data = bytearray(whole)[: 500 - cut]
    if at < len(data):
        data[at] = value
    file = tmp_path_factory.mktemp("elf") / "a.so"
    file.write_bytes(data)

    found = libraries.read(file)

    assert found is None or isinstance(found, libraries.Library)


def test_what_nobody_has_is_lacking(tmp_path: Path) -> None:
    """
    What the system has, what lies where the library looks, and what another package brings under its own name are not.
    """
    needs = ("libc.so.6", "libGL.so.1", "libown-1234abcd.so.1", "libother.so.3", "libcuda.so.1")
    files = {
        "viewer/_viewer.so": elf.library(*needs, folders="$ORIGIN/../viewer.libs"),
        "viewer.libs/libown-1234abcd.so.1": elf.library(),
        "other/lib.so": elf.library(name="libother.so.3"),
        "viewer/text.so": b"not a library",
    }
    put(tmp_path, "viewer", **files)

    assert [("_viewer.so", "libGL.so.1")] == names(tmp_path)


def test_a_folder_that_is_quoted_in_braces_is_its_own(tmp_path: Path) -> None:
    """
    `${ORIGIN}` is the other way to write it.
    """
    library = elf.library("libown.so.1", folders="/nowhere:${ORIGIN}/lib")
    put(tmp_path, "viewer", **{"viewer/_viewer.so": library, "viewer/lib/libown.so.1": b""})

    assert [] == names(tmp_path)


def boosted(environment: Path, *, versions: tuple[str, ...] = VERSIONS) -> Path:
    """LightGBM, and a scikit-learn that brings the library that it lacks."""
    booster, name = elf.library("libgomp.so.1", words=VERSIONS), "libgomp-a34b3233.so.1.0.0"
    put(environment, "lightgbm", **{"lightgbm/lib/lib_lightgbm.so": booster})
    copy = {f"scikit_learn.libs/{name}": elf.library(name=name, words=versions)}
    return put(environment, "scikit_learn", **copy) / "scikit_learn.libs" / name


def test_a_compilers_library_is_linked_from_a_package_that_brings_it(tmp_path: Path, capsys) -> None:
    """
    It is linked where the loader looks last, with the one date, and the folder looks as it did.
    """
    copy, layer = boosted(tmp_path / "venv"), tmp_path / "layer"
    folder = Path(layer, libraries.libc_folder().lstrip("/"))
    folder.mkdir(parents=True)
    os.utime(folder, (7, 7))

    libraries.link_copies(tmp_path / "venv", str(layer), here=HERE)

    link = folder / "libgomp.so.1"
    assert (str(copy), libraries.FILE_DATE_S, 7) == (
        str(link.readlink()),
        link.lstat().st_mtime,
        folder.stat().st_mtime,
    )
    assert f"libgomp.so.1 is linked to the copy of scikit-learn: {copy}\n" == capsys.readouterr().err


def test_it_is_linked_for_another_architecture_where_that_looks(tmp_path: Path) -> None:
    """
    The folder has the architecture in its name, where it has one at all.
    """
    boosted(tmp_path / "venv")
    own, other = platform.machine(), "riscv64"

    libraries.link_copies(tmp_path / "venv", str(tmp_path / "layer"), other, here=HERE)

    found = [path.parent for path in (tmp_path / "layer").rglob("libgomp.so.1")]
    expected = Path(tmp_path / "layer", libraries.libc_folder().replace(own, other).lstrip("/"))
    assert ([expected] if own in libraries.libc_folder() else []) == found


def test_an_older_library_is_not_linked(tmp_path: Path, capsys) -> None:
    """
    Without a version that is asked for, the loader would refuse it.
    """
    boosted(tmp_path / "venv", versions=("GOMP_1.0",))

    libraries.link_copies(tmp_path / "venv", str(tmp_path / "layer"), here=HERE)

    assert [] == list((tmp_path / "layer").rglob("*"))
    assert "warning: libgomp.so.1 is missing, which lightgbm is linked with\n" == capsys.readouterr().err


def test_nothing_else_is_linked(tmp_path: Path) -> None:
    """
    Of a library that is no compiler's nobody knows whether one for another package will do.
    """
    name = "libpq-0123abcd.so.5.17"
    files = {"psycopg2/_psycopg.so": elf.library("libpq.so.5"), f"psycopg2_binary.libs/{name}": elf.library(name=name)}
    put(tmp_path / "venv", "psycopg2", **files)

    libraries.link_copies(tmp_path / "venv", str(tmp_path / "layer"), here=HERE)

    assert [] == list((tmp_path / "layer").rglob("*"))


def test_a_configuration_that_includes_itself_ends(tmp_path: Path) -> None:
    """
    The folders that it lists are told once for each depth, and no more.
    """
    file = tmp_path / "ld.so.conf"
    file.write_text(f"# comment\n/opt/lib\ninclude {tmp_path}/*.conf\n")

    assert {"/opt/lib"} == set(libraries.configured_in(file))


def test_the_newest_c_library_that_a_package_needs_is_listed(tmp_path: Path) -> None:
    """
    By number, not as text, of the file that needs it; a package without versions has a row for its architecture.
    """
    versions = {"libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.100", "GLIBC_PRIVATE"), "libm.so.6": ("GLIBC_2.36",)}
    old = elf.library("libc.so.6", versions={"libc.so.6": ("GLIBC_2.4",)}, words=("GLIBC_2.200",))
    put(tmp_path / "y", "pear", **{"a.so": old, "pear.so": elf.library("libc.so.6", versions=versions)})
    put(tmp_path / "x", "pure", **{"pure.so": elf.library("libc.so.6")})

    found = needed_in(tmp_path / "y"), needed_in(tmp_path / "x")

    expected = [["pear", "a.so", HERE_IS, "", ""], ["pear", "pear.so", HERE_IS, "GLIBC", "2.100"]]
    assert (expected, [["pure", "pure.so", HERE_IS, "", ""]]) == found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_a_version_that_may_be_absent_is_not_needed(tmp_path: Path, order: str, *, wide: bool) -> None:
    """
    The loader passes over one that the linker marked as weak.
    """
    versions = {"libm.so.6": ("GLIBC_2.27",), "libc.so.6": ("GLIBC_2.38", "GLIBC_2.17")}
    library = elf.library("libc.so.6", versions=versions, weak=("GLIBC_2.38",), order=order, wide=wide)
    put(tmp_path, "pear", **{"pear.so": library})

    assert ["2.27"] == [row[4] for row in needed_in(tmp_path) if row[3]]


@pytest.mark.parametrize(
    ("machine", "name"),
    [("aarch64", "aarch64"), ("x86_64", "x86_64"), ("riscv64", "riscv64"), ("other", "machine 258")],
)
def test_the_architecture_of_each_file_is_listed(tmp_path: Path, machine: str, name: str) -> None:
    """
    A package may have files for several; what those of another one need is not what this one needs.
    """
    versions = {"libc.so.6": ("GLIBC_2.38",)}
    put(
        tmp_path,
        "pear",
        **{"a.so": elf.library(machine=machine, versions=versions), "b.so": elf.library(machine="s390x")},
    )

    expected = {(name, ""), (name, "GLIBC"), ("s390x", "")}
    assert expected == {(row[2], row[3]) for row in needed_in(tmp_path)}


def test_the_newest_cxx_library_is_that_of_the_system_unless_a_package_has_one(tmp_path: Path) -> None:
    """
    The C library is always that of the system: the loader has it before any file of a package.
    """
    versions = {
        "libstdc++.so.6": ("GLIBCXX_3.4.9", "GLIBCXX_3.4.30", "CXXABI_1.3.13"),
        "libc.so.6": ("GLIBC_2.4",),
    }
    linked = elf.library("libstdc++.so.6", "libc.so.6", versions=versions)
    put(tmp_path / "one", "pear", **{"pear.so": linked})
    put(tmp_path / "two", "pear", **{"pear.so": linked, "libstdc++.so.6": elf.library(), "libc.so.6": elf.library()})

    system, own = ({row[3]: row[4] for row in needed_in(tmp_path / name) if row[3]} for name in ("one", "two"))

    assert ({"CXXABI": "1.3.13", "GLIBC": "2.4", "GLIBCXX": "3.4.30"}, {"GLIBC": "2.4"}) == (system, own)


def test_what_a_file_needs_of_the_loader_is_listed_by_its_name(tmp_path: Path) -> None:
    """
    These names have no order; one that every C library has is left out, as is a longer word that contains one.
    """
    names = ("GLIBC_2.2.5", "GLIBC_ABI_DT_RELR", "GLIBC_PRIVATE", "GLIBC_TUNABLES", "my_GLIBC_ABI_GNU2_TLS")
    put(tmp_path, "pear", **{"pear.so": elf.library("libc.so.6", versions={"libc.so.6": names})})

    found = [row[3:] for row in needed_in(tmp_path)]

    assert [["", ""], ["GLIBC", "2.2.5"], ["GLIBC_ABI_DT_RELR", ""]] == found


def test_a_real_library_names_the_c_library_that_it_needs(tmp_path: Path) -> None:
    """
    A module of this interpreter, or the interpreter itself.
    """
    source = Path(_ctypes.__file__)
    put(tmp_path, "ctypes", **{"_ctypes.so": source.read_bytes()})

    (_, *empty), (package, _, machine, symbols, version) = needed_in(tmp_path)

    assert ("ctypes", platform.machine(), "GLIBC", ["", ""]) == (package, machine, symbols, empty[2:])
    assert (2, 2) <= tuple(map(int, version.split("."))) <= tuple(map(int, platform.libc_ver()[1].split(".")))


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_file_that_ends_anywhere_before_its_content_does_is_truncated(
    tmp_path: Path, order: str, *, wide: bool
) -> None:
    """
    In its first bytes, in its list of segments or in the last of them; whole files and other ones are not.

    The text of a linker script is another one, and an empty file is one by its name.
    """
    whole = elf.library("libc.so.6", versions={"libc.so.6": ("GLIBC_2.4",)}, order=order, wide=wide)
    files = {f"cut{size:04}.so": whole[:size] for size in range(len(whole))}
    files |= {"empty.so.1.2": b"", "start.sow": whole[:3]}
    others = {
        "whole.so": whole,
        "longer.so": whole + b"x",
        "text.so": b"GROUP ( libc.so.6 )",
        "letter.so": b"x",
        "empty.source": b"",
        "cut.txt": whole[:90],
    }
    put(tmp_path, "pear", **files, **others, **{"pear.so.debug": whole[:-1]})

    found = truncated_in(tmp_path)

    assert [["pear", name] for name in sorted(files)] == found


def test_a_real_library_is_truncated_without_its_last_segment_alone(tmp_path: Path) -> None:
    """
    No loader reads section headers, which are at its end.
    """
    data = Path(_ctypes.__file__).read_bytes()
    (tables,) = struct.unpack_from("<Q", data, 40)
    put(tmp_path, "ctypes", **{"whole.so": data, "sections.so": data[:tables], "start.so": data[:4096]})

    assert [["ctypes", "start.so"]] == truncated_in(tmp_path)


def test_a_pipe_that_is_named_like_a_library_is_not_waited_for(tmp_path: Path) -> None:
    """
    Nor one in the place of a RECORD; the libraries beside them are found.
    """
    packages = put(tmp_path, "fig", **{"fig/a.so": elf.library("libx.so.1")})
    os.mkfifo(packages / "fig" / "b.so")
    (packages / "grape-1.0.dist-info").mkdir()
    os.mkfifo(packages / "grape-1.0.dist-info" / "RECORD")

    assert [("a.so", "libx.so.1")] == names(tmp_path)
    assert [] == truncated_in(tmp_path)
    assert "fig" == libraries.owner(tmp_path, packages / "fig" / "a.so")
