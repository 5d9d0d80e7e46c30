"""Counts the cells that a text takes on a terminal, fills columns with them and cuts lines."""

import unicodedata

_ELLIPSIS = "…"
_EMOJI_STYLE = "\ufe0f"  # shows the symbol before it in two cells
_WIDE = frozenset("WF")  # UAX #11; ambiguous characters take one cell, as in rich and wcwidth
_COMBINING = frozenset({"Mn", "Me"})
_JOINERS = frozenset("\u200b\u200c\u200d\u2060\ufeff")
_CONJOINING = range(0x1160, 0x1200)  # vowels and ends of a Hangul syllable, which is drawn in the cells of its start
# Wide since Unicode 16, which Python knows from 3.14 on; and emoji that it does not know yet.
_WIDE_SINCE = (range(0x2630, 0x2638), range(0x268A, 0x2690), range(0x4DC0, 0x4E00), range(0x1D300, 0x1D380))
_EMOJI = range(0x1F000, 0x20000)


def cells(text: str) -> int:
    """
    The cells of a line without control characters.

    Emoji of several characters take those of all of them, as on terminals that do not join them: a line is rather cut
    too early than wrapped.
    """
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def padded(text: str, width: int) -> str:
    """The text with spaces up to a number of cells."""
    return text + " " * (width - cells(text))


def cut(text: str, width: int) -> str:
    """The text if it takes at most so many cells, else its start and an ellipsis; tabs are shown as one space."""
    text = text.replace("\t", " ")
    if cells(text) <= width:
        return text
    left, end = width - 1, 0
    for end, character in enumerate(text):  # noqa: B007  # where it no longer fits
        left -= _cells_of(character)
        if left < 0:
            break
    return f"{text[:end]}{_ELLIPSIS}"[: max(width, 0)]


def _cells_of(character: str) -> int:
    if character == _EMOJI_STYLE:
        return 1
    category, code = unicodedata.category(character), ord(character)
    if category in _COMBINING or character in _JOINERS or code in _CONJOINING:
        return 0
    is_newer = any(code in some for some in _WIDE_SINCE) or (category == "Cn" and code in _EMOJI)
    return 2 if is_newer or unicodedata.east_asian_width(character) in _WIDE else 1
