"""The markers and tags of the targets are those of the platforms that they name."""

import platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import default_environment
from packaging.tags import sys_tags

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lock.lockfile import NotALock
from mlflow_uv.core.lock.targets import (
    GLIBC,
    MACOS,
    NEWEST_MINOR,
    OLDEST_MINOR,
    Markers,
    System,
    Target,
    machine_name,
    parse_target,
    serving_target,
)


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Every target that can be named."""
    system = draw(st.sampled_from(System))
    musl = system is System.LINUX and draw(st.booleans())
    small = st.integers(0, 99)
    levels = {
        System.LINUX: st.tuples(st.just(1 if musl else GLIBC[0]), small),
        System.MACOS: st.tuples(st.integers(10, 99), small),
        System.WINDOWS: st.none(),
    }
    return Target(
        system=system,
        machine=machine_name(draw(st.sampled_from(("x86_64", "arm64"))), system),
        minor=draw(st.integers(OLDEST_MINOR, NEWEST_MINOR)),
        patch=draw(st.none() | small),
        level=draw(levels[system]),
        musl=musl,
    )


@given(target=targets())
def test_a_target_is_read_as_it_is_written(target: Target) -> None:
    """
    Its name says all of it.
    """
    name = str(target)

    found = parse_target(name)

    assert (target, name) == (found, str(found))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("linux-x86_64-glibc2.36-py3.11", "linux-x86_64-py3.11"),
        ("Linux-AMD64-py3.11", "linux-x86_64-py3.11"),
        ("linux-arm64-py3.12", "linux-aarch64-py3.12"),
        ("macos-aarch64-py3.12", "macos-arm64-py3.12"),
        ("macos13.0-arm64-py3.12", "macos-arm64-py3.12"),
        ("macos14-arm64-py3.12", "macos14.0-arm64-py3.12"),
        ("windows-amd64-py3.11.4", "windows-x86_64-py3.11.4"),
        ("linux-x86_64-musl1.2-py3.12", "linux-x86_64-musl1.2-py3.12"),
    ],
)
def test_other_words_for_the_same_are_understood(written: str, name: str) -> None:
    """
    Machines have two names, and what is the default need not be said.
    """
    found = parse_target(written)

    assert name == str(found)


@pytest.mark.parametrize(
    "written",
    [
        "", "linux", "linux-x86_64", "py3.11", "linux-x86_64-3.11", "linux-riscv64-py3.11", "beos-x86_64-py3.11",
        "linux-x86_64-py2.7", "linux-x86_64-py3.7", "linux-x86_64-py3.99", "linux-x86_64-py3.13t",
        "linux36-x86_64-py3.11", "windows-x86_64-glibc2.28-py3.11",
        "macos-arm64-musl1.2-py3.11", "linux-x86_64-glibc3.0-py3.11",
        "linux-x86_64-musl2.0-py3.11", "linux-x86_64-py3.11-extra", "linux-x86_64-glibc2.36\n-py3.11",
    ],
)  # fmt: skip
def test_what_is_no_target_shows_how_one_is_written(written: str) -> None:
    """
    The grammar is the fix.
    """
    with pytest.raises(BadInput) as caught:
        parse_target(written)

    assert "linux-x86_64-py3.11" in caught.value.fix


def here() -> Target:
    """The machine that runs this."""
    name, level = platform.libc_ver()
    assert name == "glibc"
    version = ".".join(map(str, sys.version_info[:3]))
    return parse_target(f"linux-{platform.machine()}-glibc{level}-py{version}")


def test_the_tags_of_this_machine_are_what_it_says_itself() -> None:
    """
    The installer on a target asks its own interpreter; what we say of it from afar is the same.
    """
    expected = frozenset(map(str, sys_tags()))

    found = here().tags

    assert expected == found


def test_the_markers_of_this_machine_are_what_it_says_itself() -> None:
    """
    All but the kernel, which nobody knows of a target.
    """
    unknown = {"platform_release", "platform_version"}
    expected = {name: value for name, value in default_environment().items() if name not in unknown}

    found = {name: value for name, value in here().environment.items() if name not in {"extra", *unknown}}

    assert expected == found


@pytest.mark.parametrize(
    ("name", "tag", "fits"),
    [
        ("linux-x86_64-py3.11", "cp311-cp311-manylinux_2_36_x86_64", True),
        ("linux-x86_64-py3.11", "cp311-cp311-manylinux_2_37_x86_64", False),
        ("linux-x86_64-glibc2.17-py3.11", "cp311-cp311-manylinux2014_x86_64", True),
        ("linux-x86_64-glibc2.17-py3.11", "cp311-cp311-manylinux_2_28_x86_64", False),
        ("linux-x86_64-py3.11", "cp311-cp311-manylinux1_x86_64", True),
        ("linux-aarch64-py3.11", "cp311-cp311-manylinux2014_aarch64", True),
        ("linux-x86_64-py3.11", "cp312-cp312-manylinux2014_x86_64", False),
        ("linux-x86_64-py3.11", "cp39-abi3-manylinux2014_x86_64", True),
        ("linux-x86_64-py3.11", "cp312-abi3-manylinux2014_x86_64", False),
        ("linux-x86_64-py3.11", "cp39-cp39-manylinux2014_x86_64", False),
        ("linux-x86_64-py3.13", "cp313-cp313t-manylinux2014_x86_64", False),
        ("linux-x86_64-py3.11", "cp311-cp311-musllinux_1_1_x86_64", False),
        ("linux-x86_64-musl1.2-py3.11", "cp311-cp311-musllinux_1_1_x86_64", True),
        ("linux-x86_64-musl1.1-py3.11", "cp311-cp311-musllinux_1_2_x86_64", False),
        ("linux-x86_64-musl1.2-py3.11", "cp311-cp311-manylinux2014_x86_64", False),
        ("macos-arm64-py3.11", "cp311-cp311-macosx_11_0_arm64", True),
        ("macos-arm64-py3.11", "cp311-cp311-macosx_14_0_arm64", False),
        ("macos14-arm64-py3.11", "cp311-cp311-macosx_14_0_arm64", True),
        ("macos-arm64-py3.11", "cp311-cp311-macosx_10_9_universal2", True),
        ("macos-arm64-py3.11", "cp311-cp311-macosx_10_9_x86_64", False),
        ("macos-x86_64-py3.11", "cp311-cp311-macosx_10_9_x86_64", True),
        ("windows-x86_64-py3.11", "cp311-cp311-win_amd64", True),
        ("windows-arm64-py3.11", "cp311-cp311-win_amd64", False),
        ("windows-arm64-py3.11", "cp311-cp311-win_arm64", True),
        ("windows-x86_64-py3.11", "py3-none-any", True),
    ],
)  # fmt: skip
def test_tags_follow_platform_and_python(name: str, tag: str, fits: bool) -> None:
    """
    The rules of PEP 425, 600 and 656, and of Apple's and Microsoft's systems.
    """
    found = parse_target(name).tags

    assert fits is (tag in found)


@pytest.mark.parametrize(
    ("marker", "active", "holds"),
    [
        ("", (), True),
        ("sys_platform == 'linux' and platform_machine == 'aarch64'", (), True),
        ("sys_platform == 'win32'", (), False),
        ("python_full_version >= '3.11.5'", (), True),
        ("python_full_version < '3.12'", (), True),
        ("platform_release >= '20'", (), False),
        ("extra == 'extra-4-wine-cpu'", (), False),
        ("extra == 'extra-4-wine-cpu'", ("extra-4-wine-cpu",), True),
        ("extra != 'extra-4-wine-cpu'", ("extra-4-wine-cpu",), False),
        ("extra == 'extra-4-wine-a' and extra == 'extra-4-wine-b'", ("extra-4-wine-a",), False),
        ("extra == 'extra-4-wine-a' and extra == 'extra-4-wine-b'", ("extra-4-wine-a", "extra-4-wine-b"), True),
        ("os_name == 'nt' or (extra == 'group-4-wine-a' and extra != 'extra-4-wine-b')", ("group-4-wine-a",), True),
    ],
)  # fmt: skip
def test_markers_hold_on_the_target_and_for_what_is_active(marker: str, active: tuple[str, ...], holds: bool) -> None:
    """
    Several extras may be active at once: that is how uv writes what excludes each other.
    """
    markers = Markers(parse_target("linux-aarch64-py3.11"))

    found = markers.hold(marker, frozenset(active))

    assert holds is found


def test_a_malformed_marker_is_no_lock() -> None:
    """
    It is said which one.
    """
    markers = Markers(parse_target("linux-aarch64-py3.11"))

    with pytest.raises(NotALock, match="'sys_platform is linux' is malformed"):
        markers.hold("sys_platform is linux")


@pytest.mark.parametrize(
    ("machine", "requires_python", "pinned", "name"),
    [
        ("x86_64", ">=3.11", "", "linux-x86_64-py3.11"),
        ("arm64", ">=3.9.2, <3.15", "", "linux-aarch64-py3.9"),
        ("aarch64", "==3.12.*", "", "linux-aarch64-py3.12"),
        ("x86_64", "==3.11.7", "", "linux-x86_64-py3.11.7"),
        ("x86_64", ">=3.10", "3.12", "linux-x86_64-py3.12"),
        ("x86_64", ">=3.10", "# the image's\n\ncpython-3.12.4\n3.11\n", "linux-x86_64-py3.12"),
        ("x86_64", ">=3.10", "pypy3.11", "linux-x86_64-py3.10"),
        ("x86_64", ">=3.10", "3.13t", "linux-x86_64-py3.10"),
        ("x86_64", "", "", f"linux-x86_64-py3.{OLDEST_MINOR}"),
    ],
)
def test_the_default_is_the_serving_image(machine: str, requires_python: str, pinned: str, name: str) -> None:
    """
    Built on such a machine, with the Python that the project pins, else the oldest that its lock allows.
    """
    found = serving_target(machine, requires_python, pinned=pinned)

    assert name == str(found)


def test_a_lock_for_no_known_python_has_no_default() -> None:
    """
    The caller is asked to name a target.
    """
    with pytest.raises(BadInput) as caught:
        serving_target("x86_64", ">=4")

    assert "--targets TARGET" == caught.value.fix


def test_a_requires_python_that_is_none_is_no_lock() -> None:
    """
    A lock somebody edited by hand.
    """
    with pytest.raises(NotALock, match="`requires-python` is malformed"):
        serving_target("x86_64", "3.11 or so")


def test_levels_have_defaults_that_are_written_down_once() -> None:
    """
    The official slim image's glibc, and the Mac that uv assumes.
    """
    linux, mac = (parse_target(f"{system}-arm64-py3.12") for system in ("linux", "macos"))

    assert (GLIBC, MACOS) == (linux.level, mac.level)
