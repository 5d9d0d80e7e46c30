"""Decides which licence the metadata of a package declares, and keeps the licences of a model's packages as JSON."""

import json
from collections.abc import Iterable, Mapping

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.request import CUT, DeclaredLicence
from ..security.documents import parse_json
from ..security.toml_documents import Unparsable

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

# The digests of `payloads.licence_texts` of the texts in the list of SPDX, with the titles that packages give them. The
# texts of GPL and LGPL do not say whether later versions hold too.
LICENCE_BY_TEXT = {
    # without a title, and with `MIT License`, `The MIT License`, `The MIT License (MIT)` and `MIT License (MIT)`
    "56959050891f7b737ac4e803051170c7197f02df73d80bd9a78d968e305bf558": "MIT",
    "69539425723b87be2bdbc194c23a63b78c57c7a0ea2b261b3845c396bc7bda60": "MIT",
    "956885c197bda909d9795b213515606faba9baa33f54aa84dc002149240eee80": "MIT",
    "1673fc9bcd589fe70a9a86f9052219695248c51a4ca3aac699ce94492880d439": "MIT",
    "3e917b56f3d091ac19a6e73e9edb1db46df2c6b0e7ce5d5bd0d9200865f5ed07": "MIT",
    # without a title, and with one
    "f7737e83d7d22d6fcf82026dec12bd6d8a182362b207e402117edff1f58bcad4": "BSD-3-Clause",
    "842a5c28c810db9f2f9f8ad8d9d48019ec530b7dde4722edd464736ddad3b0ff": "BSD-3-Clause",
    "11cf92b65eda2f9cd73e18d3066283da5c37dd1f10edf0e3ac9889ac7634fe65": "BSD-2-Clause",
    "9f9961d9066f5486492e356796b424eb1086e8beaa97b3a56fc63d805154053c": "BSD-2-Clause",
    "a2a686418bbdbf37f28aaf01ff3aef45cfe077a641470465923c8c23fcbe08f9": "ISC",
    "4e12fe9b6d3a4f68ad762e50130c6dfbd33d74f7c69f433c2e7d2904b42912bb": "ISC",
    # with the appendix, with an address by https, without the appendix, and without the line before it
    "cb295458033ba04a55a029006ae89ebebbed7a839fba0093e5db0f36924d6064": "Apache-2.0",
    "37472fe5886c89d2bfc702786e546714e372a7099744f32594bdbc348a26caf4": "Apache-2.0",
    "e2e9cb04043846a6af718d917afad383765e1b6d6eeb5580d341a8b51d5c65f7": "Apache-2.0",
    "124c1645812144bef547d2299362e5add8f589fdce50837af616b13534b85446": "Apache-2.0",
    "fc04d3ad04e12100adb1e5cee705ee7e435ded59e478eb47c79787ccfc08d4d6": "MPL-2.0",
    "1038fefb4162c5e42b425e328f9ef076b1246ea7c15b8eafea6ffe507f7be3f0": "BSL-1.0",
    "a077edd57812eb6723644b47763dbf1c7f51844d518c4bf6ec21a11e7d5a287d": "Unlicense",
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
    short `License`. Without any of them it is the licence whose text the package has; of several texts each must be
    known. It is unknown if `License-Expression` is no expression, and if two fields share no name of a licence: which
    of them holds is not known.
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
    return names or text or _named_by_texts(declared.texts)


def _named_by_texts(digests: Iterable[str]) -> str:
    """The licences with these texts; empty if one of them is no exact text of a licence."""
    licences = tuple(dict.fromkeys(LICENCE_BY_TEXT.get(digest, "") for digest in digests))
    return ", ".join(licences) if all(licences) else ""


def _short_name(text: str) -> str:
    """A `License` on one line; empty for a value that names none, and for one that was cut, which `texts` has."""
    line = " ".join(text.split())
    return "" if line.endswith(CUT) or line.upper() == "UNKNOWN" else line


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
    licences = {f"{package.name}=={package.version}": licence_of(package) for package in packages}
    return json.dumps({name: licence for name, licence in sorted(licences.items()) if licence}, indent=1) + "\n"


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
