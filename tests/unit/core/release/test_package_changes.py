"""Describing the difference between two lists of packages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.release.package_changes import changes, describe_changes, first_difference, pins_of_requirements

NAMES = ("file", "uv.lock")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("numpy==1.26.4", "numpy==2.0.0", ("numpy 1.26.4 → 2.0.0",)),
        ("", "scipy==1.14", ("+ scipy 1.14",)),
        ("joblib==1", "", ("− joblib",)),
        ("x==1 ; os_name == 'nt'", "x==1", ("marker of x changed",)),
        ("y==1 --hash=sha256:aa", "y==1 --hash=sha256:bb", ("hashes of y changed",)),
        ("y==1\nz==1", "y==1 --hash=sha256:bb\nz==1 --hash=sha256:bb", ("hashes are missing",)),
        ("y==1 --hash=sha256:bb", "y==1", ("hashes are not wanted",)),
        (
            "g==1 ; os_name == 'nt'\ng==2 ; os_name != 'nt'",
            "g==1 ; os_name == 'nt'\ng==3 ; os_name != 'nt'",
            ("g 1, 2 → 1, 3",),
        ),
        ("a[x]==1", "a[x,y]==1", ("a [x]==1 → [x,y]==1",)),
        ("m @ git+https://x.test/m@1", "m @ git+https://x.test/m@2", ("m @ git+https://x.test/m@1 → @ git+https://x.test/m@2",)),
        ("./wheels/my_core-0.1-py3-none-any.whl", "./wheels/my_core-0.2-py3-none-any.whl", ("my-core 0.1 → 0.2",)),
        ("./core", "", ("− ./core",)),
        ("", "--extra-index-url https://x.test", ("+ --extra-index-url https://x.test",)),
        ("a==1\nb==2", "b==2\na==1", ()),
    ],
)  # fmt: skip
def test_a_change_is_told_by_its_package(before: str, after: str, expected: tuple[str, ...]) -> None:
    """
    Version, marker, hashes, what came and what went; the order of lines is no change.
    """
    found = changes(pins_of_requirements(before), pins_of_requirements(after))

    assert expected == found


PINS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), max_size=6)


@given(PINS, PINS)
def test_equal_lists_and_no_others_have_no_changes(before: dict[str, int], after: dict[str, int]) -> None:
    """
    Nothing is said of what is equal, and something of whatever is not.
    """
    ours, theirs = ("".join(f"{name}=={at}\n" for name, at in pins.items()) for pins in (before, after))

    found = changes(pins_of_requirements(ours), pins_of_requirements(theirs))

    assert (before == after) is (not found)


def test_what_differs_in_form_alone_is_shown_by_its_lines() -> None:
    """
    The same packages in another order or spelling still are other bytes.
    """
    found = describe_changes("b==1\na==1\n", "a==1\nb==1\n", pins_of_requirements, names=NAMES)

    assert ["--- file", "+++ uv.lock"] == found.splitlines()[:2]
    assert {"-b==1", "+b==1"} <= set(found.splitlines()) or {"-a==1", "+a==1"} <= set(found.splitlines())


def test_a_long_difference_is_cut() -> None:
    """
    A person reads the first, and how many more there are.
    """
    after = "".join(f"p{number:02}==1\n" for number in range(20))

    found = describe_changes("", after, pins_of_requirements, names=NAMES)

    assert ("+ p00 1", "and 8 more", 13) == (*found.split("; ")[:: len(found.split("; ")) - 1], len(found.split("; ")))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [("a\nb\n", "a\nc\n", 2), ("a\n", "a\nb\n", 1), ("a\nb\n", "a\n", 2), ("", "a\n", 1), ("x\n", "y\n", 1)],
)
def test_the_first_difference_is_a_line_of_the_file(before: str, after: str, line: int) -> None:
    """
    An annotation needs a line that is there: of what is missing at the end, the last.
    """
    found = first_difference(before, after)

    assert line == found
