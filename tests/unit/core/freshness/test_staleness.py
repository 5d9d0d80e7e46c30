"""Comparing what a lock recorded with what its manifests declare."""

from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.core.freshness.declared_requirements import ProjectManifest, Workspace
from mlflow_uv.core.freshness.staleness import differences, not_requirements
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile

LOCK = """\
version = 1
revision = 5
requires-python = ">=3.9"
supported-markers = ["sys_platform == 'linux'"]
conflicts = [[{ package = "wine", extra = "a" }, { package = "wine", group = "b" }]]

[options]
resolution-mode = "lowest"
exclude-newer = "0001-01-01T00:00:00Z"
exclude-newer-span = "P7D"

[options.exclude-newer-package]
grape = { timestamp = "0001-01-01T00:00:00Z", span = "P1W" }
oak = "2026-05-07T00:00:00Z"

[manifest]
constraints = [{ name = "oak", specifier = "<9" }]
overrides = [{ name = "oak", specifier = ">=1" }]
build-constraints = [{ name = "hop", specifier = ">1" }]
excludes = ["cork"]

[[manifest.dependency-metadata]]
name = "oak"
version = "1.0"
requires-dist = ["hop>=1"]

[[package]]
name = "wine"
version = "0.1.0"
source = { virtual = "." }

[package.metadata]
requires-dist = [
    { name = "grape", specifier = ">=1" },
    { name = "hop", marker = "extra == 'a'", git = "https://git.test/hop?subdirectory=x&rev=v1" },
]
provides-extras = ["a"]

[package.metadata.requires-dev]
b = [{ name = "oak" }]

[[package]]
name = "oak"
version = "1.0"
source = { registry = "https://index.test/simple" }
"""
MANIFEST = """\
[project]
name = "wine"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = ["grape>=1"]

[project.optional-dependencies]
a = ["hop"]

[dependency-groups]
b = ["oak"]

[tool.uv]
resolution = "lowest"
exclude-newer = "7 days"
exclude-newer-package = { Grape = "1 week", oak = "2026-05-06" }
environments = ["sys_platform == 'linux'"]
conflicts = [[{ extra = "a" }, { group = "b" }]]
constraint-dependencies = ["oak<9"]
override-dependencies = ["oak>=1"]
build-constraint-dependencies = ["hop>1"]
exclude-dependencies = ["cork"]
dependency-metadata = [{ name = "Oak", version = "1.0.0", requires-dist = ["hop >= 1"] }]
sources = { hop = { git = "https://git.test/hop", rev = "v1", subdirectory = "x" } }
"""


def lock_of(text: str) -> Lockfile:
    """A lock."""
    return read_lockfile(text.encode())


def workspace_of(table: dict[str, Any]) -> Workspace:
    """A project that is a workspace of its own."""
    manifest = ProjectManifest(file="pyproject.toml", folder="/wine", table=table)
    return Workspace(root=manifest, members=(manifest,), settings=manifest)


def test_the_same_in_two_languages_is_no_difference() -> None:
    """
    The manifest in its words, the lock in uv's.
    """
    found = differences(lock_of(LOCK), workspace_of(tomli.loads(MANIFEST)))

    assert () == found


GIT = "https://git.test/hop?subdirectory=x&rev=v1"


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ('rev = "v1"', 'rev = "v2"', Cause.SOURCE),
        ('rev = "v1"', 'tag = "v1"', Cause.SOURCE),
        ('subdirectory = "x"', 'subdirectory = "y"', Cause.SOURCE),
        ("https://git.test/hop", "https://user@git.test/hop", None),
        ('["hop"]', '["hop @ git+https://git.test/hop@v1#subdirectory=x"]', None),
        ('"7 days"', '"1 week"', Cause.OPTION),
        ('"7 days"', '"P7D"', None),
        ('"7 days"', '"a while"', None),
        ('"7 days"', '"2026-01-01T00:00:00Z"', Cause.OPTION),
        ('"1 week"', '"2 weeks"', Cause.OPTION),
        ('"2026-05-06"', '"2026-05-07"', Cause.OPTION),
        ('"2026-05-06"', '"2026-05-07T00:00:00Z"', None),
        ('"2026-05-06"', "false", Cause.OPTION),
        ("hop >= 1", "hop>1", Cause.OPTION),
        ('[{ name = "Oak",', '[{ name = "cork" }, { name = "Oak",', None),
        ('{ name = "Oak", version = "1.0.0", requires-dist = ["hop >= 1"] }', '{ name = "cork" }', Cause.OPTION),
        ('"oak>=1"', '{ package = "oak" }', None),
        ("[[{ extra", '[[{ extra = "a" }, { group = "b" }, { group = "c" }], [{ extra', Cause.OPTION),
    ],
)
def test_what_uv_would_mind_is_told_and_what_it_would_not_is_left(old: str, new: str, cause: Cause | None) -> None:
    """
    References, spans, dates and forms that are newer than we are.
    """
    text = MANIFEST.replace(old, new)

    found = differences(lock_of(LOCK), workspace_of(tomli.loads(text)))

    assert (text != MANIFEST, [cause] if cause else []) == (True, [one.cause for one in found])


