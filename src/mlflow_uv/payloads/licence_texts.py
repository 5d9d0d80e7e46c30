"""Computes a digest of the text of a licence that is the same for every holder, year and layout."""

import re
from hashlib import sha256

_BULLET = re.compile(r"^(?:\(?(?:\d{1,2}|[a-c])[.)]|[*•-])\s+")
_COPYRIGHT = re.compile(r"(?:copyright|\(c\)|©) ?(?:\(c\)|©)?,? ?(?:\d{4}|[\[{<](?:year|yyyy)[\]}>]|by )[^\n]{0,100}")
# A line with one of these words may say more than who holds the rights.
_TERMS = re.compile(
    r"\b(?:access|agree\w*|all(?! rights reserved)|commercial\w*|condition\w*|confidential|copy|copies|distribut\w*|"
    r"except\w*|for|forbid\w*|internal\w*|licen[cs]\w*|may|modif\w*|must|no|non\w*|not|only|permi\w*|prohibit\w*|"
    r"propriet\w*|provided|research|restrict\w*|shall|subject|unless|us(?:e|es|ed|ing)|will|without)\b"
)
_RIGHTS = re.compile(r"all rights reserved\.?")
_ENDORSEMENT = re.compile(r"neither the name of [^.;]{1,80}? nor the names of its contributors")
# Curved quotation marks, long dashes and the grave accent.
_QUOTES = str.maketrans("\u201c\u201d\u2018\u2019\u2013\u2014`", "\"\"''--'")


def licence_text_digest(text: str) -> str:
    """
    Return the SHA-256 of the words of a text.

    As the matching guidelines of SPDX have it, copyright notices, bullets, case, quotation marks and white space do not
    count, nor does the name in the clause of BSD-3-Clause that forbids endorsement. Everything else does, also a title:
    with one more word it is another text.
    """
    lines = (_line(line) for line in text.translate(_QUOTES).casefold().splitlines())
    words = " ".join(_BULLET.sub("", line) for line in lines if line and not _is_copyright(line)).replace("''", '"')
    words = _ENDORSEMENT.sub("neither the name of the copyright holder nor the names of its contributors", words)
    return sha256(words.encode()).hexdigest()


def _line(text: str) -> str:
    """One line; metadata of old formats has a bar before each line of a longer value."""
    return " ".join(text.split()).removeprefix("|").strip()


def _is_copyright(line: str) -> bool:
    if _RIGHTS.fullmatch(line):
        return True
    return bool(_COPYRIGHT.fullmatch(line)) and not _TERMS.search(line)
