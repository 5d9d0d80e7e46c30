"""The verdict on a package is the one that an installer would reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.lock.installable import (
    InstallMethod,
    SourceReach,
    fits,
    install_method,
    local_build,
    origin,
    source_reach,
)
from mlflow_uv.core.lock.lockfile import Package, PackageSource, SourceKind
from mlflow_uv.core.lock.targets import parse_target

TAGS = parse_target("linux-x86_64-py3.11").tags
GOOD = ("py3-none-any", "cp311-cp311-manylinux2014_x86_64", "cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64")
BAD = ("cp311-cp311-win_amd64", "cp312-cp312-manylinux2014_x86_64", "py2-none-any", "cp311-cp311-musllinux_1_1_x86_64")
FETCHED = (SourceKind.REGISTRY, SourceKind.URL)


def package(
    kind: SourceKind = SourceKind.REGISTRY,
    *tags: str,
    sdist: bool = False,
    version: str | None = "1.0",
    address: str = "https://index.test/simple",
) -> Package:
    """A package with one wheel a tag."""
    files = [{"url": f"https://files.test/{tag}/grape-1.0-{tag}.whl"} for tag in tags]
    table = {"wheels": files, **({"sdist": {"url": "https://files.test/grape-1.0.tar.gz"}} if sdist else {})}
    return Package(name="grape", version=version, source=PackageSource(kind, address), position=0, table=table)


@pytest.mark.parametrize(
    ("kind", "tags", "sdist", "expected"),
    [
        (SourceKind.REGISTRY, GOOD[:1], False, InstallMethod.WHEEL),
        (SourceKind.REGISTRY, (*BAD, GOOD[1]), True, InstallMethod.WHEEL),
        (SourceKind.REGISTRY, BAD, True, InstallMethod.BUILT),
        (SourceKind.REGISTRY, BAD, False, InstallMethod.IMPOSSIBLE),
        (SourceKind.REGISTRY, (), False, InstallMethod.IMPOSSIBLE),
        (SourceKind.URL, GOOD[:1], False, InstallMethod.WHEEL),
        (SourceKind.URL, BAD[:1], False, InstallMethod.IMPOSSIBLE),
        (SourceKind.URL, (), True, InstallMethod.BUILT),
        (SourceKind.GIT, (), False, InstallMethod.GIT),
        (SourceKind.PATH, GOOD[:1], False, InstallMethod.LOCAL),
        (SourceKind.PATH, BAD[:1], False, InstallMethod.IMPOSSIBLE),
        (SourceKind.PATH, (), True, InstallMethod.LOCAL),
        (SourceKind.DIRECTORY, (), False, InstallMethod.LOCAL),
        (SourceKind.EDITABLE, (), False, InstallMethod.LOCAL),
        (SourceKind.VIRTUAL, (), False, InstallMethod.LOCAL),
    ],
)
def test_a_wheel_goes_before_a_source_and_that_before_nothing(
    kind: SourceKind, tags: tuple[str, ...], sdist: bool, expected: InstallMethod
) -> None:
    """
    What is local travels with the model; only a wheel that does not fit cannot.
    """
    found = install_method(package(kind, *tags, sdist=sdist), TAGS)

    assert expected is found


RANK = (InstallMethod.IMPOSSIBLE, InstallMethod.BUILT, InstallMethod.LOCAL, InstallMethod.WHEEL)


@given(
    kind=st.sampled_from((*FETCHED, SourceKind.PATH)),
    tags=st.lists(st.sampled_from(GOOD + BAD)),
    more=st.sampled_from(GOOD + BAD),
    sdist=st.booleans(),
)
def test_another_wheel_never_makes_it_worse(kind: SourceKind, tags: list[str], more: str, sdist: bool) -> None:
    """
    Whatever wheel is added; and one that fits makes it good.
    """
    before = install_method(package(kind, *tags, sdist=sdist), TAGS)

    after = install_method(package(kind, *tags, more, sdist=sdist), TAGS)

    assert RANK.index(after) >= RANK.index(before)
    assert after in (InstallMethod.WHEEL, InstallMethod.LOCAL) or more in BAD


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("grape-1.0-py3-none-any.whl", True),
        ("grape-1.0-1-py3-none-any.whl", True),
        ("grape-1.0+cpu-py2.py3-none-any.whl", True),
        ("grape-1.0-cp310.cp311-abi3.cp311-win32.manylinux1_x86_64.whl", True),
        ("grape-1.0-cp310-cp310-win32.manylinux1_x86_64.whl", False),
        ("grape.whl", False),
        ("", False),
    ],
)
def test_the_name_of_a_wheel_says_where_it_fits(file: str, expected: bool) -> None:
    """
    Three tags at its end, each of which may be several; anything else fits nowhere.
    """
    found = fits(file, TAGS)

    assert expected is found


@pytest.mark.parametrize(("version", "label"), [("2.4.0+cu121", "cu121"), ("2.4.0", ""), (None, "")])
def test_a_local_build_is_told_by_its_label(version: str | None, label: str) -> None:
    """
    What stands behind the plus.
    """
    found = local_build(package(version=version))

    assert label == found


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://index.test/simple", SourceReach.ANYWHERE),
        ("https://user:word@index.test:8443/simple", SourceReach.ANYWHERE),
        ("https://8.8.8.8/simple", SourceReach.ANYWHERE),
        ("http://127.0.0.1:3141/root", SourceReach.PRIVATE),
        ("http://localhost:3141/root", SourceReach.PRIVATE),
        ("http://[::1]/simple", SourceReach.PRIVATE),
        ("https://10.1.2.3/simple", SourceReach.PRIVATE),
        ("https://192.168.0.4/simple", SourceReach.PRIVATE),
        ("https://devpi/simple", SourceReach.PRIVATE),
        ("https://devpi.internal./simple", SourceReach.PRIVATE),
        ("https://nas.local/simple", SourceReach.PRIVATE),
        ("../wheels", SourceReach.FOLDER),
        ("/srv/wheels", SourceReach.FOLDER),
        ("file:///srv/wheels", SourceReach.FOLDER),
        ("C:\\wheels", SourceReach.FOLDER),
    ],
)
def test_an_address_tells_from_where_it_answers(address: str, expected: SourceReach) -> None:
    """
    By its words alone: nobody is asked.
    """
    found = source_reach(address)

    assert expected is found


@pytest.mark.parametrize(
    ("kind", "address", "expected"),
    [
        (SourceKind.REGISTRY, "https://user:word@index.test/simple/", "https://index.test/simple"),
        (SourceKind.REGISTRY, "../wheels", "../wheels"),
        (SourceKind.URL, "https://files.test/grape.whl#sha256=1", "https://files.test/grape.whl"),
        (SourceKind.GIT, "https://git.test/grape#1", None),
        (SourceKind.EDITABLE, ".", None),
    ],
)
def test_what_is_fetched_has_an_origin_without_credentials(
    kind: SourceKind, address: str, expected: str | None
) -> None:
    """
    An index, whatever slash it ends with, or a file.
    """
    found = origin(package(kind, address=address))

    assert expected == found
