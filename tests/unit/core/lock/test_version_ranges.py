"""Versions in a range."""

import pytest

from mlflow_uv.core.lock.version_ranges import in_range


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
