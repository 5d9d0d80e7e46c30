"""Parsing uv's warnings about settings that it ignores."""

from mlflow_uv.core.freshness.ignored_settings import parse_ignored_settings, parse_shadowed_keys

UNKNOWN = """\
warning: Failed to parse `pyproject.toml` during settings discovery:
  TOML parse error at line 7, column 1
    |
  7 | exclude-newr = "2026-05-01"
    | ^^^^^^^^^^^^
  unknown field `exclude-newr`, expected one of `exclude-newer`, `index`, `sources`

Resolved 3 packages in 2ms
"""
WRONG = """\
warning: Failed to parse `libs/cork/uv.toml` during settings discovery:
  invalid type: integer `3`, expected a string
"""
SHADOWED = """\
warning: Found both a `uv.toml` file and a `[tool.uv]` section in an adjacent `pyproject.toml`. These are ignored:
- index
- exclude-newer
Resolved 3 packages in 2ms
"""


def test_a_misspelt_key_is_named_with_the_closest_one() -> None:
    """
    uv's own reason lists every key that there is.
    """
    (found,) = parse_ignored_settings(UNKNOWN)

    assert ("pyproject.toml", 7, "unknown field `exclude-newr`, perhaps `exclude-newer`") == found


def test_each_file_is_reported_once_in_order() -> None:
    """
    uv repeats its warning; without a line in it, the first line is meant, and another reason stays as it is.
    """
    found = list(parse_ignored_settings(UNKNOWN + WRONG + UNKNOWN))

    assert [
        ("pyproject.toml", 7, "unknown field `exclude-newr`, perhaps `exclude-newer`"),
        ("libs/cork/uv.toml", 1, "invalid type: integer `3`, expected a string"),
    ] == found


def test_a_key_like_no_other_has_no_suggestion() -> None:
    """
    A wrong suggestion would be worse than none.
    """
    (found,) = parse_ignored_settings(UNKNOWN.replace("`exclude-newr`", "`zzzz`"))

    assert "unknown field `zzzz`" == found.why


def test_keys_shadowed_by_a_uv_toml_are_listed() -> None:
    """
    In the order in which uv lists them; without the warning there are none.
    """
    assert (("index", "exclude-newer"), ()) == (parse_shadowed_keys(SHADOWED), parse_shadowed_keys(UNKNOWN))
