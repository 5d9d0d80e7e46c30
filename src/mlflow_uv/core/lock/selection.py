"""What of the lock is served?"""

from dataclasses import dataclass

from ..release.digests import canonical, sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What of the lock is served."""

    package: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of the canonical JSON; the order in which extras and groups were named does not matter."""
        return sha256(canonical([self.package, sorted(set(self.extras)), sorted(set(self.groups))]))
