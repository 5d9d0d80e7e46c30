"""The reader of uv.lock accepts what uv writes and rejects everything else with one kind of error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.lock.lockfile import (
    Artifact,
    Dependency,
    NotALock,
    PackageSource,
    SourceKind,
    package_line,
    read_lockfile,
)

LOCK = b"""version = 1
revision = 3
requires-python = ">=3.11"

[manifest]
members = ["wine"]

[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://index.example/simple" }
wheels = [
    { url = "https://files.example/numpy-1.26.4%2Bcpu-cp311-cp311-linux_x86_64.whl", hash = "sha256:11", size = 3 },
]

[[package]]
name = "wine"
source = { editable = "." }
dependencies = [
    { name = "numpy", marker = "os_name == 'posix'", extra = ["fast"] },
]

[package.optional-dependencies]
gpu = [{ name = "numpy", version = "1.26.4", source = { registry = "https://index.example/simple" } }]
"""


def test_a_lock_that_is_read_again_is_parsed_once() -> None:
    """
    A step reads the lock of its model several times; another content is another lock.
    """
    again = read_lockfile(bytes(bytearray(LOCK)))

    assert read_lockfile(LOCK) is again
    assert read_lockfile(LOCK.replace(b"1.26.4", b"1.26.5")) != again


def test_it_reads_packages_edges_and_files() -> None:
    """
    A package is a name, a version and a source; the file of an artifact is the last part of its address, decoded.
    """
    lock = read_lockfile(LOCK)

    numpy, wine = lock.packages
    registry = PackageSource(SourceKind.REGISTRY, "https://index.example/simple")
    url = "https://files.example/numpy-1.26.4%2Bcpu-cp311-cp311-linux_x86_64.whl"

    assert (3, ">=3.11", {"members": ["wine"]}) == (lock.revision, lock.requires_python, lock.manifest)
    assert ("numpy", "1.26.4", registry) == (numpy.name, numpy.version, numpy.source)
    assert (Artifact(url, "numpy-1.26.4+cpu-cp311-cp311-linux_x86_64.whl", "sha256:11", 3),) == numpy.wheels
    assert (None, wine) == (wine.version, lock.local("."))
    assert (Dependency("numpy", None, None, ("fast",), "os_name == 'posix'"),) == wine.dependencies
    assert {"gpu": (Dependency("numpy", "1.26.4", registry, (), ""),)} == wine.extras


def test_a_package_has_the_line_where_it_begins() -> None:
    """
    Findings point at the package in the lock, counted as an editor does.
    """
    lines = LOCK.decode().splitlines()

    assert [i for i, line in enumerate(lines, 1) if line == "[[package]]"] == [package_line(LOCK, n) for n in (0, 1)]


@pytest.mark.parametrize(
    ("data", "why", "line"),
    [
        (LOCK[:-30], "Unclosed|Expected|Invalid|Unterminated", 24),
        (LOCK.replace(b"[manifest]", b"<<<<<<< HEAD\n[manifest]"), "merge conflict", 5),
        (b"\n\xff\n", "not UTF-8", 2),
        (b"", "no `version`", 1),
        (LOCK.replace(b"version = 1\n", b"version = 2\n", 1), "format is version 2", 1),
        (LOCK.replace(b"revision = 3", b"revision = 'x'"), "`revision` is not a number", 2),
        (LOCK.replace(b'name = "numpy"\n', b"", 1), "it has no `name`", 8),
        (LOCK.replace(b"{ editable = ", b"{ telepathy = "), "is not a source", 16),
        (b"version = 1\npackage = 3\n", "`package` is not a list", 2),
        (LOCK.replace(b'["wine"]', b"[1]"), "`members` is not a list", 6),
        (b"version = 1\n[manifest.dependency-groups]\ndev = [{}]\n", "it has no `name`", 1),
        (b"version = 1\nx = " + b"[" * 5000 + b"]" * 5000, "nested", 2),
    ],
    ids=[
        "truncated",
        "conflict",
        "utf-8",
        "empty",
        "newer",
        "revision",
        "nameless",
        "source",
        "packages",
        "members",
        "groups",
        "nested",
    ],
)
def test_what_is_no_lock_is_refused_with_its_line(data: bytes, why: str, line: int) -> None:
    """
    One error for whatever is wrong, with the line where it shows.
    """
    with pytest.raises(NotALock, match=why) as caught:
        read_lockfile(data)

    assert line == caught.value.line


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KEYS = (
    "name", "version", "source", "dependencies", "optional-dependencies", "dev-dependencies", "wheels", "sdist",
    "resolution-markers", "metadata",
)  # fmt: skip


def _toml(value: Any) -> str:
    match value:
        case None:
            return "1.5"
        case bool():
            return str(value).lower()
        case int():
            return str(value % 2**60)
        case str():
            return '"' + "".join(c if c.isalnum() and c.isascii() else "-" for c in value) + '"'
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return "{" + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + "}"


def _asked(data: bytes) -> bool:
    """Whether a lock answers everything it is asked, or is refused at a line that exists."""
    try:
        lock = read_lockfile(data)
    except NotALock as error:
        return 1 <= error.line <= data.count(b"\n") + 2
    for one in lock.packages:
        asked = (one.dependencies, one.extras, one.groups, one.wheels, one.sdist, one.metadata, one.resolution_markers)
        assert 7 == len(asked)
    return lock.by_name is not None


@given(st.dictionaries(st.sampled_from(_KEYS), _values), st.sampled_from(["package", "manifest", "options"]))
def test_any_shape_is_read_or_refused(package: dict[str, Any], top: str) -> None:
    """
    Whatever stands in a package, the reader answers or says NotALock, and what it accepted can be asked everything.
    """
    body = "".join(f"{key} = {_toml(value)}\n" for key, value in package.items())
    header = f"[[{top}]]" if top == "package" else f"[{top}]"
    data = f'version = 1\n{header}\nname = "a"\n{body}'.replace('name = "a"\nname', "name").encode()

    assert _asked(data)


@given(st.integers(0, len(LOCK)), st.binary(max_size=4))
def test_a_damaged_lock_is_read_or_refused(at: int, noise: bytes) -> None:
    """
    The same for a real lock that something has bitten into.
    """
    data = LOCK[:at] + noise + LOCK[at + len(noise) * 2 :]

    assert _asked(data)
