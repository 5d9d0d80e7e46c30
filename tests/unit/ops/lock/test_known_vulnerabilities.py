"""The vulnerabilities of locked packages."""

import pytest

from mlflow_uv.ops.lock.known_vulnerabilities import MOST, KnownVulnerabilities, releases_of
from mlflow_uv.tools.system.web import Web, WebUnreachable
from tests.stand_ins.osv import osv
from tests.unit.core.lock_difference.locks import lock, package

GRAPE = "GHSA-aaaa-bbbb-cccc (CVE-2026-0001, PYSEC-2026-1), high, fixed in 1.2"


def test_packages_of_an_index_have_their_vulnerabilities() -> None:
    """
    Advisories about the same are one vulnerability; a withdrawn one is none; the name of a folder is not sent.
    """
    locked = lock(
        package("grape"), package("oak"), package("yeast"), package("cork", source='git = "https://g.test/cork#0123"')
    )

    with osv() as service:
        known = KnownVulnerabilities(Web({}), service.url).of(releases_of(locked.packages))

    assert {
        ("grape", "1.0"): [GRAPE, "PYSEC-2026-2, low"],
        ("oak", "1.0"): ["PYSEC-2026-3, unknown severity"],
    } == {release: [each.shown for each in found] for release, found in known.items()}
    assert {("grape", "1.0"), ("oak", "1.0"), ("yeast", "1.0")} == set(service.asked)


def test_nothing_is_asked_about_nothing() -> None:
    """
    Without a request.
    """
    with osv() as service:
        assert {} == KnownVulnerabilities(Web({}), service.url).of(())

    assert [] == service.asked


@pytest.mark.parametrize(
    ("advisories", "why"),
    [
        ([{"id": f"A-{number}", "package": "grape", "versions": ["1.0"]} for number in range(MOST + 1)], "more than"),
        ([{"id": "A-1", "aliases": ["<b>"], "package": "grape", "versions": ["1.0"]}], "cannot be read: '<b>'"),
    ],
    ids=["too many", "no id"],
)
def test_what_cannot_be_read_is_not_known(advisories: list[dict[str, object]], why: str) -> None:
    """
    No part of it counts.
    """
    with osv(*advisories) as service:
        service.page = len(advisories)
        known = KnownVulnerabilities(Web({}), service.url)

        with pytest.raises(WebUnreachable, match=why):
            known.of([("grape", "1.0")])
