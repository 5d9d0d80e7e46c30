"""Where there is an answer, it is that of `packaging`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlflow_uv.core.lint.version_ranges import normal_name, same_version, satisfies

NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
CLAUSES = st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS).map("".join)
COMPATIBLE = st.lists(st.integers(0, 12), min_size=2, max_size=4).map(lambda n: "~=" + ".".join(map(str, n)))
PREFIXES = st.tuples(st.sampled_from(["==", "!="]), NUMBERS).map(lambda pair: f"{pair[0]}{pair[1]}.*")
RANGES = st.lists(st.one_of(CLAUSES, COMPATIBLE, PREFIXES), min_size=1, max_size=3).map(", ".join)


@given(version=NUMBERS, ranges=RANGES)
def test_plain_versions_are_compared_as_packaging_does(version: str, ranges: str) -> None:
    """
    With any number of parts, in any combination.
    """
    assert SpecifierSet(ranges).contains(Version(version)) is satisfies(version, ranges)


@pytest.mark.parametrize(("version", "ranges"), [("1rc1", ">=1"), ("1", ">=1rc1"), ("1", "nonsense"), ("1", ">=1,x")])
def test_any_other_has_no_answer(version: str, ranges: str) -> None:
    """
    Rather than a wrong one.
    """
    assert satisfies(version, ranges) is None


@given(name=st.text("aB1-_.", min_size=1, max_size=9))
def test_names_have_the_normal_form_of_packaging(name: str) -> None:
    """
    The rules import no `packaging`.
    """
    assert canonicalize_name(name) == normal_name(name)


def test_local_versions_are_the_same() -> None:
    """
    An index for one kind of processor adds them.
    """
    answers = (same_version("2.1+cpu", "2.1.0"), same_version("1rc1", "1RC1"), same_version("1", "2"))

    assert (True, True, False) == answers


def test_a_very_long_number_has_no_answer() -> None:
    """
    Python refuses to read it.
    """
    number = "9" * 5_000

    assert [None] * 3 == [satisfies("1", f"=={number}"), satisfies("1", f"=={number}.*"), satisfies(number, ">1")]
    assert same_version("1", number) is False
