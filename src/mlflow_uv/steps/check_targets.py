"""Checks, without a network, that the locked packages can be installed where the model is served."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from ..command.inputs import SelectionInputs
from ..command.report import Finding, Report, Severity, Table, counted
from ..command.step import Doc, Step
from ..core.lock.closure import selected_roots
from ..core.lock.install_findings import NOT_WHEELS, InstallFindings, needed_by
from ..core.lock.installable import InstallMethod, local_build
from ..core.lock.lockfile import Lockfile, NotALock, read_lockfile
from ..core.lock.placement import Placement, Uncovered, group_by_package, place
from ..core.lock.selection import Selection
from ..core.lock.targets import ServingTargets, Target, parse_target, serving_target
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import Project, read_project


@lazy_dataclass
class Inputs(SelectionInputs):
    """Inputs of check-targets: the selection, and the targets that it is installed on."""

    targets: ServingTargets = ()
    reachable_indexes: Annotated[
        tuple[str, ...],
        Doc(
            "Hosts or URLs of all package indexes that the targets can reach; packages from any other index cause"
            " a warning."
        ),
    ] = ()


@lazy_dataclass
class TargetEntry:
    """A package on a target where it is not installed from a plain wheel."""

    name: str
    version: str | None
    target: str
    verdict: InstallMethod
    local_build: str
    via: tuple[str, ...]


@lazy_dataclass
class Outputs:
    """Outputs of check-targets."""

    targets: Annotated[tuple[str, ...], Doc("Targets that were checked, in full notation.")]
    packages: Annotated[
        tuple[TargetEntry, ...],
        Doc(
            "Packages that are not installed from a plain wheel, as JSON with name, version, target, verdict and"
            " dependency path."
        ),
    ]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Select from the lock for each target; only uv is run, for its choice of Python. Raises BadInput, BadProject."""
    project = read_project(inputs.project)
    try:
        data = project.lock.read_bytes()
        lock = read_lockfile(data)
        targets = _targets(inputs, project, lock, tools)
        selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
        roots = selected_roots(lock, selection, name=project.name if project.named else None)
        answers = [place(lock, roots, target) for target in targets]
    except (OSError, NotALock) as error:
        return _unreadable(project, error, lock_command=project.lock_command(tools.host.folder))
    placed = [placement for answer in answers if not isinstance(answer, Uncovered) for placement in answer]
    listed = tuple(filter(_is_listed, placed))
    lock_command = project.lock_command(tools.host.folder)
    install_findings = InstallFindings(path=project.lock, data=data, lock=lock, lock_command=lock_command)
    origin_findings = tuple(install_findings.other_origins(placed, reachable=inputs.reachable_indexes))
    folders = ("an index is a folder on one machine",) if any(map(_fails, origin_findings)) else ()
    return Report(
        outputs=Outputs(targets=tuple(map(str, targets)), packages=tuple(map(_entry, listed))),
        summary="; ".join((*map(_summary, targets, answers), *folders)),
        findings=(
            *(install_findings.uncovered(answer) for answer in answers if isinstance(answer, Uncovered)),
            *install_findings.not_wheels(placed),
            *origin_findings,
            *install_findings.local_builds(placed),
        ),
        tables=(_table(targets, placed),) if listed else (),
    )


def _targets(inputs: Inputs, project: Project, lock: Lockfile, tools: LockTools) -> tuple[Target, ...]:
    """Return the given targets without duplicates; by default the image's platform with the project's Python."""
    if inputs.targets:
        return tuple(dict.fromkeys(map(parse_target, inputs.targets)))
    pinned = (folder / ".python-version" for folder in (project.folder, project.root))
    text = next((file.read_text(errors="replace") for file in pinned if file.is_file()), "")
    if not text.strip() and not tools.host.untrusted_event:
        from ..core.lock.python_ranges import allows_several  # noqa: PLC0415  # imports `packaging`

        if allows_several(lock.requires_python):
            text = tools.uv.python_of(project) or ""
    return (serving_target(tools.host.machine, lock.requires_python, pinned=text),)


def _unreadable(project: Project, error: OSError | NotALock, *, lock_command: str) -> Report[Outputs]:
    """Report a lock that is missing or unreadable, as check-lock does, without running uv."""
    if isinstance(error, FileNotFoundError):
        what, why, rule = "uv.lock is missing", "the project's packages are not pinned", "lock-missing"
    else:
        why = str(error) if isinstance(error, NotALock) else error.strerror or str(error)
        what, rule = "uv.lock cannot be read", "lock-unreadable"
    line = error.line if isinstance(error, NotALock) else 1
    path = project.root / "pyproject.toml" if rule == "lock-missing" else project.lock
    finding = Finding(rule=rule, what=what, why=why, fix=lock_command, path=path, line=line)
    return Report(outputs=Outputs(targets=(), packages=()), summary=what, findings=(finding,))


def _fails(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


def _entry(placed: Placement) -> TargetEntry:
    return TargetEntry(
        name=placed.package.name,
        version=placed.package.version,
        target=str(placed.target),
        verdict=placed.verdict,
        local_build=local_build(placed.package),
        via=placed.via,
    )


def _summary(target: Target, answer: tuple[Placement, ...] | Uncovered) -> str:
    if isinstance(answer, Uncovered):
        return f"the lock does not cover {target}"
    barred = sum(placement.verdict is InstallMethod.IMPOSSIBLE for placement in answer)
    if barred:
        return f"{barred} of {counted(len(answer), 'package')} cannot be installed on {target}"
    built = sum(placement.verdict in NOT_WHEELS for placement in answer)
    verb = "installs" if len(answer) == 1 else "install"
    summary = f"{counted(len(answer), 'package')} {verb} on {target}"
    return f"{summary}, {built} of them built there" if built else summary


def _table(targets: Sequence[Target], placed: Iterable[Placement]) -> Table:
    rows = []
    for placements in group_by_package(placed):
        if any(map(_is_listed, placements)):
            cells = {placement.target: _cell(placement) for placement in placements}
            name = f"{placements[0].package.name} {placements[0].package.version or ''}".rstrip()
            rows.append((name, *(cells.get(target, "not needed") for target in targets), needed_by(placements[0])))
    columns = ("package", *map(str, targets), "needed by")
    return Table(title="Packages without a plain wheel on every target", columns=columns, rows=tuple(rows))


def _is_listed(placed: Placement) -> bool:
    return placed.verdict in NOT_WHEELS or _local_build(placed)


def _local_build(placed: Placement) -> bool:
    return placed.verdict is InstallMethod.WHEEL and bool(local_build(placed.package))


def _cell(placed: Placement) -> str:
    return f"{placed.verdict.value} (local build)" if _local_build(placed) else placed.verdict.value


STEP = Step(
    name="check-targets",
    summary="Check, without network access, that the locked packages can be installed where the model is served.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
