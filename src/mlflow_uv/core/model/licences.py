"""Decides which licence the metadata of a package declares, and keeps the licences of a model's packages as JSON."""

import json
from collections.abc import Iterable, Mapping

from ...payloads.messages.request import DeclaredLicence
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

Licences = Mapping[tuple[str, str], str]


def licence_of(declared: DeclaredLicence) -> str:
    """
    The declared licence as an SPDX expression, otherwise as the name that the package gives; empty if it gives none.

    `License-Expression` comes first (PEP 639), then a `License` that is an expression, then classifiers, then any other
    short `License`.
    """
    for text in (declared.expression, declared.text):
        if spdx := spdx_expression(text):
            return spdx
    if declared.classifiers:
        names = [_BY_CLASSIFIER.get(name, name) for name in declared.classifiers if name != "OSI Approved"]
        if names:
            return ", ".join(dict.fromkeys(names))
    line = " ".join(declared.text.split())
    return line if 0 < len(line) <= _LONGEST and line.upper() != "UNKNOWN" else ""


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
