"""Words findings about packages of a lock that do not install on a target, or not by unpacking a wheel."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from pathlib import PurePath
from urllib.parse import urlsplit

from ...command.report import Finding, Severity, first_names
from ...command.wording import Wording, step_call
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .installable import InstallMethod, SourceReach, local_build, source_reach
from .lockfile import Lockfile, Package, SourceKind, package_line
from .placement import Placement, Uncovered, group_by_package, main_index, origins

# The worst first.
NOT_WHEELS = (InstallMethod.IMPOSSIBLE, InstallMethod.GIT, InstallMethod.BUILT)


@lazy_dataclass
class InstallFindings:
    """
    Makes findings about one lock, each at the line of its package.

    `data` are the bytes of the lock, and `lock_command` is the command that writes it anew, such as `uv lock`.
    """

    path: PurePath
    data: bytes = field(repr=False)
    lock: Lockfile
    lock_command: str

    def uncovered(self, answer: Uncovered) -> Finding:
        """Return an error for a target that the lock does not support."""
        fix = (
            f"change `requires-python`, then `{self.lock_command}`"
            if answer.key == "requires-python"
            else f'add "{answer.target.marker}" to `environments` in [tool.uv], then `{self.lock_command}`'
        )
        return Finding(
            rule="target-not-covered",
            what=f"the lock does not cover {answer.target}",
            why=f"its `{answer.key}` is {answer.allowed}",
            fix=fix,
            path=self.path,
            line=self.data[: max(self.data.find(f"\n{answer.key} ".encode()) + 1, 0)].count(b"\n") + 1,
        )

    def not_wheels(self, placed: Iterable[Placement]) -> Iterator[Finding]:
        """Yield a finding for each package without a wheel, one for all targets with the same install method."""
        placed = tuple(placed)
        for verdict in NOT_WHEELS:
            for placements in group_by_package(placement for placement in placed if placement.verdict is verdict):
                yield self._not_wheel(verdict, placements)

    def _not_wheel(self, verdict: InstallMethod, placements: Sequence[Placement]) -> Finding:
        package, targets = placements[0].package, _targets(placements)
        match verdict:
            case InstallMethod.IMPOSSIBLE:
                rule, severity = "target-cannot-install", Severity.ERROR
                what = f"{_named(package)} cannot be installed on {targets}"
                why = "it has neither a fitting wheel nor a source distribution"
                fix = f"{_other_source(placements)}, then `{self.lock_command}`"
            case InstallMethod.GIT:
                rule, severity = "target-git", Severity.WARNING
                what = f"{_named(package)} would be fetched from git and built on {targets}"
                why = "this needs git and network access on the target"
                fix = f"`uv add {package.name}`, if an index provides it"
            case _:
                rule, severity = "target-built", Severity.WARNING
                what = f"{_named(package)} has no wheel for {targets}"
                why = "it would be built from source on the target, which may need a compiler"
                fix = f"{self.lock_command} --upgrade-package {package.name}, if a newer version has a wheel"
        return self._finding(
            rule, package, severity=severity, what=what, why=f"{why}; needed by {needed_by(placements[0])}", fix=fix
        )

    def other_origins(self, placed: Iterable[Placement], *, reachable: Sequence[str]) -> Iterator[Finding]:
        """
        Yield a finding for each index and URL that a target may be unable to reach.

        `reachable` are hosts or addresses that the targets reach, and every other is reported. If it is empty, local
        folders, private networks and, as a notice, indexes other than the main one are reported.
        """
        by_address = origins(placed)
        main = main_index(self.lock)
        addresses = ",".join(dict.fromkeys((*reachable, *by_address)))
        fix = Wording(step_call("check-targets", reachable_indexes=addresses), ", if the target can reach it")
        for address, packages in by_address.items():
            package_names = first_names([package.name for package in packages])
            what = f"{package_names} {'comes' if len(packages) == 1 else 'come'} from {address}"
            if any(_covers(reachable_address, address) for reachable_address in reachable):
                continue
            match source_reach(address):
                case SourceReach.FOLDER:
                    why = "this is a folder of one machine, which does not exist where the model is served"
                    index_fix = f"a `[[tool.uv.index]]` that the target can reach, then `{self.lock_command}`"
                    yield self._finding("target-folder", packages[0], what=what, why=why, fix=index_fix)
                case _ if reachable:
                    why = "it is not in `reachable-indexes`"
                    warning = Severity.WARNING
                    yield self._finding(
                        "target-unreachable", packages[0], severity=warning, what=what, why=why, fix=fix
                    )
                case SourceReach.PRIVATE:
                    why = "its host name belongs to a private network, to which the target must have access"
                    warning = Severity.WARNING
                    yield self._finding("target-private", packages[0], severity=warning, what=what, why=why, fix=fix)
                case SourceReach.ANYWHERE if address != main and packages[0].source.kind is SourceKind.REGISTRY:
                    why = f"the target needs access to it in addition to {main}"
                    notice = Severity.NOTICE
                    yield self._finding("target-index", packages[0], severity=notice, what=what, why=why, fix=fix)

    def local_builds(self, placed: Iterable[Placement]) -> Iterator[Finding]:
        """Yield a notice for each wheel with a local version label, which fits one kind of machine."""
        wheels = (
            placement
            for placement in placed
            if placement.verdict is InstallMethod.WHEEL and local_build(placement.package)
        )
        for placements in group_by_package(wheels):
            package = placements[0].package
            yield self._finding(
                "target-local-build",
                package,
                severity=Severity.NOTICE,
                what=f"{_named(package)} is a local build",
                why=f"`{local_build(package)}` is a build for one kind of machine, and {_targets(placements)} must be "
                f"of that kind; it comes from {package.source.address}; needed by {needed_by(placements[0])}",
                fix=f"if it does not fit: {self.lock_command} --upgrade-package {package.name}, without the source "
                "that pins it",
            )

    def _finding(  # noqa: PLR0913  # the parts of a finding
        self, rule: str, package: Package, *, what: str, why: str, fix: str, severity: Severity = Severity.ERROR
    ) -> Finding:
        line = package_line(self.data, package.position)
        return Finding(rule=rule, what=what, why=why, fix=fix, severity=severity, path=self.path, line=line)


def needed_by(placed: Placement) -> str:
    """The dependency path to a package, without the package itself, for messages."""
    return " > ".join(placed.via[:-1]) or "the selection itself"


def _other_source(placements: Sequence[Placement]) -> str:
    """The setting that makes uv choose a version with a wheel; a URL or file needs another source instead."""
    package = placements[0].package
    if package.source.kind is not SourceKind.REGISTRY:
        return f"a source of `{package.name}` for this platform, with a marker, in [tool.uv.sources]"
    markers = dict.fromkeys(f'"{placement.target.marker}"' for placement in placements)
    return f"required-environments = [{', '.join(markers)}] in [tool.uv]"


def _targets(placements: Iterable[Placement]) -> str:
    return ", ".join(str(placement.target) for placement in placements)


def _named(package: Package) -> str:
    return f"`{package.name}` {package.version}" if package.version else f"`{package.name}`"


def _covers(reachable: str, address: str) -> bool:
    """Whether an address equals a reachable address, lies below it, or is on it where it is a bare host."""
    reachable = reachable.rstrip("/")
    return (
        address == reachable or address.startswith(f"{reachable}/") or urlsplit(address).hostname == reachable.lower()
    )
