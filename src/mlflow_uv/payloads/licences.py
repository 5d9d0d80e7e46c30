"""Reads the licences that the metadata of installed packages declares."""

import re
import sys
from collections.abc import Iterable, Iterator
from email.message import Message
from importlib import metadata

from .distributions import headers_of
from .messages.request import CUT, DeclaredLicence, DescribeLicences, LicenceDescription

_CLASSIFIER = "License ::"
_LONGEST = 200  # characters; many packages have the whole text of a licence in `License`


def describe(_request: DescribeLicences) -> LicenceDescription:
    """Describe every package that this interpreter finds."""
    return licences_on(sys.path)


def licences_on(path: Iterable[str]) -> LicenceDescription:
    """Describe every package in these folders; the first one of a name counts, as for an import."""
    found: dict[str, DeclaredLicence] = {}
    for declared in _declared(path):
        found.setdefault(declared.name, declared)
    return LicenceDescription(packages=tuple(found[name] for name in sorted(found)))


def _declared(path: Iterable[str]) -> Iterator[DeclaredLicence]:
    for distribution in metadata.distributions(path=list(path)):
        headers = headers_of(distribution)
        name, version = headers.get("Name"), headers.get("Version")
        if not name or not version:  # a folder that an uninstallation left behind
            continue
        classifiers = (text for text in headers.get_all("Classifier") or () if text.startswith(_CLASSIFIER))
        yield DeclaredLicence(
            name=re.sub(r"[-_.]+", "-", name).lower(),
            version=version,
            expression=_field(headers, "License-Expression"),
            text=_field(headers, "License"),
            classifiers=tuple(sorted(_shortened(text.rpartition("::")[2].strip()) for text in classifiers)),
        )


def _field(headers: Message, name: str) -> str:
    """A field that the metadata should have once; several values are no expression, so that none of them counts."""
    return _shortened(", ".join(dict.fromkeys(headers.get_all(name) or ())))


def _shortened(text: str) -> str:
    """A text with a mark where its end is missing: the beginning of an expression is another licence."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + CUT
