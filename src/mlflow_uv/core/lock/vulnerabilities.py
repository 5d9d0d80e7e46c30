"""Parses advisories in the format of OSV, and joins those of the same vulnerability."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..promotion.vulnerability_policy import ADVISORY_ID, VulnerabilitySeverity
from .cvss import base_score
from .package_names import canonicalize_name

_ID = lazy_pattern(ADVISORY_ID)
_VERSION = lazy_pattern(r"[A-Za-z0-9.!+_-]{1,100}")
_PYPI = "PyPI"
_MOST = 50  # aliases, and versions, of one advisory that are read
_SHOWN = 3  # ids of a vulnerability that are named


# Names of databases, and the lowest score of CVSS 3 that has each rating.
_NAMES = {"LOW": "low", "MODERATE": "moderate", "MEDIUM": "moderate", "HIGH": "high", "CRITICAL": "critical"}
_SCORES = ((9.0, "critical"), (7.0, "high"), (4.0, "moderate"), (0.0, "low"))


@lazy_dataclass
class Advisory:
    """One document about a vulnerability; `fixed` are the versions of the package that end a range of affected ones."""

    id: str
    aliases: tuple[str, ...] = ()
    severity: VulnerabilitySeverity = VulnerabilitySeverity.UNKNOWN
    fixed: tuple[str, ...] = ()
    withdrawn: bool = False


@lazy_dataclass
class Vulnerability:
    """A vulnerability of a package by all of its ids, of which the first is its name; `fixed` is empty if unknown."""

    ids: tuple[str, ...]
    severity: VulnerabilitySeverity
    fixed: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its ids, its severity, and where it is fixed, such as `GHSA-1 (CVE-2), high, fixed in 1.2`."""
        others = ", ".join(self.ids[1:_SHOWN])
        named = f"{self.ids[0]} ({others})" if others else self.ids[0]
        severity = "unknown severity" if self.severity is VulnerabilitySeverity.UNKNOWN else self.severity.value
        fixed = f", fixed in {' and '.join(self.fixed[:_SHOWN])}" if self.fixed else ""
        return f"{named}, {severity}{fixed}"


def read_advisory(document: Any, package: str) -> Advisory:
    """Read what a service says about a package. Raises ValueError for a document of another shape."""
    try:
        return Advisory(
            id=_id(document["id"]),
            aliases=tuple(map(_id, document.get("aliases", ())[:_MOST])),
            severity=_severity(document, package),
            fixed=tuple(dict.fromkeys(_fixed(document, package)))[:_MOST],
            withdrawn="withdrawn" in document,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no advisory: {error!r:.80}") from error


def vulnerabilities_of(advisories: Iterable[Advisory]) -> tuple[Vulnerability, ...]:
    """Join advisories that name each other; of several ratings the highest counts, and withdrawn ones are left out."""
    groups: list[list[Advisory]] = []
    for advisory in advisories:
        if not advisory.withdrawn:
            names = {advisory.id, *advisory.aliases}
            same = [group for group in groups if any(names & {each.id, *each.aliases} for each in group)]
            groups = [group for group in groups if group not in same]
            groups.append([advisory, *(each for group in same for each in group)])
    return tuple(sorted(map(_joined, groups), key=lambda each: each.ids))


def _joined(group: list[Advisory]) -> Vulnerability:
    names = {name for each in group for name in (each.id, *each.aliases)}
    rated = [each.severity for each in group if each.severity is not VulnerabilitySeverity.UNKNOWN]
    order = list(VulnerabilitySeverity)
    return Vulnerability(
        ids=tuple(sorted(names, key=lambda name: (not name.startswith("GHSA-"), name))),
        severity=max(rated, key=order.index, default=VulnerabilitySeverity.UNKNOWN),
        fixed=tuple(dict.fromkeys(version for each in group for version in each.fixed)),
    )


def _id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f"{value!r:.50} is no id of an advisory")
    return value


def _severity(document: Mapping[str, Any], package: str) -> VulnerabilitySeverity:
    """
    The name that a database gives, or the rating of its score.

    Where the advisory has neither for all packages, those of its parts about this one count: the highest, or unknown if
    a part has none, because the versions of that part may be the ones in use.
    """
    rated = _rating(document)
    if rated is not VulnerabilitySeverity.UNKNOWN:
        return rated
    order = list(VulnerabilitySeverity)
    return max(map(_rating, _affected(document, package)), key=order.index, default=VulnerabilitySeverity.UNKNOWN)


def _rating(part: Mapping[str, Any]) -> VulnerabilitySeverity:
    """The rating in an advisory, or in the part of it about one package; both have the same fields."""
    named = part.get("database_specific", {}).get("severity")
    if isinstance(named, str) and named.upper() in _NAMES:
        return VulnerabilitySeverity(_NAMES[named.upper()])
    vectors = [entry["score"] for entry in part.get("severity", ()) if isinstance(entry.get("score"), str)]
    scores = [score for score in map(base_score, vectors) if score is not None]
    if not scores:
        return VulnerabilitySeverity.UNKNOWN
    return VulnerabilitySeverity(next(name for least, name in _SCORES if max(scores) >= least))


def _fixed(document: Mapping[str, Any], package: str) -> Iterator[str]:
    for affected in _affected(document, package):
        for span in affected.get("ranges", ()):
            if span.get("type") == "ECOSYSTEM":
                versions = (event.get("fixed") for event in span.get("events", ()))
                yield from (each for each in versions if isinstance(each, str) and _VERSION.fullmatch(each))


def _affected(document: Mapping[str, Any], package: str) -> Iterator[Mapping[str, Any]]:
    """The parts of an advisory that are about a package of PyPI."""
    for affected in document.get("affected", ()):
        named = affected.get("package", {})
        if named.get("ecosystem", _PYPI) == _PYPI and canonicalize_name(str(named.get("name", ""))) == package:
            yield affected
