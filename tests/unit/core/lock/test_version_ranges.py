"""Versions in a range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from mlflow_uv.core.lock.version_ranges import in_range

RELEASES = st.lists(st.integers(0, 11).map(str), min_size=1, max_size=4).map(".".join)
VERSIONS = RELEASES | st.builds("{}{}".format, RELEASES, st.sampled_from(["rc1", ".post1", ".dev0", "+local", "a0"]))
BOUNDS = st.builds(
    "{}{}{}".format, st.sampled_from([">=", "<=", "<", ">", "==", "!=", "~=", " >", "< "]), VERSIONS, st.just(" ")
)


@given(VERSIONS, st.lists(BOUNDS, min_size=1, max_size=3))
def test_a_range_is_read_as_packaging_reads_it(version: str, bounds: list[str]) -> None:
    """
    Plain releases are compared without it, which imports much.
    """
    text = ",".join(bounds)
    try:
        expected: object = SpecifierSet(text).contains(version, prereleases=True)
    except ValueError:
        expected = ValueError

    try:
        result: object = in_range(version, text)
    except ValueError:
        result = ValueError

    assert expected == result


@pytest.mark.parametrize("text", ["> =0.9", ">=0 .9", ">=0.9,", ">=٣", ">=0.9 <1", ""])
def test_an_odd_range_is_left_to_packaging(text: str) -> None:
    """
    It refuses some of them, and accepts others.
    """
    try:
        expected: object = SpecifierSet(text).contains("0.10", prereleases=True)
    except ValueError:
        expected = ValueError

    try:
        result: object = in_range("0.10", text)
    except ValueError:
        result = ValueError

    assert expected == result


@pytest.mark.parametrize(
    ("version", "text", "expected"),
    [
        ("0.9.1", ">=0.9,<1", True),
        ("1.0", ">=0.9,<1", False),
        ("0.9.2rc1", ">=0.9", True),
        ("3.12.4", "==3.12.*", True),
    ],
)
def test_a_version_is_in_a_range_or_not(version: str, text: str, expected: bool) -> None:
    """
    Pre-releases count like any other version.
    """
    assert expected == in_range(version, text)


def test_a_text_that_is_no_range_is_a_value_error() -> None:
    """
    Callers report it with the place that it comes from.
    """
    with pytest.raises(ValueError, match="newest"):
        in_range("1.0", "newest")
