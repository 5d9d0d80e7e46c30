r"""
Escapes characters that control a terminal, a log or the reading order, such as `\x1b` and `\u202e`.

These are the C0 and C1 controls, line ends, the bidirectional controls of Unicode (UAX #9) and lone surrogates.
Letters, symbols and emoji of every script, including joiners, stay as they are.
"""

import re

from ...command.lazy_pattern import lazy_pattern

_STEERING = lazy_pattern("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_END = lazy_pattern(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# ECMA-48: a string with its terminator, a control sequence, any other escape. An introducer never occurs inside another
# sequence, so that text without a terminator is scanned once.
_SEQUENCE = lazy_pattern(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_SPACE, _LAST_BYTE = 0x20, 0xFF
_SURROGATE_OF_BYTE = range(0xDC80, 0xDD00)  # how Python keeps a byte of a path that is not UTF-8


def visible(text: str) -> str:
    """The text on one line, with every control character escaped."""
    return text if text.isprintable() else _STEERING.sub(_escape, text)


def visible_lines(text: str) -> tuple[str, ...]:
    """The lines of a text, each with control characters escaped."""
    return tuple(visible(line) for line in _LINE_END.split(text))


def visible_columns(text: str) -> str:
    """The text on one line, with every control character except tabs escaped."""
    return text if text.isprintable() else "\t".join(map(visible, text.split("\t")))


def without_sequences(text: str) -> str:
    """Output of another program without terminal sequences (colours, links, titles), the rest escaped."""
    return text if text.isprintable() else visible_columns(_SEQUENCE.sub("", text))


def escaped_json(text: str) -> str:
    """A JSON text with control characters escaped; a byte of a path that is not UTF-8 becomes U+FFFD."""
    return text if text.isascii() and "\x7f" not in text else _STEERING.sub(_escape_json, text)


def _escape_json(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < _SPACE:  # white space between values; inside values it is escaped already
        return match[0]
    return "\N{REPLACEMENT CHARACTER}" if code in _SURROGATE_OF_BYTE else f"\\u{code:04x}"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code in _SURROGATE_OF_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return _SHORT.get(character) or (f"\\x{code:02x}" if code <= _LAST_BYTE else f"\\u{code:04x}")
