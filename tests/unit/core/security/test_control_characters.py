"""Escaping the characters that control a terminal, a log or the reading order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.security.control_characters import (
    escaped_json,
    visible,
    visible_columns,
    visible_lines,
    without_sequences,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 酒 👩‍🌾", "naïve 酒 👩‍🌾"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        ("a\u2028b\x7f", r"a\u2028b\x7f"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
    ids=[
        "letters and emoji",
        "white space",
        "escape",
        "C1",
        "bidirectional",
        "line end",
        "byte of a path",
        "surrogate",
    ],
)
def test_what_controls_is_escaped_and_the_rest_stays(text: str, shown: str) -> None:
    """
    Letters, symbols and joined emoji of every script are text.
    """
    assert shown == visible(text)


@given(st.text())
def test_a_visible_text_is_one_line_that_steers_nothing(text: str) -> None:
    """
    Escaping it again changes nothing, since no control character is left.
    """
    shown = visible(text)

    assert (shown, 1) == (visible(shown), len((shown or "x").splitlines()))


def test_every_kind_of_line_end_separates_lines() -> None:
    r"""
    Those of Python and of Unicode; `\r\n` is one of them.
    """
    lines = visible_lines("a\r\nb\nc\rd\x0be\u2028f\x85g\t")

    assert ("a", "b", "c", "d", "e", "f", r"g\t") == lines


def test_tabs_separate_columns() -> None:
    """
    Nothing else that controls is left.
    """
    assert "a\tb\\n\tc" == visible_columns("a\tb\n\tc")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m wine", "red wine"),
        ("\x1b]8;;https://x.test\x1b\\here\x1b]8;;\x07", "here"),
        ("\x9b31mred", "red"),
        ("\x1b]0;a title without an end", r"\x1b]0;a title without an end"),
        ("100%\x1b[Kdone\r", r"100%done\r"),
    ],
    ids=["colours", "link", "C1", "unterminated", "erase"],
)
def test_terminal_sequences_are_removed_whole(text: str, shown: str) -> None:
    """
    A sequence without its terminator is escaped, so that it cannot swallow what follows.
    """
    assert shown == without_sequences(text)


@given(st.dictionaries(st.text(), st.text()))
def test_escaped_json_is_the_same_json(value: dict[str, str]) -> None:
    """
    Only its notation differs.
    """
    text = escaped_json(json.dumps(value, ensure_ascii=False, indent=1))

    assert value == json.loads(text)


def test_a_byte_that_is_no_text_is_replaced_in_json() -> None:
    """
    JSON has no notation for it; a lone surrogate has one.
    """
    assert '["\ufffd", "\\ud800", "\\u009b"]' == escaped_json('["\udce9", "\ud800", "\x9b"]')
