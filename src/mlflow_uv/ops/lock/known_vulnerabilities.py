"""Finds the known vulnerabilities of locked packages."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...core.lock.lockfile import Package, SourceKind
from ...core.lock.vulnerabilities import Vulnerability, read_advisory, vulnerabilities_of
from ...tools.package_index.osv import advisory, advisory_ids
from ...tools.system.web import Web, WebUnreachable

MOST = 500  # advisories that are read
Release = tuple[str, str]  # name and version


def releases_of(packages: Iterable[Package]) -> tuple[Release, ...]:
    """The packages that come from an index; the name of any other one means nothing elsewhere."""
    found = [(each.name, each.version) for each in packages if each.source.kind is SourceKind.REGISTRY and each.version]
    return tuple((name, str(version)) for name, version in dict.fromkeys(found))


class KnownVulnerabilities:
    """Asks a service about each release and for each advisory once."""

    def __init__(self, web: Web, service: str) -> None:
        self._web = web
        self._service = service
        self._documents: dict[str, Any] = {}

    def of(self, releases: Iterable[Release]) -> Mapping[Release, tuple[Vulnerability, ...]]:
        """The vulnerabilities of the releases that have some. Raises WebUnreachable if they are not known."""
        distinct = tuple(dict.fromkeys(releases))
        ids = dict(zip(distinct, advisory_ids(self._web, self._service, distinct), strict=True)) if distinct else {}
        if len({name for names in ids.values() for name in names} | self._documents.keys()) > MOST:
            raise WebUnreachable(f"there are more than {MOST} advisories about the packages")
        try:
            found = {
                release: vulnerabilities_of(read_advisory(self._document(name), release[0]) for name in names)
                for release, names in ids.items()
            }
        except ValueError as error:
            raise WebUnreachable(f"an advisory cannot be read: {error}") from error
        return {release: known for release, known in found.items() if known}

    def _document(self, name: str) -> Any:
        if name not in self._documents:
            self._documents[name] = advisory(self._web, self._service, name)
        return self._documents[name]
