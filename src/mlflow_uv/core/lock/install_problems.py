"""What is in the way of installing a lock on its targets, and what removes it?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import urlsplit

from ...command.report import Finding, Severity
from ...command.wording import Wording, step_call
from .installable import InstallMethod, SourceReach, local_build, reach
from .lockfile import Lockfile, Package, SourceKind, package_line
from .placement import Placed, Uncovered, main_index, origins, together

# Whatever is not installed by unpacking a wheel, the worst first.
BARRED = (InstallMethod.IMPOSSIBLE, InstallMethod.GIT, InstallMethod.BUILT)
_SHOWN = 5  # names in a sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacles:
    """Findings about one lock: each stands on the line of its package. `again` is the command that locks anew."""

    path: PurePath
    data: bytes = field(repr=False)
    lock: Lockfile
    again: str

    def uncovered(self, answer: Uncovered) -> Finding:
        """A target that the lock was not made for."""
        fix = (
            f"change `requires-python`, then `{self.again}`"
            if answer.key == "requires-python"
            else f'add "{answer.target.marker}" to `environments` in [tool.uv], then `{self.again}`'
        )
        return Finding(
            rule="target-not-covered",
            what=f"the lock does not cover {answer.target}",
            why=f"its `{answer.key}` is {answer.allowed}",
            fix=fix,
            path=self.path,
            line=self.data[: max(self.data.find(f"\n{answer.key} ".encode()) + 1, 0)].count(b"\n") + 1,
        )

    def barred(self, placed: Iterable[Placed]) -> Iterator[Finding]:
        """What is not there as a wheel, once for all targets with the same verdict."""
        placed = tuple(placed)
        for verdict in BARRED:
            for ones in together(one for one in placed if one.verdict is verdict):
                yield self._barred(verdict, ones)

    def _barred(self, verdict: InstallMethod, ones: Sequence[Placed]) -> Finding:
        package, targets = ones[0].package, _targets(ones)
        match verdict:
            case InstallMethod.IMPOSSIBLE:
                rule, severity = "target-cannot-install", Severity.ERROR
                what = f"{_named(package)} cannot be installed on {targets}"
                why = "it has neither a wheel for there nor a source distribution"
                fix = f"{_other_source(ones)}, then `{self.again}`"
            case InstallMethod.GIT:
                rule, severity = "target-git", Severity.WARNING
                what = f"{_named(package)} would be fetched from git and built on {targets}"
                why = "that takes git and the network there"
                fix = f"`uv add {package.name}`, once an index has it"
            case _:
                rule, severity = "target-built", Severity.WARNING
                what = f"{_named(package)} has no wheel for {targets}"
                why = "it would be built there from its source, with whatever compiler that takes"
                fix = f"{self.again} --upgrade-package {package.name}"
        return self._finding(
            rule, package, severity=severity, what=what, why=f"{why}; needed by {needed_by(ones[0])}", fix=fix
        )

    def elsewhere(self, placed: Iterable[Placed], *, reachable: Sequence[str]) -> Iterator[Finding]:
        """
        Indexes and URLs that a target may not reach, one finding each.

        With `reachable` that is every other; without it what answers only here, and, as a notice, a second index.
        """
        found = origins(placed)
        main = main_index(self.lock)
        every = ",".join(dict.fromkeys((*reachable, *found)))
        fix = Wording(step_call("check-targets", reachable_indexes=every), ", if it is reached")
        for address, packages in found.items():
            names = listed([package.name for package in packages])
            what = f"{names} {'comes' if len(packages) == 1 else 'come'} from {address}"
            if any(_covers(one, address) for one in reachable):
                continue
            match reach(address):
                case SourceReach.FOLDER:
                    why = "that is a folder of one machine, and not there where the model is served"
                    mend = f"a `[[tool.uv.index]]` that the target reaches, then `{self.again}`"
                    yield self._finding("target-folder", packages[0], what=what, why=why, fix=mend)
                case _ if reachable:
                    why = "it is not among the indexes that the targets reach"
                    warning = Severity.WARNING
                    yield self._finding(
                        "target-unreachable", packages[0], severity=warning, what=what, why=why, fix=fix
                    )
                case SourceReach.PRIVATE:
                    why = "its name is that of a private network, where the target must be too"
                    warning = Severity.WARNING
                    yield self._finding("target-private", packages[0], severity=warning, what=what, why=why, fix=fix)
                case SourceReach.ANYWHERE if address != main and packages[0].source.kind is SourceKind.REGISTRY:
                    why = f"the target must reach it as well as {main}"
                    notice = Severity.NOTICE
                    yield self._finding("target-index", packages[0], severity=notice, what=what, why=why, fix=fix)

    def local_builds(self, placed: Iterable[Placed]) -> Iterator[Finding]:
        """Wheels with a local label: made for one kind of machine, and known to one index."""
        wheels = (one for one in placed if one.verdict is InstallMethod.WHEEL and local_build(one.package))
        for ones in together(wheels):
            package = ones[0].package
            yield self._finding(
                "target-local-build",
                package,
                severity=Severity.NOTICE,
                what=f"{_named(package)} is a local build",
                why=f"`{local_build(package)}` is made for one kind of machine, which {_targets(ones)} must be, "
                f"and only {package.source.address} has it; needed by {needed_by(ones[0])}",
                fix=f"{self.again} --upgrade-package {package.name}, without the source that pins it, if it is not",
            )

    def _finding(  # noqa: PLR0913  # the parts of a finding
        self, rule: str, package: Package, *, what: str, why: str, fix: str, severity: Severity = Severity.ERROR
    ) -> Finding:
        line = package_line(self.data, package.position)
        return Finding(rule=rule, what=what, why=why, fix=fix, severity=severity, path=self.path, line=line)


def needed_by(placed: Placed) -> str:
    """The way from what is served to a package, without the package itself."""
    return " > ".join(placed.via[:-1]) or "nothing else: it was selected"


def listed(names: Sequence[str]) -> str:
    """The first names of many."""
    more = len(names) - _SHOWN
    return ", ".join((*names[:_SHOWN], *((f"{more} more",) if more > 0 else ())))


def _other_source(ones: Sequence[Placed]) -> str:
    """What makes uv look for a version with a wheel; a file that somebody chose has no other."""
    package = ones[0].package
    if package.source.kind is not SourceKind.REGISTRY:
        return f"a source of `{package.name}` for there, with a marker, in [tool.uv.sources]"
    markers = dict.fromkeys(f'"{one.target.marker}"' for one in ones)
    return f"required-environments = [{', '.join(markers)}] in [tool.uv]"


def _targets(ones: Iterable[Placed]) -> str:
    return ", ".join(str(one.target) for one in ones)


def _named(package: Package) -> str:
    return f"`{package.name}` {package.version}" if package.version else f"`{package.name}`"


def _covers(said: str, address: str) -> bool:
    """Whether an address is what was said, or below it; a host alone is said without a scheme."""
    said = said.rstrip("/")
    return address == said or address.startswith(f"{said}/") or urlsplit(address).hostname == said.lower()
