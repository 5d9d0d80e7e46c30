"""Writes lines to the log on standard error, in which no name of a file or text of a model makes another line."""

import re
import sys

# Controls, line ends, the bidirectional controls of Unicode and lone surrogates, as `core/security/control_characters`.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def log(sentence: str, details: str = "") -> None:
    """Write a sentence as one line, after details that may have several; written at once, because workers log, too."""
    lines = (*details.split("\n"), sentence) if details else (sentence,)
    sys.stderr.write("".join(f"{_CONTROLS.sub(_escaped, line)}\n" for line in lines))
    sys.stderr.flush()


def _escaped(match: "re.Match[str]") -> str:
    return match[0].encode("unicode_escape").decode("ascii")
