r"""
Shows the characters that steer a terminal, a log or the reading order as escapes such as `\x1b` and `\u202e`.

These are the C0 and C1 controls, what ends a line, the bidirectional controls of Unicode (UAX #9) and lone surrogates.
Letters, signs and emoji of every script stay as they are, joiners included.
"""

import re

_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# ECMA-48: a string with its end, a control sequence, any other escape. An introducer never stands inside another, so
# that what never ends is read once.
_SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_SURROGATE_OF_BYTE = range(0xDC80, 0xDD00)  # how Python keeps a byte of a path that is not UTF-8


def visible(text: str) -> str:
    """The text in one line, with an escape for every character that steers."""
    return text if text.isprintable() else _STEERING.sub(_escape, text)


def visible_lines(text: str) -> tuple[str, ...]:
    """The lines of a text, each visible."""
    return tuple(visible(line) for line in _LINE_END.split(text))


def visible_columns(text: str) -> str:
    """The text in one line that keeps its tabs."""
    return text if text.isprintable() else "\t".join(map(visible, text.split("\t")))


def without_sequences(text: str) -> str:
    """What another program printed, without its terminal sequences (colours, links, titles), the rest visible."""
    return text if text.isprintable() else visible_columns(_SEQUENCE.sub("", text))


def escaped_json(text: str) -> str:
    """A JSON text with an escape for every character that steers; a byte of a path that is no text becomes U+FFFD."""
    return text if text.isascii() and "\x7f" not in text else _STEERING.sub(_escape_json, text)


def _escape_json(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004  # what stands between the values; inside of them it is escaped already
        return match[0]
    return "\N{REPLACEMENT CHARACTER}" if code in _SURROGATE_OF_BYTE else f"\\u{code:04x}"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code in _SURROGATE_OF_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")  # noqa: PLR2004  # a byte
