"""Packages among layers, for any set of packages that hypothesis finds."""

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from mlflow_uv.core.image.layer_grouping import MOST_OWN, OWN_BYTES, SHARED, SizedPackage, grouped, sized
from mlflow_uv.core.lock.lockfile import read_lockfile

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,12}", fullmatch=True)
SIZES = st.sampled_from((0, 1, OWN_BYTES - 1, OWN_BYTES, OWN_BYTES + 1, 900_000_000))
PACKAGES = st.dictionaries(NAMES, SIZES, max_size=400)


def packages_of(sizes):
    return tuple(SizedPackage(name=name, size=size) for name, size in sizes.items())


@given(PACKAGES)
def test_each_package_is_in_one_layer_and_the_layers_are_few(sizes) -> None:
    """
    Four hundred packages fit into an image, with room for base, server and model below the limit of the engines.
    """
    groups = grouped(packages_of(sizes))

    assert sorted(sizes) == sorted(name for group in groups for name in group.packages)
    assert len(groups) <= MOST_OWN + SHARED <= 80
    assert len({group.name for group in groups}) == len(groups)


@given(PACKAGES, st.randoms())
def test_the_order_in_which_packages_are_named_does_not_count(sizes, random) -> None:
    """
    One lock gives one image, whatever wrote its packages in which order.
    """
    shuffled = list(packages_of(sizes))
    random.shuffle(shuffled)

    assert grouped(packages_of(sizes)) == grouped(shuffled)


@given(PACKAGES, NAMES, SIZES)
def test_a_package_that_comes_changes_one_layer(sizes, name, size) -> None:
    """
    Only above the limit of large packages the smallest of them moves, too.
    """
    before = {group.packages for group in grouped(packages_of({k: v for k, v in sizes.items() if k != name}))}

    after = {group.packages for group in grouped(packages_of({**sizes, name: size}))}

    crowded = sum(1 for each in {**sizes, name: size}.values() if each >= OWN_BYTES) > MOST_OWN
    assert len(after - before) <= (2 if crowded else 1)


@given(PACKAGES)
def test_what_is_written_again_after_a_change_is_smaller_than_what_changed(sizes) -> None:
    """
    An engine keeps only the layers below the changed one: above it are packages of about its size, and smaller ones.
    """
    groups = grouped(packages_of(sizes))

    own = [group.packages[0] for group in groups if not group.name.startswith("shared ")]
    assert all(sizes[higher] < 2 * sizes[lower] for lower, higher in pairwise(own))
    assert [group.name for group in groups[: len(own)]] == own


def test_a_new_version_of_about_the_same_size_moves_no_layer() -> None:
    """
    Layers that move are written again, though their content is the same.
    """
    before = {
        "numpy": 20_100_000,
        "pandas": 19_900_000,
        "scipy": 42_000_000,
        "torch": 900_000_000,
        "zstandard": 5_300_000,
    }

    after = before | {"numpy": 19_200_000, "scipy": 43_500_000, "torch": 880_000_000}

    assert ["torch", "scipy", "numpy", "pandas", "zstandard"] == [group.name for group in grouped(packages_of(before))]
    assert grouped(packages_of(after)) == grouped(packages_of(before))


def test_a_large_package_is_alone() -> None:
    """
    A change of another package does not send it again. Where a lock has no sizes, a compiled package counts as large.
    """
    lock = """version = 1
requires-python = ">=3.11"
[[package]]
name = "torch"
version = "2.9"
source = { registry = "https://packages.example/simple" }
wheels = [
    { url = "https://packages.example/torch-2.9-cp311-cp311-macosx_11_0_arm64.whl", size = 9 },
    { url = "https://packages.example/torch-2.9-cp311-cp311-manylinux_2_28_x86_64.whl", size = 900000000 },
]
[[package]]
name = "numpy"
version = "2"
source = { registry = "https://packages.example/simple" }
wheels = [{ url = "https://packages.example/numpy-2-cp311-cp311-manylinux_2_28_x86_64.whl" }]
[[package]]
name = "tiny"
version = "2"
source = { registry = "https://packages.example/simple" }
wheels = [{ url = "https://packages.example/tiny-2-cp311-cp311-manylinux_2_28_x86_64.whl", size = 900 }]
[[package]]
name = "six"
version = "1"
source = { registry = "https://packages.example/simple" }
wheels = [{ url = "https://packages.example/six-1-py3-none-any.whl" }]
"""

    groups = grouped(sized(read_lockfile(lock.encode()).packages))

    assert ["torch", "numpy"] == [group.name for group in groups if len(group.packages) == 1][:2]
    assert {"six", "tiny"} == {name for group in groups if group.name.startswith("shared ") for name in group.packages}


def test_the_editions_of_mlflow_share_a_layer() -> None:
    """
    They have a thousand files in common, which are in the image once, and always have one version.
    """
    sizes = {"mlflow": 9_000_000, "mlflow-skinny": 3_000_000, "mlflow-tracing": 1_500_000, "numpy": 18_000_000}

    full, small, one = (
        [(group.name, group.packages) for group in grouped(packages_of(each))]
        for each in (sizes, {"mlflow-skinny": 3_000_000, "mlflow-tracing": 10}, {"mlflow-tracing": 1_500_000})
    )

    assert [("numpy", ("numpy",)), ("mlflow", ("mlflow", "mlflow-skinny", "mlflow-tracing"))] == full
    assert [("mlflow-skinny", ("mlflow-skinny", "mlflow-tracing"))] == small
    assert [("mlflow-tracing", ("mlflow-tracing",))] == one


def test_small_editions_of_mlflow_share_one_of_the_layers_of_small_packages() -> None:
    """
    As in a lock without sizes of a mirror, sorted by name among the others.
    """
    names = {"mlflow-skinny", "mlflow-tracing", *(f"p{at}" for at in range(99))}

    groups = grouped(packages_of(dict.fromkeys(names, 0)))

    (group,) = (each for each in groups if "mlflow-skinny" in each.packages)
    assert "mlflow-tracing" in group.packages
    assert all(list(each.packages) == sorted(each.packages) for each in groups)
