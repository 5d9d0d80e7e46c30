"""The vulnerabilities that a change of a lock brings."""

from mlflow_uv.ops.lock.changed_vulnerabilities import ChangedVulnerabilities
from mlflow_uv.tools.system.web import Web
from tests.stand_ins.osv import osv
from tests.unit.core.lock_difference.locks import lock, package

PACKAGES = lock(package("oak"), package("yeast")).packages


def test_each_vulnerability_of_a_package_is_one_text() -> None:
    """
    A package without one is left out.
    """
    with osv() as service:
        found = ChangedVulnerabilities(Web({}), service.url).of(PACKAGES)

    assert {("oak", "1.0"): ("PYSEC-2026-3, unknown severity",)} == found


def test_a_service_that_fails_is_given_up() -> None:
    """
    It would take its whole time limit for each lock.
    """
    with osv() as service:
        changed = ChangedVulnerabilities(Web({}), service.url)
        service.status = 503
        first = changed.of(PACKAGES)
        service.status = 200

        assert ({}, {}) == (first, changed.of(PACKAGES))

    assert ("127.0.0.1 answers with status 503", []) == (changed.unknown, service.asked)
