"""Defines the selection: the package, extras and groups of a lock that are served."""

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.digests import canonical, sha256


@lazy_dataclass
class Selection:
    """The package, extras and groups of a lock that are served; no package is the project itself."""

    package: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON, in hex; independent of the order of extras and groups."""
        return sha256(canonical([self.package, sorted(set(self.extras)), sorted(set(self.groups))]))
