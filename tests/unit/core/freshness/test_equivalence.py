"""Two spellings of a range or marker are equivalent exactly if they accept the same versions and environments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from mlflow_uv.core.freshness.equivalence import environments, python_range, same_pythons, same_range
from mlflow_uv.core.lock.markers import holds, readable

NUMBERS = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.builds(
    "{}{}".format, NUMBERS, st.sampled_from(["", "", "", "a1", "rc2", ".dev1", ".post1", ".post0", "+cpu"])
)
PLAIN = st.builds("{}{}".format, st.sampled_from([">=", "<=", ">", "<", "==", "!=", "=="]), NUMBERS)
WILD = st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), NUMBERS)
COMPATIBLE = st.builds("~={}.{}".format, st.integers(0, 4), NUMBERS)
RANGES = st.lists(PLAIN | WILD | COMPATIBLE, max_size=3).map(lambda parts: SpecifierSet(",".join(parts)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (">=1.0,<2", "<2,>=1.0"), (">=1.0", ">=1"), ("~=1.4.2", ">=1.4.2,==1.4.*"),
        ("==1.*", "==1.*,!=2"), ("===1.0", "===1.0"),
    ],
)  # fmt: skip
def test_the_same_range_in_other_words_is_the_same(one: str, other: str) -> None:
    """
    Order, zeros, and what follows from the rest.
    """
    found = same_range(SpecifierSet(one), SpecifierSet(other))

    assert found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (">=1.0", ">1.0"), (">=1.0,<2", ">=1.0,<=2"), ("~=1.4.2", "~=1.4"), ("==1.0", "==1.0.1"), ("==1.0", "==1.*"),
        ("", "<9"), ("!=1.5", ""), (">=1.0", ">=1.0a1"), ("==1.0", "==1.0+cpu"), (">=1,<1.20", ">=1,<1.21"),
        ("<1,>0a1", "<1,>0a1,>=0"), ("===1.0", "==1.0"),
    ],
)  # fmt: skip
def test_another_range_that_looks_like_it_is_not_the_same(one: str, other: str) -> None:
    """
    One version that only one of them admits is enough.
    """
    found = same_range(SpecifierSet(one), SpecifierSet(other))

    assert not found


@given(RANGES, RANGES, st.booleans(), st.lists(VERSIONS, min_size=1, max_size=20))
def test_ranges_that_are_the_same_admit_the_same_versions(
    one: SpecifierSet, other: SpecifierSet, narrower: bool, versions: list[str]
) -> None:
    """
    No version that anybody comes up with tells them apart; a range and what it implies are often the same.
    """
    other = one & other if narrower else other

    same = same_range(one, other)

    apart = [
        version
        for version in versions
        if one.contains(version, prereleases=True) != other.contains(version, prereleases=True)
    ]
    assert not (same and apart)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (">=3.12,<3.13", "==3.12.*", True), (">=3.9", ">=3.9.0", True), (">=3.9,<4", ">=3.9", False),
        (">=3.9", ">=3.10", False), ("~=3.9", ">=3.9,<4", True), (">=3.9,!=3.9.7", ">=3.9", False),
        ("==3.12.*", "==3.12.1", False),
    ],
)  # fmt: skip
def test_a_range_of_pythons_is_one_of_releases(one: str, other: str, same: bool) -> None:
    """
    uv writes one for the other; a development version between them is nobody's Python.
    """
    found = same_pythons(SpecifierSet(one), SpecifierSet(other))

    assert same is found


def alike(one: str, other: str, python: str = ">=3.9") -> bool:
    """Whether two markers hold in the same environments."""
    return all(
        holds(one, environment) == holds(other, environment)
        for environment in environments((one, other), SpecifierSet(python))
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sys_platform == 'linux'", "'linux' == sys_platform"),
        ("sys_platform == 'win32'", "platform_system == 'Windows'"),
        ("python_version >= '3.10'", "python_full_version >= '3.10'"),
        ("python_version < '3.10' or python_version >= '3.10'", "os_name == 'nt' or os_name != 'nt'"),
        ("python_version >= '3.8'", "python_version >= '3.7'"),
        ("platform_python_implementation == 'PyPy'", "implementation_name == 'pypy'"),
        ("sys_platform in 'linux darwin'", "sys_platform == 'linux' or sys_platform == 'darwin'"),
        ("python_version == '3.11'", "python_version >= '3.11' and python_version < '3.12'"),
    ],
)
def test_the_same_marker_in_other_words_is_the_same(one: str, other: str) -> None:
    """
    On the Pythons of the project, and with the names that a platform has.
    """
    found = alike(one, other)

    assert found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sys_platform == 'linux'", "sys_platform != 'win32'"),
        ("python_version > '3.10'", "python_version >= '3.10'"),
        ("python_full_version >= '3.10.2'", "python_full_version >= '3.10.3'"),
        ("platform_machine == 'x86_64'", "platform_machine == 'aarch64'"),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", "sys_platform == 'linux'"),
        ("platform_release >= '5'", "platform_release >= '6'"),
        ("os_name == 'posix'", "sys_platform == 'linux'"),
    ],
)
def test_another_marker_that_looks_like_it_is_not_the_same(one: str, other: str) -> None:
    """
    One environment is enough.
    """
    found = alike(one, other)

    assert not found


EQUALS, BELOW, MINOR = st.sampled_from(["==", "!="]), st.sampled_from(["<", ">="]), st.integers(9, 13)
COMPARISONS = st.one_of(
    st.builds("sys_platform {} '{}'".format, EQUALS, st.sampled_from(["linux", "win32", "darwin"])),
    st.builds("python_version {} '3.{}'".format, BELOW | EQUALS, MINOR),
    st.builds("python_full_version {} '3.{}.{}'".format, BELOW, MINOR, st.integers(0, 3)),
    st.builds("platform_machine {} '{}'".format, EQUALS, st.sampled_from(["x86_64", "arm64"])),
)
MARKERS = st.recursive(
    COMPARISONS, lambda one: st.builds("({} {} {})".format, one, st.sampled_from(["and", "or"]), one), max_leaves=4
)


@given(
    MARKERS, MARKERS, st.integers(9, 14), st.integers(0, 5), st.sampled_from(["linux", "win32", "darwin"]), st.data()
)
def test_markers_that_are_the_same_hold_in_the_same_places(
    one: str, other: str, minor: int, micro: int, platform: str, data: st.DataObject
) -> None:
    """
    No environment that anybody comes up with tells them apart.
    """
    machine = data.draw(st.sampled_from(["x86_64", "arm64", "riscv64"]))
    place = {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.{micro}",
        "sys_platform": platform,
        "platform_machine": machine,
    }

    same = alike(one, other)

    assert not same or holds(one, place) == holds(other, place)


def test_an_extra_is_no_part_of_the_environment() -> None:
    """
    It is asked for, and a marker may name it.
    """
    marker = "extra == 'fast' and python_version >= '3'"

    found = [holds(marker, environment, "fast") for environment in environments((marker,), SpecifierSet(">=3"))]

    assert {True} == set(found)


def test_what_cannot_be_read_is_said_to_be_so() -> None:
    """
    A marker that is none, and a range that is none: the one is told, the other admits everything.
    """
    markers = [readable("sys_platform is 'linux'"), readable("os_name == 'nt'"), readable("")]

    found = python_range("three")

    assert ([False, True, True], SpecifierSet()) == (markers, found)
