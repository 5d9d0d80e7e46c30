"""A Dockerfile is split as BuildKit splits it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.lint.dockerfiles import commands_of, instructions_of


def commands(text: str) -> list[tuple[tuple[str, ...], int]]:
    """The words and lines of the commands of every RUN."""
    return [
        (command.words, command.line)
        for run in instructions_of(text)
        if run.name == "RUN"
        for command in commands_of(run)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN a b && c;d | e", [(("a", "b"), 1), (("c",), 1), (("d",), 1), (("e",), 1)]),
        ("run a \\\n\n  # comment\n  && b 'c && d'\n", [(("a",), 1), (("b", "c && d"), 4)]),
        ("# escape=`\nRUN a `\n  b\n", [(("a", "b"), 2)]),
        (
            "RUN <<E bash\na\nb c\nE\nRUN d\n",
            [(("<<E", "bash"), 1), (("a",), 2), (("b", "c"), 3), (("E",), 4), (("d",), 5)],
        ),
        ('RUN --mount=type=bind,source=a --network=none ["a", "b c"]', [(("a", "b c"), 1)]),
        ('RUN ["sh", "-c", "a b"]', [(("a", "b"), 1)]),
        ("RUN (a) && { b; }", [(("a)",), 1), (("b",), 1), (("}",), 1)]),
        ("COPY <<EOF /a\nRUN no\nEOF\nRUN yes\r\n", [(("yes",), 4)]),
    ],
)  # fmt: skip
def test_commands_have_their_words_and_lines(text: str, expected: list[tuple[tuple[str, ...], int]]) -> None:
    """
    Continued lines, comments between them, here-documents and JSON.
    """
    assert expected == commands(text)


def test_the_offset_of_a_command_is_its_first_character() -> None:
    """
    On a continued line too, so that an edit changes that command.
    """
    text = "FROM x\nRUN a && \\\n   uv sync\nRUN <<E\n uv lock\nE\n"

    offsets = [c.offset for run in instructions_of(text) if run.name == "RUN" for c in commands_of(run)]

    firsts = [text[offset:].partition("\n")[0].strip(" \\") for offset in offsets]
    assert ["a &&", "uv sync", "<<E", "uv lock", "E"] == firsts


@given(st.text("RUN \\\n\"'<E[]&|;#\0\r", max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    """
    Every command is on a line of the text.
    """
    assert all(1 <= line <= text.count("\n") + 1 for _, line in commands(text))


@pytest.mark.parametrize("unit", [";", "'a;", "RUN <<EOF\n", '["\\', "uv sync;"])
def test_a_long_text_is_read_quickly(unit: str) -> None:
    """
    Up to a length that no Dockerfile has; a longer one is data.
    """
    started = time.process_time()

    found = commands("RUN " + unit * (190_000 // len(unit)))
    data = commands("RUN " + unit * (900_000 // len(unit)))

    assert (True, [], True) == (len(found) >= 0, data, time.process_time() - started < 5)


def test_a_string_that_is_not_closed_is_no_word() -> None:
    """
    Those before it are.
    """
    assert [(("a", 'b\\"'), 1)] == commands(r'RUN ["a", "b\"", "c\"')
