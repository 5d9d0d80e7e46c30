"""Advisories of OSV, and which of them are about one vulnerability."""

from typing import Any

import pytest

from mlflow_uv.core.lock.vulnerabilities import Advisory, Vulnerability, read_advisory, vulnerabilities_of
from mlflow_uv.core.promotion.vulnerability_policy import VulnerabilitySeverity as Severity

AFFECTED = {
    "package": {"ecosystem": "PyPI", "name": "Grape_Wine"},
    "ranges": [
        {"type": "GIT", "events": [{"fixed": "0123"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2"}, {"fixed": "2.1"}]},
    ],
}
OTHER = {**AFFECTED, "package": {"name": "oak"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "9"}]}]}
CRITICAL = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
NEWER = {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}


def test_an_advisory_has_its_ids_and_where_it_is_fixed() -> None:
    """
    Only the versions of the package itself count, by its normalised name.
    """
    document = {"id": "GHSA-1", "aliases": ["CVE-1"], "affected": [OTHER, AFFECTED], "withdrawn": "2026-11-01"}

    assert Advisory(id="GHSA-1", aliases=("CVE-1",), fixed=("1.2", "2.1"), withdrawn=True) == read_advisory(
        document, "grape-wine"
    )


@pytest.mark.parametrize(
    ("parts", "severity"),
    [
        ({"database_specific": {"severity": "MODERATE"}, "severity": [CRITICAL]}, Severity.MODERATE),
        ({"database_specific": {"severity": "medium"}}, Severity.MODERATE),
        ({"database_specific": {"severity": "awful"}, "severity": [NEWER, CRITICAL]}, Severity.CRITICAL),
        ({"severity": [NEWER]}, Severity.UNKNOWN),
        ({"database_specific": {}}, Severity.UNKNOWN),
        ({}, Severity.UNKNOWN),
    ],
    ids=["both", "medium", "score", "version 4", "nothing named", "nothing"],
)
def test_a_severity_is_that_of_the_database_or_of_the_score(parts: dict[str, Any], severity: Severity) -> None:
    """
    A rating that cannot be read is unknown, and not low.
    """
    assert severity is read_advisory({"id": "A-1", **parts}, "grape").severity


def part(name: str = "Grape_Wine", ecosystem: str = "PyPI", **rating: Any) -> dict[str, Any]:
    """The part of an advisory about one package."""
    return {"package": {"ecosystem": ecosystem, "name": name}, **rating}


HIGH: dict[str, Any] = {"database_specific": {"severity": "HIGH"}}
LOW: dict[str, Any] = {"database_specific": {"severity": "LOW"}}


@pytest.mark.parametrize(
    ("document", "severity"),
    [
        ({"affected": [part(severity=[CRITICAL])]}, Severity.CRITICAL),
        ({"affected": [part(**LOW), part(**HIGH), part("oak", severity=[CRITICAL])]}, Severity.HIGH),
        ({"affected": [part(**LOW), part()]}, Severity.UNKNOWN),
        ({"affected": [part(ecosystem="npm", **LOW), part(severity=[NEWER])]}, Severity.UNKNOWN),
        ({"affected": [part("oak", **LOW)]}, Severity.UNKNOWN),
        ({**LOW, "affected": [part(severity=[CRITICAL])]}, Severity.LOW),
    ],
    ids=["score", "highest", "a part without", "another ecosystem", "another package", "of all packages"],
)
def test_a_severity_that_only_the_part_about_the_package_has_counts(
    document: dict[str, Any], severity: Severity
) -> None:
    """
    OSV has it there where packages of an advisory are rated differently; a part without one may be anything.
    """
    assert severity is read_advisory({"id": "A-1", **document}, "grape-wine").severity


@pytest.mark.parametrize(
    "document",
    [{}, [], None, {"id": 1}, {"id": "<b>"}, {"id": "A", "aliases": 3}, {"id": "A", "aliases": ["a b"]},
     {"id": "A", "affected": [1]},
     {"id": "A", "affected": [{"package": {"name": "grape"}, "severity": 1}]},
     {"id": "A", "severity": [1]}, {"id": "A", "database_specific": []}],
    ids=str,
)  # fmt: skip
def test_another_document_is_refused(document: Any) -> None:
    """
    In one kind of error.
    """
    with pytest.raises(ValueError, match="advisory"):
        read_advisory(document, "grape")


def test_advisories_that_name_each_other_are_one_vulnerability() -> None:
    """
    Also by a third; the highest rating counts, GitHub's id is first, and withdrawn advisories do not count.
    """
    found = vulnerabilities_of(
        (
            Advisory(id="PYSEC-1", aliases=("CVE-1",), fixed=("1.2",)),
            Advisory(id="GHSA-2", severity=Severity.LOW),
            Advisory(id="GHSA-1", aliases=("CVE-9",), severity=Severity.MODERATE, fixed=("1.2", "2.1")),
            Advisory(id="OTHER-1", aliases=("CVE-1", "CVE-9"), severity=Severity.HIGH),
            Advisory(id="GHSA-3", withdrawn=True),
        )
    )

    ids = ("GHSA-1", "CVE-1", "CVE-9", "OTHER-1", "PYSEC-1")
    assert (
        Vulnerability(ids=ids, severity=Severity.HIGH, fixed=("1.2", "2.1")),
        Vulnerability(ids=("GHSA-2",), severity=Severity.LOW),
    ) == tuple(Vulnerability(ids=each.ids, severity=each.severity, fixed=tuple(sorted(each.fixed))) for each in found)
    assert ["GHSA-1 (CVE-1, CVE-9), high, fixed in 1.2 and 2.1", "GHSA-2, low"] == [
        Vulnerability(ids=each.ids, severity=each.severity, fixed=tuple(sorted(each.fixed))).shown for each in found
    ]


def test_an_unknown_severity_is_called_so() -> None:
    """
    Not left out.
    """
    assert "A-1, unknown severity" == Vulnerability(ids=("A-1",), severity=Severity.UNKNOWN).shown
