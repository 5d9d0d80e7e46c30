"""Selects the packages that a dependency group of this program's own lock installs in an environment."""

from collections.abc import Iterable, Mapping

from ..export.requirements import Pin
from .lockfile import Dependency, Lockfile, Package
from .markers import holds

SIGNING = "signing"
# What signs with a key in a service, by the scheme of its URI.
KEY_SERVICES = ("awskms", "azurekms", "gcpkms", "hsm")
OWN_NAME = "mlflow-uv-action"


def key_service_group(scheme: str) -> str:
    """The group with the packages for keys in a service."""
    return f"{SIGNING}-{scheme}"


def group_pins(
    lock: Lockfile, group: str, environment: Mapping[str, str], *, without: Iterable[str] = ()
) -> tuple[Pin, ...]:
    """
    Return the pins of a group and of what it depends on, with the hashes of their wheels, sorted by name.

    `environment` are the marker variables (PEP 508). Packages in `without` are there already: they and what only they
    need are left out.
    """
    (root,) = lock.by_name[OWN_NAME]
    there, pins = frozenset(without), {}
    pending = list(root.groups[group])
    while pending:
        edge = pending.pop()
        if edge.name in there or edge.name in pins or not holds(edge.marker, environment):
            continue
        package = _target(lock, edge, environment)
        wheels = tuple(sorted(f"{wheel.hash}" for wheel in package.wheels if wheel.hash))
        pins[edge.name] = Pin(name=edge.name, exact=f"{edge.name}=={package.version}", marker="", hashes=wheels)
        pending.extend(package.dependencies)
    return tuple(pins[name] for name in sorted(pins))


def _target(lock: Lockfile, edge: Dependency, environment: Mapping[str, str]) -> Package:
    """The package of an edge: one of several versions is named by it, or applies by its resolution markers."""
    candidates = [package for package in lock.by_name[edge.name] if edge.version in (None, package.version)]
    applying = [
        package
        for package in candidates
        if not package.resolution_markers or any(holds(marker, environment) for marker in package.resolution_markers)
    ]
    return (applying or candidates)[0]
