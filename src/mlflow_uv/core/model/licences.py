"""Decides which licence the metadata of a package declares, and keeps the licences of a model's packages as JSON."""

import json
from collections.abc import Iterable, Mapping

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.request import CUT, DeclaredLicence
from ..security.documents import parse_json
from ..security.toml_documents import Unparsable

_LONGEST = 80  # characters of a name; a longer `License` is the text of one
# Classifiers that mean one licence of SPDX. Others, such as `BSD License`, stay names.
_BY_CLASSIFIER = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
}

_NO_LICENCE = frozenset({"OSI Approved", "DFSG approved"})
_OPERATORS = frozenset({"and", "or", "with"})
_WORD = lazy_pattern(r"[a-z]+")
_FAMILIES = {"psf": "python", "psfl": "python", "mozilla": "mpl", "affero": "agpl", "lesser": "lgpl", "zope": "zpl"}
# Words in the names of licences of several families.
_COMMON_WORDS = _OPERATORS | {
    *("a", "the", "of", "for", "in", "to", "is", "see", "file", "txt", "md", "rst", "v", "version", "other", "only"),
    *("license", "licence", "licensed", "licenses", "software", "public", "general", "open", "source", "free", "gnu"),
    *("foundation", "later", "new", "modified", "simplified", "clause", "standard", "approved", "dual"),
}

Licences = Mapping[tuple[str, str], str]


def licence_of(declared: DeclaredLicence) -> str:
    """
    The declared licence as an SPDX expression, otherwise as the name that the package gives; empty if it is unknown.

    `License-Expression` comes first (PEP 639), then a `License` that is an expression, then classifiers, then any other
    short `License`. It is unknown if `License-Expression` is no expression, and if two fields share no name of a
    licence: which of them holds is not known.
    """
    expression = spdx_expression(declared.expression)
    if (declared.expression.strip() and not expression) or _is_cut_expression(declared.text):
        return ""
    classifiers = tuple(dict.fromkeys(name for name in declared.classifiers if name not in _NO_LICENCE))
    text = spdx_expression(declared.text) or _short_name(declared.text)
    names = ", ".join(dict.fromkeys(_BY_CLASSIFIER.get(name, name) for name in classifiers))
    if expression or spdx_expression(text):
        exact = expression or text
        others = (text, *classifiers)
        return exact if all(_agree(exact, other) for other in others if other) else ""
    if names and text and not any(_agree(name, text) for name in classifiers):
        return ""
    return names or text


def _short_name(text: str) -> str:
    """A `License` on one line; empty for the text of a licence and for a value that names none."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST and line.upper() != "UNKNOWN" else ""


def _agree(one: str, other: str) -> bool:
    """
    Whether two statements name a licence of one family, as `Apache Software License` and `Apache-2.0` do.

    A statement that names none, such as `Dual License`, agrees with any.
    """
    families, others = _families(one), _families(other)
    return not families or not others or bool(families & others)


def _families(text: str) -> set[str]:
    words = (word.removesuffix("v") for word in _WORD.findall(text.casefold()))
    return {_FAMILIES.get(word, word) for word in words} - _COMMON_WORDS


def _is_cut_expression(text: str) -> bool:
    """Whether a text is an expression whose end is missing; its first words are licences with operators between."""
    if not text.endswith(CUT):
        return False
    words = text.replace("(", " ").replace(")", " ").casefold().split()
    return len(words) > 1 and set(words[1:-1:2]) <= _OPERATORS


def spdx_expression(text: str) -> str:
    """The canonical form of an SPDX expression, empty for any other text."""
    from packaging.licenses import (  # noqa: PLC0415  # few steps read licences
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    try:
        return str(canonicalize_license_expression(text)) if text.strip() else ""
    except InvalidLicenseExpression:
        return ""


def licences_file(packages: Iterable[DeclaredLicence]) -> str:
    """The licences of packages by name and version; one that declares none is left out."""
    found = {f"{package.name}=={package.version}": licence_of(package) for package in packages}
    return json.dumps({name: licence for name, licence in sorted(found.items()) if licence}, indent=1) + "\n"


def read_licences(data: bytes) -> Licences:
    """The licences of a file by name and version. Raises ValueError for any other content."""
    try:
        raw = parse_json(data)
    except Unparsable as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if not isinstance(raw, dict) or not all(isinstance(licence, str) for licence in raw.values()):
        raise ValueError("it is not a table of licences")
    pairs = ((name.partition("=="), licence) for name, licence in raw.items())
    return {(name, version): licence for (name, _, version), licence in pairs}
