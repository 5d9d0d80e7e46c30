"""Computes a digest of the text of a licence that is the same for every holder, year and layout."""

import re
from hashlib import sha256

_BULLET = re.compile(r"^(?:\(?(?:\d{1,2}|[a-c])[.)]|[*•-])\s+")
_YEAR = r"(?:\d{4}(?: ?- ?(?:\d{4}|\d{2}|present)\b)?|[\[{<](?:year|yyyy)[\]}>])"
_COPYRIGHT = re.compile(rf"(?:copyright|\(c\)|©) ?(?:\(c\)|©)?,? ?(?:{_YEAR}(?:, ?{_YEAR})*,? ?(?:by )?|by )")
_NOTICE_LENGTH = 120  # characters; a longer line says more than who holds the rights
_HOLDER_LENGTH = 4  # words, without linking ones
# A line with one of these words, or one that begins so, may say more than who holds the rights.
_TERMS = re.compile(
    r"\b(?:acad\w*|access|affero|agree\w*|ai|all(?! rights reserved)|any|appl(?:y|ies|ied)|ban\w*|bound|busl|buy\w*|"
    r"cc|cddl|clause\w*|commercial\w*|commons|condition\w*|confidential\w*|consent\w*|copy|copies|cecill|distribut\w*|"
    r"den(?:y|ied)|educat\w*|epl|eupl|eula|evaluat\w*|evil|except\w*|exclu\w*|expir\w*|fee|fees|for|forbid\w*|gnu|good|"
    r"govern\w*|internal\w*|law\w*|licen[cs]\w*|may|military|modif\w*|mpl|must|never|no|non\w*|not|only|osl|owe\w*|"
    r"patent\w*|paid|pay\w*|pending|permi\w*|person\w*|polyform|private|prohibit\w*|propriet\w*|provided|purchas\w*|"
    r"refus\w*|research|reserv(?!ed\b)\w*|restrict\w*|revenue|revoc\w*|revok\w*|royalt\w*|rpl|sale|sell\w*|secret\w*|see|"
    r"shall|sspl|subject|subscri\w*|terms?|trade\w*|trial|unless|us(?:e|es|ed|ing|age)|version|void|will|without|wtfpl)\b"
    r"|\b(?:beerware|embargo\w*|fair|isc|or|sanction\w*|source|unlicen\w*|zlib)\b|\w*gpl"
)
_LINKING = frozenset({
    *("&", "and", "by", "da", "de", "del", "della", "der", "di", "do", "dos", "du", "el", "la", "le", "of", "the"),
    *("van", "von", "individual", "other", "others"),
})  # fmt: skip
_GROUPS = frozenset({"authors", "contributors", "developers", "development", "maintainers", "project", "team"})
_COMPANIES = frozenset({"co", "corp", "gmbh", "inc", "jr", "limited", "llc", "ltd", "sr"})
_NAME = re.compile(r"(?:[^\W\d_]|['-](?=[^\W\d_]))+")
_INITIALS = re.compile(r"(?:[A-Z]\.)+")
_ADDRESS = re.compile(r"[<(]?(?:[\w.+-]+@[\w.-]+|https?://[\w.-]+/?)[)>]?")
_PLACEHOLDER = re.compile(r"[\[{<](?:fullname|name of copyright owner|copyright holders?|owner|organization)[\]}>]")
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
    lines = (_line(line) for line in text.translate(_QUOTES).splitlines())
    counted = (line.casefold() for line in lines if line and not _is_copyright(line))
    words = " ".join(_BULLET.sub("", line) for line in counted).replace("''", '"')
    words = _ENDORSEMENT.sub("neither the name of the copyright holder nor the names of its contributors", words)
    return sha256(words.encode()).hexdigest()


def _line(text: str) -> str:
    """One line; metadata of old formats has a bar before each line of a longer value."""
    return " ".join(text.split()).removeprefix("|").strip()


def _is_copyright(line: str) -> bool:
    """
    Whether a line says who holds the rights since when, and nothing else.

    Names are short and begin with a capital, apart from linking words, a name of a group and a lone name in small
    letters. A word that nobody would expect in a name, a number and a second sentence are not part of a notice.
    """
    small = line.casefold()
    if _RIGHTS.fullmatch(small):
        return True
    start = _COPYRIGHT.match(small)
    if not start or len(small) != len(line) or len(line) > _NOTICE_LENGTH or _TERMS.search(small):
        return False
    holders = re.sub(r"[.,;]? ?all rights reserved\.?$", "", line[start.end() :], flags=re.IGNORECASE).removesuffix(".")
    if _PLACEHOLDER.fullmatch(holders.casefold()):
        return True
    first, *others = re.split(r", ?| and | & ", holders)
    return _is_holder(first, alone=not others) and all(_is_holder(other, alone=False) for other in others)


def _is_holder(text: str, *, alone: bool) -> bool:
    """Whether a part of a notice is a name, with an address after it; `alone` if it is the only one."""
    words = text.split()
    while words and _ADDRESS.fullmatch(words[-1]):
        words.pop()
    if not words or sum(word.casefold() not in _LINKING for word in words) > _HOLDER_LENGTH:
        return False
    *before, last = words
    if last.casefold().removesuffix(".") in _COMPANIES:
        return all(map(_is_name, before))
    if not alone and not before and last.isupper():  # an abbreviation of a licence, rather than a second holder
        return False
    abbreviated = any(len(part) > 1 and part.isupper() for part in last.split("-"))
    if before and abbreviated and not all(map(str.isupper, before)):  # of a licence after a name, as in HPND-doc
        return False
    if last in _GROUPS:
        names = [word for word in before if word.casefold() not in _LINKING | _GROUPS]
        return all(map(_is_name, names)) or (len(names) == 1 and bool(_NAME.fullmatch(names[0])))
    return all(map(_is_name, words)) or (alone and not before and bool(_NAME.fullmatch(last)))


def _is_name(word: str) -> bool:
    if word in _LINKING or _INITIALS.fullmatch(word):
        return True
    return bool(_NAME.fullmatch(word)) and word[0].isupper()
