"""Compares the packages of an environment with the requirements that it was made from."""

from packaging.version import Version

from ..export.requirements import Requirements
from ..lock.markers import holds
from ..lock.package_names import canonicalize_name


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
    installed_versions: dict[str, str] = {canonicalize_name(name): version for name, version in installed}
    lines = [f"{name} is not installed" for name in sorted(required.keys() - installed_versions.keys())]
    lines += [
        f"{name} {installed_versions[name]} is installed but not required"
        for name in sorted(installed_versions.keys() - required.keys())
    ]
    for name in sorted(required.keys() & installed_versions.keys()):
        version = required[name]
        if version is not None and Version(version) != Version(installed_versions[name]):
            lines.append(f"{name} is {installed_versions[name]}, required is {version}")
    return tuple(lines)
