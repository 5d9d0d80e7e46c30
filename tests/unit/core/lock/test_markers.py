"""Markers in an environment, here and in packaging."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker

from mlflow_uv.core.lock.markers import holds, normal_form, readable

COMPARISONS = st.builds(
    "{} {} '{}'".format,
    st.sampled_from(["sys_platform", "os_name", "python_version", "platform_machine", "extra"]),
    st.sampled_from(["==", "!=", "<", ">="]),
    st.sampled_from(["linux", "nt", "3.9", "3.12", "x86_64", "gpu"]),
)
MARKERS = st.recursive(
    COMPARISONS,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=4,
)
LINUX = {"sys_platform": "linux", "os_name": "posix", "python_version": "3.12", "platform_machine": "x86_64"}


@given(MARKERS, st.sampled_from(["", "gpu"]))
def test_a_marker_holds_where_packaging_says_so(marker: str, extra: str) -> None:
    """
    Also the second time, when the answer is remembered, and for another extra.
    """
    expected = Marker(marker).evaluate({**LINUX, "extra": extra})

    answers = [holds(marker, LINUX, extra), holds(marker, LINUX, extra)]

    assert [expected, expected] == answers


def test_no_marker_always_holds() -> None:
    """
    It is valid, and stays empty in normal form.
    """
    assert (True, True, "") == (holds("", {}), readable(""), normal_form(""))


def test_an_invalid_marker_is_a_value_error() -> None:
    """
    Callers report it with the place that it comes from.
    """
    with pytest.raises(ValueError, match="sys_platform is linux"):
        holds("sys_platform is linux", LINUX)
