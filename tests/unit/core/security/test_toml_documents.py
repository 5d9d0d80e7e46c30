"""Parsing TOML from outside within limits of size and depth."""

import pytest

from mlflow_uv.core.security.toml_documents import DEPTH, Unbounded, Unparsable, parse_toml

LIMIT = 1_000_000


def nested(levels: int) -> bytes:
    """A TOML text whose value has this many levels of arrays, on its third line."""
    return f"a = 1\n\nb = {'[' * levels}{']' * levels}\n".encode()


def test_a_byte_order_mark_is_skipped() -> None:
    """
    Editors of Windows write it, and uv reads over it.
    """
    table = parse_toml(b'\xef\xbb\xbfname = "wine"\n', limit=LIMIT)

    assert {"name": "wine"} == table


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a = 1\nb = \n", 2),
        (b"a = 1\na = 2\n", 2),
        (b'a = 1\n\nb = "\xff"\n', 3),
    ],
    ids=["no value", "a key twice", "not UTF-8"],
)
def test_an_invalid_text_has_the_line_of_its_error(data: bytes, line: int) -> None:
    """
    Lines are counted from 1.
    """
    with pytest.raises(Unparsable) as caught:
        parse_toml(data, limit=LIMIT)

    assert line == caught.value.line


def test_a_text_of_exactly_the_limit_is_parsed() -> None:
    """
    One byte more is rejected before it is parsed.
    """
    data = b"a = 1\n"

    table = parse_toml(data, limit=len(data))
    with pytest.raises(Unbounded, match="no more than 0 MB are read"):
        parse_toml(data, limit=len(data) - 1)

    assert {"a": 1} == table


def test_the_table_itself_is_not_a_level() -> None:
    """
    DEPTH levels of values are parsed; the first level beyond is rejected at the line of the deepest bracket.
    """
    table = parse_toml(nested(DEPTH), limit=LIMIT)
    with pytest.raises(Unbounded, match=f"more than {DEPTH} levels") as caught:
        parse_toml(nested(DEPTH + 1), limit=LIMIT)

    assert (["a", "b"], 3) == (list(table), caught.value.line)


def test_a_text_too_deep_for_the_parser_is_unbounded() -> None:
    """
    Python's parser ends with RecursionError, which no caller of ours expects.
    """
    with pytest.raises(Unbounded):
        parse_toml(nested(100_000), limit=LIMIT)


def test_dots_of_keys_are_levels() -> None:
    """
    `a.a.a = 1` is as deep as three tables.
    """
    with pytest.raises(Unbounded):
        parse_toml((".".join("a" * (DEPTH + 2)) + " = 1\n").encode(), limit=LIMIT)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_brackets_in_a_text_of_several_lines_are_no_levels(quote: str) -> None:
    """
    Also where the text has two of its quotes in a row, which do not end it, and next to its end.
    """
    text = f"{'[' * (DEPTH + 1)}{quote * 2}{'[' * (DEPTH + 1)}\n{quote * 2}"

    assert {"a": text} == parse_toml(f"a = {quote * 3}{text}{quote * 3}\n".encode(), limit=LIMIT)
