"""Finds locked releases that their index has yanked."""

from collections import Counter

from ...core.lock.lockfile import Package, SourceKind
from ...core.security.url_credentials import plain_url
from ...tools.package_index.yanked import yanked_files
from ...tools.system.web import Web, WebUnreachable

_MOST_FAILURES = 2
MOST = 200  # packages that are looked up; the others count as unknown


class YankedReleases:
    """
    Asks each index once for each package, without credentials; after two failures it is not asked any more.

    `unknown` are the packages of which nothing is known, `silent` the indexes that did not answer, and why.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._answers: dict[tuple[str, str], frozenset[str] | None] = {}
        self._failures: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self.silent: dict[str, str] = {}

    def is_yanked(self, package: Package) -> bool | None:
        """Whether a locked file of the package was yanked; None, and a name in `unknown`, if that is not known."""
        if package.source.kind is not SourceKind.REGISTRY:
            return None
        key = (plain_url(package.source.address), package.name)
        if key not in self._answers:
            known = len(self._answers) < MOST and key[0].startswith(("https://", "http://"))
            self._answers[key] = self._asked(*key) if known else None
        yanked = self._answers[key]
        if yanked is None:
            self.unknown.add(package.name)
            return None
        return any(artifact.file in yanked for artifact in package.artifacts)

    def _asked(self, index: str, package: str) -> frozenset[str] | None:
        if self._failures[index] >= _MOST_FAILURES:
            return None
        try:
            return yanked_files(self._web, index, package)
        except WebUnreachable as error:
            self._failures[index] += 1
            self.silent[index] = str(error)
            return None
