"""Splits a command line into words, and rejects syntax that only a shell understands."""

import json
import re
import shlex
from collections.abc import Sequence

from .errors import BadInput
from .lazy_pattern import lazy_pattern
from .wording import option

# Operators of a shell outside of quotes, longest first; expansions also apply inside double quotes.
_OPERATORS = ("&&", "||", ">>", "<<", "|", ";", "&", ">", "<")
_EXPANSION = lazy_pattern(r"`|\$[({]|\$[A-Za-z_]\w*")
_ASSIGNMENT = lazy_pattern(r"\s*[A-Za-z_]\w*=")
# A line break before another command. Before an option or at the end of the text it is taken for a continuation.
_NEXT_COMMAND = lazy_pattern(r"\n\s*(?![\s-])(?=\S)")


class NeedsShell(Exception):
    """A command line that requires a shell, because of the operator or expansion `sign`."""

    def __init__(self, sign: str, command: str) -> None:
        super().__init__(sign)
        self.sign = sign
        self.command = command


def words_of(raw: str | Sequence[str], *, name: str, source: str) -> tuple[str, ...]:
    """The words of the input `name`, from one text or a list; `source` names it in errors. Raises BadInput."""
    try:
        if isinstance(raw, str):
            return split(raw)
        refuse_operators(raw)
        return tuple(raw)
    except ValueError as error:
        raise BadInput(what=f"{source} is not a command line", why=f"{error}: {raw!r}") from None
    except NeedsShell as error:
        command = shell_command(error)
        setting = f"{name} = {json.dumps(command, ensure_ascii=False)}"
        raise BadInput(
            what=f"{source} requires a shell, but is run without one",
            why=f"{error.sign} and what follows it would be passed to the program; quote it if that is intended",
            fix=setting if source.endswith("[tool.mlflow-uv]") else option(name, command),
        ) from None


def quoted(raw: str | Sequence[str], *, source: str) -> tuple[str, ...]:
    """Words that are not a command, from one text with quotes or a list. Raises BadInput."""
    try:
        return tuple(shlex.split(raw) if isinstance(raw, str) else raw)
    except ValueError as error:
        raise BadInput(what=f"{source} has an unterminated quote", why=f"{error}: {raw!r}") from None


def split(text: str) -> tuple[str, ...]:
    """The words of a command line, a backslash at the end of a line joined. Raises ValueError, NeedsShell."""
    joined = text.replace("\\\n", "")
    words = tuple(shlex.split(joined))
    sign = _shell_sign(joined.strip())
    if sign is not None:
        raise NeedsShell(sign, text.strip())
    return words


def refuse_operators(words: Sequence[str]) -> None:
    """Raise NeedsShell for a word in a list that is an operator."""
    for word in words:
        if re.fullmatch(r"\d?(&&|\|\|?|;|&|>>?|<<?)(&\d)?", word):
            raise NeedsShell(word, " ".join(part if part == word else shlex.quote(part) for part in words))


def shell_command(error: NeedsShell) -> str:
    """The `sh -c` command line that runs it; with several commands, the first failure ends it."""
    flags = "-ec" if "\n" in error.command or ";" in error.command else "-c"
    return f"sh {flags} {shlex.quote(error.command)}"


def _shell_sign(text: str) -> str | None:
    """The first operator, expansion or leading assignment that is not quoted; None if there is none."""
    if assignment := _ASSIGNMENT.match(text):
        return assignment[0].strip()
    quote, at = "", 0
    while at < len(text):
        sign = text[at]
        if quote == "'":
            quote = "" if sign == "'" else quote
        elif sign == "\\":
            at += 1
        elif sign == '"':
            quote = "" if quote else sign
        elif not quote and sign == "'":
            quote = sign
        elif expansion := _EXPANSION.match(text, at):
            return expansion[0]
        elif not quote and (operator := _operator(text, at)):
            return operator
        at += 1
    return None


def _operator(text: str, at: int) -> str | None:
    if _NEXT_COMMAND.match(text, at):
        return "a line break"
    return next((operator for operator in _OPERATORS if text.startswith(operator, at)), None)
