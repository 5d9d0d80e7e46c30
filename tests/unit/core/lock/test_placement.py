"""What a lock installs on a target, and how each package is installed there."""

import pytest

from mlflow_uv.core.lock.closure import selected_roots
from mlflow_uv.core.lock.installable import InstallMethod
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile
from mlflow_uv.core.lock.placement import Placement, Uncovered, group_by_package, main_index, origins, place
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import Target, parse_target

INDEX = "https://index.test/simple"
GPU = "https://gpu.test/simple"
LOCK = f"""
version = 1
revision = 3
requires-python = ">=3.10, <3.13"

[[package]]
name = "compiled"
version = "1.0"
source = {{ registry = "{INDEX}" }}
wheels = [{{ url = "https://f.test/compiled-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", hash = "sha256:aa" }}]

[[package]]
name = "pure"
version = "1.0"
source = {{ registry = "{INDEX}" }}
dependencies = [{{ name = "sources" }}]
wheels = [{{ url = "https://f.test/pure-1.0-py3-none-any.whl", hash = "sha256:aa" }}]

[[package]]
name = "sources"
version = "1.0"
source = {{ registry = "{GPU}" }}
sdist = {{ url = "https://f.test/sources-1.0.tar.gz", hash = "sha256:aa" }}

[[package]]
name = "wine"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "pure" }}, {{ name = "compiled" }}]
"""
LINUX, ARM = parse_target("linux-x86_64-py3.11"), parse_target("linux-aarch64-py3.11")


def lock_of(text: str = LOCK) -> Lockfile:
    """A lock."""
    return read_lockfile(text.encode())


def placed(lock: Lockfile, target: Target = LINUX) -> tuple[Placement, ...]:
    """What is installed on a target that the lock covers."""
    found = place(lock, selected_roots(lock, Selection(), name="wine"), target)
    assert not isinstance(found, Uncovered)
    return found


def test_each_package_is_placed_with_its_method_and_path() -> None:
    """
    In the order of the lock; the virtual project itself is not installed.
    """
    packages = [(one.package.name, one.verdict) for one in placed(lock_of())]

    assert [
        ("compiled", InstallMethod.WHEEL), ("pure", InstallMethod.WHEEL), ("sources", InstallMethod.BUILT),
    ] == packages  # fmt: skip


def test_a_wheel_for_another_machine_does_not_install() -> None:
    """
    Without a source distribution nothing else is left.
    """
    methods = {one.package.name: one.verdict for one in placed(lock_of(), ARM)}

    assert InstallMethod.IMPOSSIBLE == methods["compiled"]


@pytest.mark.parametrize(
    ("text", "target", "key", "allowed"),
    [
        (LOCK, "linux-x86_64-py3.13", "requires-python", ">=3.10, <3.13"),
        (
            LOCK.replace("revision = 3", "revision = 3\nsupported-markers = [\"sys_platform == 'darwin'\"]"),
            "linux-x86_64-py3.11",
            "supported-markers",
            "sys_platform == 'darwin'",
        ),
    ],
    ids=["Python", "system"],
)
def test_a_target_that_the_lock_excludes_is_uncovered(text: str, target: str, key: str, allowed: str) -> None:
    """
    The key that excludes it, and what that key allows.
    """
    lock = lock_of(text)

    found = place(lock, selected_roots(lock, Selection(), name="wine"), parse_target(target))

    assert isinstance(found, Uncovered)
    assert (key, allowed) == (found.key, found.allowed)


def test_packages_of_several_targets_are_grouped() -> None:
    """
    One group a package, with a placement for each target.
    """
    lock = lock_of()

    groups = group_by_package((*placed(lock), *placed(lock, ARM)))

    assert [("compiled", 2), ("pure", 2), ("sources", 2)] == [(one[0].package.name, len(one)) for one in groups]


def test_origins_name_each_package_once() -> None:
    """
    However many targets it is placed on.
    """
    lock = lock_of()

    found = origins((*placed(lock), *placed(lock, ARM)))

    assert {INDEX: ["compiled", "pure"], GPU: ["sources"]} == {
        address: [package.name for package in packages] for address, packages in found.items()
    }


def test_the_main_index_is_that_of_most_packages() -> None:
    """
    A lock without packages of an index has none.
    """
    head = LOCK.partition("[[package]]")[0]

    assert (INDEX, None) == (main_index(lock_of()), main_index(lock_of(head)))
