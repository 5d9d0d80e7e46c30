"""Reads the licences that the metadata of installed packages declares."""

import re
import sys
from collections.abc import Iterable, Iterator
from email.message import Message
from importlib import metadata
from pathlib import PurePosixPath

from .distributions import headers_of
from .licence_texts import licence_text_digest
from .messages.request import CUT, DeclaredLicence, DescribeLicences, LicenceDescription

_CLASSIFIER = "License ::"
_FOLDERS = ("licenses/", "")  # of licence files, in metadata 2.4 and before
_LONGEST = 200  # characters; many packages have the whole text of a licence in `License`


def describe(_request: DescribeLicences) -> LicenceDescription:
    """Describe every package that this interpreter finds."""
    return licences_on(sys.path)


def licences_on(path: Iterable[str]) -> LicenceDescription:
    """Describe every package in these folders; the first one of a name counts, as for an import."""
    packages: dict[str, DeclaredLicence] = {}
    for declared in _declared(path):
        packages.setdefault(declared.name, declared)
    return LicenceDescription(packages=tuple(packages[name] for name in sorted(packages)))


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
            texts=tuple(dict.fromkeys(_texts(distribution, headers))),
        )


def _texts(distribution: metadata.Distribution, headers: Message) -> Iterator[str]:
    """The digests of the texts of licences that a package has; empty for a file that cannot be read."""
    if headers.get("License-Expression"):
        return
    if _field(headers, "License").endswith(CUT):
        yield from (licence_text_digest(text) for text in headers.get_all("License") or ())
    for name in headers.get_all("License-File") or ():
        text = _licence_file(distribution, name)
        yield licence_text_digest(text) if text else ""


def _licence_file(distribution: metadata.Distribution, name: str) -> str | None:
    """A file in the metadata of a package, never one elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return None
    try:
        return next(filter(None, (distribution.read_text(f"{folder}{path}") for folder in _FOLDERS)), None)
    except (OSError, ValueError):  # not UTF-8, and a name with a null byte
        return None


def _field(headers: Message, name: str) -> str:
    """A field that the metadata should have once; several values are no expression, so that none of them counts."""
    return _shortened(", ".join(dict.fromkeys(headers.get_all(name) or ())))


def _shortened(text: str) -> str:
    """A text with a mark where its end is missing: the beginning of an expression is another licence."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + CUT
