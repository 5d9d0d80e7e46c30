"""Opcodes and their arguments have the lengths that CPython's unpickler gives them."""

import io

import pytest

from mlflow_uv.core.security.pickle_opcodes import Incomplete, PickleOpcodes, memo_index, quoted_text


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        (b"I0x10\n0", [b"0x10", b""]),
        (b"X\x02\0\0\0ab.", [b"ab", b""]),
        (b"T\x02\0\0\0ab.", [b"ab", b""]),
        (b"V" + b"x" * 70_000 + b"\n.", [None, b""]),
        (b"B\x01\x00\x01\x00" + bytes(65_537) + b".", [None, b""]),
        (b"Ia", [b""]),
    ],
    ids=["line", "counted", "BINSTRING", "long line", "long bytes", "no line feed"],
)
def test_an_argument_ends_where_the_unpickler_ends_it(content: bytes, arguments: list[bytes | None]) -> None:
    """
    What is too long for a name is skipped.
    """
    opcodes = PickleOpcodes(io.BytesIO(content))

    assert arguments == [opcodes.argument(opcodes.opcode().arg) for _ in arguments]


@pytest.mark.parametrize("content", [b"", b"\xff", b"X\x02\0\0\0a", b"B\xff\xff\xff\xff", b"I"])
def test_what_ends_early_is_incomplete(content: bytes) -> None:
    """
    The unpickler stops there, too.
    """
    opcodes = PickleOpcodes(io.BytesIO(content))

    with pytest.raises(Incomplete):
        opcodes.argument(opcodes.opcode().arg)


def test_texts_and_numbers_are_read_as_c_reads_them() -> None:
    """
    Escapes of bytes, and numbers that end at a zero byte.
    """
    assert ["posix", None, None] == [quoted_text(text) for text in (b"'po\\x73ix'", b"posix", b"'")]
    assert [1, 258] == [memo_index(b" 1\0x", line=True), memo_index(b"\x02\x01", line=False)]
    with pytest.raises(Incomplete):
        memo_index(b"x", line=True)
