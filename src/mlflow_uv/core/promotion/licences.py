"""Compares the licences of packages with those that a promotion policy allows."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.targets import GLIBC, NEWEST_PATCH, System, Target, machine_name
from ..model.licences import spdx_expression
from .promote_policy import LicenceException

_MACHINES = ("x86_64", "aarch64")
_EXCEPTION_DAYS = 90  # until an exception that the program proposes ends
_TOKEN = lazy_pattern(r"[()]|[^\s()]+")


@lazy_dataclass
class RefusedLicence:
    """A licence that is not allowed, empty for an unknown one, and the packages that have it, as `name version`."""

    licence: str
    packages: tuple[str, ...]


def refused_licences(
    packages: Sequence[tuple[str, tuple[str, ...]]],
    allowed: Sequence[str],
    exceptions: Sequence[LicenceException],
    today: date,
) -> Iterator[RefusedLicence]:
    """Yield what is not allowed of the packages by licence; an exception that has expired is none."""
    known = {_normal(licence) for licence in allowed}
    excepted = {each.name for each in exceptions if each.until is None or today <= each.until}
    for licence, names in packages:
        left = tuple(name for name in names if name.partition(" ")[0] not in excepted)
        if left and not (licence and _is_allowed(licence, known)):
            yield RefusedLicence(licence=licence, packages=left)


def image_targets(python: str, architectures: Sequence[str]) -> tuple[Target, ...]:
    """
    Return the targets of an image with the model's Python, on all machines that may be meant if none is recorded.

    Its patch release is that of the base image, which no record has: the first, the model's and the newest are taken.
    Raises ValueError for what is not a version.
    """
    from packaging.version import Version  # noqa: PLC0415  # few steps read licences

    version = Version(python)
    machines = dict.fromkeys(machine_name(each, System.LINUX) for each in architectures) or _MACHINES
    patches = dict.fromkeys((0, version.micro, NEWEST_PATCH))
    return tuple(
        Target(system=System.LINUX, machine=machine, minor=version.minor, patch=patch, level=GLIBC)
        for machine in machines
        for patch in patches
    )


def with_exceptions(exceptions: Sequence[LicenceException], refused: RefusedLicence, today: date) -> tuple[str, ...]:
    """Return the exceptions, as a policy has them, with one for each refused package that ends some months later."""
    last = today + timedelta(days=_EXCEPTION_DAYS)
    added = {name.partition(" ")[0]: last for name in refused.packages}
    days = {**{each.name: each.until for each in exceptions}, **added}
    return tuple(f"{name} until {until}" if until else name for name, until in days.items())


def _normal(licence: str) -> str:
    return (spdx_expression(licence) or licence).casefold()


def _is_allowed(licence: str, known: set[str]) -> bool:
    """Whether a choice of an SPDX expression is allowed; of several names each must be."""
    if _normal(licence) in known:
        return True
    if not spdx_expression(licence):
        return all(_normal(name) in known for name in licence.split(", "))
    return _Expression(_TOKEN.findall(licence), known).holds()


class _Expression:
    """An SPDX expression in its canonical form; AND binds stronger than OR."""

    def __init__(self, tokens: Sequence[str], known: set[str]) -> None:
        self._tokens = [*tokens, ""]
        self._known = known
        self._at = 0

    def holds(self) -> bool:
        choices = [self._all()]
        while self._taken("OR"):
            choices.append(self._all())
        return any(choices)

    def _all(self) -> bool:
        parts = [self._one()]
        while self._taken("AND"):
            parts.append(self._one())
        return all(parts)

    def _one(self) -> bool:
        if self._taken("("):
            inner = self.holds()
            self._taken(")")
            return inner
        licence = self._next()
        if not self._taken("WITH"):
            return licence.casefold() in self._known
        # An exception of a licence grants more than the licence.
        return bool({licence.casefold(), f"{licence} WITH {self._next()}".casefold()} & self._known)

    def _taken(self, token: str) -> bool:
        if self._tokens[self._at] != token:
            return False
        self._at += 1
        return True

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]
