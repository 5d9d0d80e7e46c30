"""What a selection needs on any platform, and how each package of a lock is reached."""

import pytest

from mlflow_uv.core.lock.closure import selected_roots
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.served_packages import AnyPlatformMarkers, dependency_paths, served_packages

LOCK = """
version = 1
requires-python = ">=3.10"

[manifest]
members = ["wine", "cellar"]
dependency-groups = { tools = [{ name = "hop" }] }

[[package]]
name = "wine"
version = "0.1"
source = { virtual = "." }
dependencies = [{ name = "grape" }, { name = "winonly", marker = "sys_platform == 'win32'" }]
optional-dependencies = { red = [{ name = "oak" }] }
dev-dependencies = { dev = [{ name = "cork" }] }

[[package]]
name = "cellar"
version = "0.1"
source = { editable = "cellar" }
dependencies = [
    { name = "wine", extra = ["red"] },
    { name = "seed", version = "2", source = { registry = "https://index.test" } },
]

[[package]]
name = "grape"
version = "1"
source = { registry = "https://index.test" }
dependencies = [{ name = "seed", version = "1", source = { registry = "https://index.test" } }]
"""
MORE = [*((name, "1") for name in ("winonly", "oak", "cork", "hop", "alone")), ("seed", "1"), ("seed", "2")]


def lock_of() -> Lockfile:
    """A lock of a workspace with two members."""
    packages = "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://index.test" }}\n'
        for name, version in MORE
    )
    return read_lockfile(f"{LOCK}\n{packages}".encode())


@pytest.mark.parametrize(
    ("name", "selection", "packages"),
    [
        (
            "wine",
            Selection(),
            {"grape 1": "wine > grape", "winonly 1": "wine > winonly", "seed 1": "wine > grape > seed"},
        ),
        (
            "wine",
            Selection(extras=("red",), groups=("dev",)),
            {
                "grape 1": "wine > grape",
                "winonly 1": "wine > winonly",
                "seed 1": "wine > grape > seed",
                "oak 1": "wine > oak",
                "cork 1": "wine > cork",
            },
        ),
    ],
    ids=["project", "extra and group"],
)
def test_what_is_served_is_what_a_root_needs_anywhere(
    name: str, selection: Selection, packages: dict[str, str]
) -> None:
    """
    On any platform, and without the root itself.
    """
    lock = lock_of()

    found = served_packages(lock, selected_roots(lock, selection, name=name))

    assert packages == {
        f"{installed.package.name} {installed.package.version}": " > ".join(installed.via) for installed in found
    }


def test_each_package_has_the_shortest_path_from_a_member_or_a_group() -> None:
    """
    Of two versions each has its own; a package that nothing needs has none.
    """
    lock = lock_of()

    paths = dependency_paths(lock)

    assert {
        "wine 0.1": (),
        "cellar 0.1": (),
        "grape 1": ("wine",),
        "winonly 1": ("wine",),
        "oak 1": ("wine",),
        "cork 1": ("wine",),
        "hop 1": ("group tools",),
        "seed 1": ("wine", "grape"),
        "seed 2": ("cellar",),
    } == {f"{lock.packages[at].name} {lock.packages[at].version}": path for at, path in paths.items()}


@pytest.mark.parametrize(
    ("marker", "active", "possible"),
    [
        ("", (), True),
        ("sys_platform == 'win32' and python_version < '3'", (), True),
        ("extra == 'project-4-wine-red'", ("project-4-wine-red",), True),
        ("extra == 'project-4-wine-red'", (), False),
        ("extra != 'project-4-wine-red'", ("project-4-wine-red",), False),
        ("extra != 'project-4-wine-red'", (), True),
        ("sys_platform == 'win32' and extra == 'a'", (), False),
        ("sys_platform == 'win32' or extra == 'a'", (), True),
        ("(extra == 'a' or extra == 'b') and extra != 'c'", ("b",), True),
        ("(extra == 'a' or extra == 'b') and extra != 'c'", ("b", "c"), False),
        ("'3' in python_version and extra == 'a'", ("a",), True),
        ("extra is odd", (), True),
    ],
)
def test_a_marker_holds_anywhere_unless_a_conflict_decides(
    marker: str, active: tuple[str, ...], possible: bool
) -> None:
    """
    Only the extras by which uv writes conflicts are known; what cannot be read may hold.
    """
    assert possible == AnyPlatformMarkers().hold(marker, frozenset(active))
