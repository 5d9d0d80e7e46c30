"""Finds locked releases that their index has yanked."""

from ...core.export.indexes import plain_url
from ...core.lock.lockfile import Package, SourceKind
from ...tools.package_index.yanked import yanked_files
from ...tools.system.web import Web

MOST = 200  # packages that are looked up; the others count as unknown


class YankedReleases:
    """Asks each index once for each package, without credentials."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._answers: dict[tuple[str, str], frozenset[str] | None] = {}
        self.unknown: set[str] = set()

    def is_yanked(self, package: Package) -> bool | None:
        """Whether a locked file of the package was yanked; None, and a name in `unknown`, if that is not known."""
        if package.source.kind is not SourceKind.REGISTRY:
            return None
        key = (plain_url(package.source.address), package.name)
        if key not in self._answers:
            known = len(self._answers) < MOST and key[0].startswith(("https://", "http://"))
            self._answers[key] = yanked_files(self._web, *key) if known else None
        yanked = self._answers[key]
        if yanked is None:
            self.unknown.add(package.name)
            return None
        files = {wheel.file for wheel in package.wheels} | ({package.sdist.file} if package.sdist else set())
        return bool(files & yanked)