@pytest.mark.parametrize("entry", ['{ name = "grape", new-key = 1 }', '{ name = "grape", marker = "moon == 1" }'])
def test_what_a_newer_uv_recorded_is_left_alone(entry: str) -> None:
    """
    What cannot be read differs from nothing.
    """
    lock = lock_of(LOCK.replace('{ name = "grape", specifier = ">=1" }', entry))

    found = differences(lock, workspace_of(tomli.loads(MANIFEST)))

    assert () == found


def test_what_only_a_build_can_tell_is_left_alone() -> None:
    """
    Dynamic dependencies are not compared, groups still are.
    """
    text = MANIFEST.replace('dependencies = ["grape>=1"]', 'dynamic = ["dependencies"]').replace('["oak"]', '["oak>2"]')

    found = differences(lock_of(LOCK), workspace_of(tomli.loads(text)))

    assert [Cause.REQUIREMENT_CHANGED] == [one.cause for one in found]


REASONS = {
    "mismatched requirements for: `wine==0.1.0`": (Cause.REQUIREMENT_CHANGED, ("project", "dependencies")),
    "mismatched dependency groups for: `wine==0.1.0`": (Cause.REQUIREMENT_CHANGED, ("dependency-groups",)),
    "mismatched source: `wine` (unexpected: `virtual`)": (Cause.OPTION, ("build-system",)),
    "dynamic version: `wine` (expected a static version)": (Cause.OPTION, ("project", "dynamic")),
    "missing remote index: `oak` `1` from `https://x.test`": (Cause.INDEX, ("tool", "uv", "index", 0, "url")),
    "mismatched member default groups": (Cause.OPTION, ("tool", "uv", "default-groups")),
    "removal of exclude newer for package `grape`": (Cause.OPTION, ("tool", "uv", "exclude-newer-package")),
    "change in minimum libc version": None,
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_that_no_comparison_saw_is_told_in_uv_s_words(reason: str) -> None:
    """
    Where it points, if it points anywhere.
    """
    expected = REASONS[reason]

    found = differences(lock_of(LOCK), workspace_of(tomli.loads(MANIFEST)), reason=reason)

    assert ([expected] if expected else []) == [(one.cause, one.place.path) for one in found]
    assert all(one.why == f"uv's reason: {reason}" for one in found)


def test_lines_that_are_no_requirements_are_found() -> None:
    """
    Each once, where it stands.
    """
    table = tomli.loads(MANIFEST.replace('"oak"', '"oak==>1", { include-group = "c" }'))
    table["dependency-groups"]["c"] = ["grape ; it rains"]

    found = not_requirements(workspace_of(table))

    places = [("dependency-groups", "b", 0), ("dependency-groups", "c", 0)]
    assert places == sorted(one.place.path for one in found)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["oak>=1", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "url", "a", "b"]), inner),
    max_leaves=6,
)


def _spoiled(table: Any, data: st.DataObject) -> Any:
    """The table with a value of it, somewhere, replaced by anything."""
    if isinstance(table, dict | list) and table and data.draw(st.booleans()):
        keys = list(table) if isinstance(table, dict) else list(range(len(table)))
        key = data.draw(st.sampled_from(keys))
        copy = dict(table) if isinstance(table, dict) else list(table)
        copy[key] = _spoiled(table[key], data)
        return copy
    return data.draw(VALUES)


@given(st.data())
def test_no_manifest_makes_the_comparison_fail(data: st.DataObject) -> None:
    """
    Whatever stands where uv wants something else: uv says so, and we do not stumble.
    """
    table = {key: _spoiled(value, data) for key, value in tomli.loads(MANIFEST).items()}

    found = differences(lock_of(LOCK), workspace_of(table), reason="mismatched requirements for: `wine`")

    assert all(isinstance(one.what, str) for one in found)


@given(st.data())
def test_no_lock_makes_the_comparison_fail(data: st.DataObject) -> None:
    """
    Nor what stands in a lock that is otherwise one.
    """
    lock = lock_of(LOCK)
    root, *others = lock.packages
    metadata = {key: _spoiled(value, data) for key, value in root.metadata.items()}
    root = type(root)(
        name=root.name, version=root.version, source=root.source, position=0, table={**root.table, "metadata": metadata}
    )
    manifest, options = (
        {key: _spoiled(value, data) for key, value in one.items()} for one in (lock.manifest, lock.options)
    )
    lock = Lockfile(
        revision=3,
        requires_python=data.draw(st.sampled_from([">=3.9", "", "three"])),
        packages=(root, *others),
        resolution_markers=(),
        supported_markers=lock.supported_markers,
        required_markers=(),
        manifest=manifest,
        options=options,
        conflicts=lock.conflicts,
    )

    found = differences(lock, workspace_of(tomli.loads(MANIFEST)))

    assert all(isinstance(one.what, str) for one in found)
