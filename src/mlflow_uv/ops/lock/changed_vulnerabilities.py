"""Describes the known vulnerabilities of the packages that a change of a lock brings."""

from collections.abc import Mapping, Sequence

from ...core.lock.lockfile import Package
from ...tools.system.web import Web, WebUnreachable
from .known_vulnerabilities import KnownVulnerabilities, Release, releases_of


class ChangedVulnerabilities:
    """Asks a service, and stops at its first failure, after which `unknown` has the reason."""

    def __init__(self, web: Web, service: str) -> None:
        self._known = KnownVulnerabilities(web, service)
        self.unknown = ""

    def of(self, packages: Sequence[Package]) -> Mapping[Release, tuple[str, ...]]:
        """The vulnerabilities of each package that has some, one text each."""
        if self.unknown:
            return {}
        try:
            known = self._known.of(releases_of(packages))
        except WebUnreachable as error:
            self.unknown = str(error)
            return {}
        return {release: tuple(each.shown for each in found) for release, found in known.items()}
