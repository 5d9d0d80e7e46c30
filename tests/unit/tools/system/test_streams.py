"""The output of a program is read to its end, line by line, without secrets."""

import io

from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.tools.system.streams import drain_masked, drain_verbatim

SECRET = "hunter2-hunter2"


@given(st.binary(max_size=200))
def test_data_is_kept_to_the_byte(data: bytes) -> None:
    """
    Whatever it is: it can be encoded again.
    """
    lines: list[str] = []

    drain_verbatim(io.BytesIO(data), lines)

    assert data == "".join(lines).encode(errors="surrogateescape")


@given(st.lists(st.sampled_from([SECRET, "a", " ", "\n", "é", "hunter2"]), max_size=20).map("".join))
def test_no_line_has_a_secret(text: str) -> None:
    """
    Neither those that are kept nor those that are shown, which are the same.
    """
    lines: list[str] = []
    shown: list[str] = []

    drain_masked(io.BytesIO(text.encode()), lines, shown.append, (SECRET,))

    assert SECRET not in "".join(lines)
    assert shown == [line.rstrip("\r\n") for line in lines]


def test_bytes_that_are_no_text_do_not_end_the_reading() -> None:
    """
    They are shown as what they are not.
    """
    lines: list[str] = []

    drain_masked(io.BytesIO(b"a\xff\nb\n"), lines, None, ())

    assert ["a\ufffd\n", "b\n"] == lines


def test_a_console_that_is_closed_does_not_block_the_program() -> None:
    """
    Its output is read to the end all the same, and the console is not called again.
    """
    lines: list[str] = []
    calls: list[str] = []

    def closed(line: str) -> None:
        calls.append(line)
        raise BrokenPipeError

    drain_masked(io.BytesIO(b"a\nb\nc\n"), lines, closed, ())

    assert (["a\n", "b\n", "c\n"], ["a"]) == (lines, calls)


def test_the_stream_is_closed() -> None:
    """
    Also without a line.
    """
    stream = io.BytesIO()

    drain_masked(stream, [], None, ())

    assert stream.closed
