"""Compares the packages of an environment with the requirements that it was made from."""

from collections.abc import Iterable, Iterator

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..export.requirements import Requirements
from ..lock.markers import holds
from ..lock.package_names import canonicalize_name


@lazy_dataclass
class PackageDifference:
    """A package whose version in an environment is not the required one; None where it is absent or not required."""

    name: str
    required: str | None
    installed: str | None

    @property
    def text(self) -> str:
        """The difference as a sentence."""
        if self.installed is None:
            return f"{self.name} is not installed"
        if self.required is None:
            return f"{self.name} {self.installed} is installed but not required"
        return f"{self.name} is {self.installed}, required is {self.required}"


def installed_difference(
    requirements: Requirements,
    *,
    environment: dict[str, str],
    installed: tuple[tuple[str, str], ...],
    local: tuple[tuple[str, str], ...] = (),
) -> tuple[str, ...]:
    """
    Compare the packages of an environment with the requirements, and return each difference as a sentence.

    `installed` and `local` are pairs of name and version; `local` are the wheels in the model, which are required too.
    """
    required: dict[str, str | None] = {
        pin.name: pin.version for pin in requirements.pins if holds(pin.marker, environment)
    }
    required |= {canonicalize_name(name): version for name, version in local}
    return tuple(difference.text for difference in package_differences(required, installed))


def package_differences(
    required: dict[str, str | None], installed: Iterable[tuple[str, str]]
) -> Iterator[PackageDifference]:
    """
    Yield the packages that are absent, then those that are not required, then those of another version, by name.

    A required version is None for a package that any version satisfies.
    """
    versions: dict[str, str] = {canonicalize_name(name): version for name, version in installed}
    for name in sorted(required.keys() - versions.keys()):
        yield PackageDifference(name=name, required=required[name] or "any version", installed=None)
    for name in sorted(versions.keys() - required.keys()):
        yield PackageDifference(name=name, required=None, installed=versions[name])
    for name in sorted(required.keys() & versions.keys()):
        version = required[name]
        if version is not None and not _same(version, versions[name]):
            yield PackageDifference(name=name, required=version, installed=versions[name])


def _same(first: str, second: str) -> bool:
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  # few versions are written differently

    if first == second:
        return True
    try:
        return Version(first) == Version(second)
    except InvalidVersion:
        return False
