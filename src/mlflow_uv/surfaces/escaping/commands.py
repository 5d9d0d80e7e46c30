"""
Writes workflow commands, and lines that the runner must not read as commands.

The runner ends lines at CR too, trims them before it looks for `::`, and finds `##[` anywhere: ActionCommand.cs.
"""

import re

from actions_toolkit.command import Command

from ...core.security.control_characters import visible, visible_columns, visible_lines, without_sequences

_LENGTH = 10_000  # characters of an annotation's message; GitHub takes 64 KiB
_TITLE = 255  # characters that GitHub takes of a title


def command(name: str, message: str, **properties: object) -> str:
    """One workflow command in one line, its message of one or several lines; properties that are None are left out."""
    kept = {key: visible(str(value)) for key, value in properties.items() if value is not None}
    if "title" in kept:
        kept["title"] = _cut(kept["title"], _TITLE)
    return str(Command(name, kept, _cut("\n".join(visible_lines(message)), _LENGTH)))


def text_lines(text: str) -> tuple[str, ...]:
    """The lines of a text of ours, which may quote a foreign one, each with its tabs and none of them a command."""
    return tuple(_defused(visible_columns(line)) for line in re.split(r"\r\n|\r|\n", text))


def fenced_line(line: str, *, fence: str) -> str:
    """One line of another program between `::stop-commands::FENCE` and `::FENCE::`, without the token that ends it."""
    return without_sequences(line.replace("\r", " ")).replace(fence, "***")


def _defused(line: str) -> str:
    return re.sub(r"^(\s*)::", r"\1: :", line).replace("##[", "# #[")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
