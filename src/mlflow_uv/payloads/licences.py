"""Reads the licences that the metadata of installed packages declares."""

import re
import sys
from collections.abc import Iterable, Iterator
from email.message import Message
from importlib import metadata
from typing import cast

from .messages.request import DeclaredLicence, DescribeLicences, LicenceDescription

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
        headers = cast("Message", distribution.metadata)
        name, version = headers.get("Name"), headers.get("Version")
        if not name or not version:  # a folder that an uninstallation left behind
            continue
        classifiers = (text for text in headers.get_all("Classifier") or () if text.startswith(_CLASSIFIER))
        yield DeclaredLicence(
            name=re.sub(r"[-_.]+", "-", name).lower(),
            version=version,
            expression=(headers.get("License-Expression") or "")[:_LONGEST],
            text=(headers.get("License") or "")[:_LONGEST],
            classifiers=tuple(sorted(text.rpartition("::")[2].strip()[:_LONGEST] for text in classifiers)),
        )
