"""What the server logs is lines that nobody else can begin."""

import pytest

from mlflow_uv.core.security.control_characters import visible
from mlflow_uv.serving.process.log import log


def test_a_sentence_is_one_line_after_its_details(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A name of a file in it begins no line of its own, and steers no terminal.
    """
    log("The model is not signed: a\nforged \x1b[2Jline.", "Traceback\n  of \x1b[1mit")

    assert "Traceback\n  of \\x1b[1mit\nThe model is not signed: a\\nforged \\x1b[2Jline.\n" == capsys.readouterr().err


def test_the_same_characters_are_escaped_as_in_this_programs_own_messages(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The server is a program of its own, in an image without the other module.
    """
    characters = [chr(code) for code in range(0x3000)]

    for character in characters:
        log(character)

    assert [visible(one) for one in characters] == capsys.readouterr().err.split("\n")[:-1]
