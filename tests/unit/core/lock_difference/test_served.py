"""What is served of a lock, and what changes on a target."""

from mlflow_uv.core.lock.closure import selected_roots
from mlflow_uv.core.lock.lockfile import Lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import parse_target
from mlflow_uv.core.lock_difference.changes import PackageUse
from mlflow_uv.core.lock_difference.comparison import TargetProblem
from mlflow_uv.core.lock_difference.served import compare_target, usage
from tests.unit.core.lock_difference.locks import lock, package

LINUX = parse_target("linux-x86_64-py3.11")


def side(of: Lockfile, *groups: str):
    """A lock with what it serves."""
    return of, (selected_roots(of, Selection(groups=groups), name="wine"),)


def test_a_package_of_a_group_is_served_only_if_the_group_is() -> None:
    """
    The same package is of development for one selection, and served for another.
    """
    both = lock(package("grape"), package("pytest"), needs=("grape",), develops=("pytest",))
    grape, pytest_package, _ = both.packages

    without, with_group = usage(*side(both)), usage(*side(both, "dev"))

    assert (PackageUse.SERVED, PackageUse.DEVELOPMENT) == (without(grape), without(pytest_package))
    assert PackageUse.SERVED is with_group(pytest_package)


def test_sizes_are_those_of_the_target() -> None:
    """
    Only what is served counts, and of that the file that fits.
    """
    before = lock(package("grape", size=5), package("pytest", size=900), needs=("grape",), develops=("pytest",))
    after = lock(package("grape", size=7), package("yeast", size=30), needs=("grape", "yeast"))

    found = compare_target(side(before), side(after), LINUX)

    assert (5, 37, 2, 3) == (found.bytes_before, found.bytes_after, found.packages_before, found.packages_after)
    assert (0, ()) == (found.unknown, found.problems)


def test_a_size_that_only_one_lock_has_is_no_gain() -> None:
    """
    A lock from an index without sizes is compared with one that has them, in either direction.
    """
    sizeless = lock(package("grape", size=None), package("oak", size=None), needs=("grape", "oak"))
    sized = lock(package("grape", size=500), package("yeast", size=30), package("oak", "2.0", size=9),
                 needs=("grape", "yeast", "oak"))  # fmt: skip

    gained = compare_target(side(sizeless), side(sized), LINUX)
    lost = compare_target(side(sized), side(sizeless), LINUX)

    assert (500, 539, 1) == (gained.bytes_before, gained.bytes_after, gained.unknown)
    assert (539, 500, 1) == (lost.bytes_before, lost.bytes_after, lost.unknown)


def test_only_a_problem_that_is_new_is_listed() -> None:
    """
    A package that is built on the target before and after is no news; one that lost its wheel is.
    """
    built = package("barrel", tag="")
    before = lock(package("grape"), built, needs=("grape", "barrel"))
    after = lock(package("grape", "2.0", tag="cp311-cp311-win_amd64"), built, needs=("grape", "barrel"))

    found = compare_target(side(before), side(after), LINUX)

    assert (TargetProblem(package="grape", version="2.0", method="cannot be installed"),) == found.problems


def test_a_python_that_the_lock_excludes_is_said() -> None:
    """
    There are no numbers for a target that is not supported.
    """
    found = compare_target(None, side(lock()), parse_target("linux-x86_64-py3.9"))

    assert ("`requires-python` of the lock is >=3.10", 0) == (found.uncovered, found.packages_after)
