"""Compares every lock of a repository between two commits, for the review of a pull request."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import ExcludeInputs, ProjectInputs
from ..command.report import Finding, Report, Severity, Table
from ..command.step import Doc, OneRun, Step
from ..command.vulnerability_inputs import VulnerabilityInputs
from ..command.wording import local, option
from ..core.lock.targets import ServingTargets
from ..core.lock_difference.changes import PackageChange
from ..core.lock_difference.comment import comment_of, size_of, warnings_of
from ..core.lock_difference.comparison import LockChange, LockComparison, RepositoryComparison
from ..core.lock_difference.document import comparison_document
from ..core.lock_difference.lock_update import LockUpdate, fits, updates_of_patch
from ..ops.lock.commit_comparison import CommitComparison, CommitPair
from ..ops.lock.yanked_releases import YankedReleases
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.github.event import PullRequestEvent, workflow_event
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import absolute, bounds_of, write_atomically
from ..tools.system.untrusted_file import read_untrusted
from ..tools.system.web import Web

_SHORT = 7
_LARGEST_PATCH = 20_000_000  # bytes
_UNSHALLOW = local("git fetch --unshallow origin", "give actions/checkout `fetch-depth: 2`, or 0 for all commits")


@lazy_dataclass
class Inputs(ProjectInputs, ExcludeInputs, VulnerabilityInputs):
    """Inputs of compare-locks: the commits, the targets, and the files that are written."""

    base: Annotated[
        str,
        OneRun(),
        Doc("Commit, branch or tag to compare with; by default the base of the workflow's pull request."),
    ] = ""
    head: Annotated[str, OneRun(), Doc("Commit, branch or tag whose locks are compared.")] = "HEAD"
    targets: ServingTargets = ()
    yanked: Annotated[
        bool, OneRun(), Doc("Ask each package index, without credentials, whether new releases were yanked.")
    ] = False
    vulnerable: Annotated[
        bool, OneRun(), Doc("Ask a service which new versions of packages have known vulnerabilities.")
    ] = False
    comparison_file: Annotated[
        Path | None, OneRun(), Doc("File of the comparison as JSON, which compare-locks writes and post-comment reads.")
    ] = None
    lock_patch: Annotated[
        Path | None, OneRun(), Doc("Patch of check-lock, whose changes the comment on a pull request shows.")
    ] = None
    markdown_file: Annotated[Path | None, OneRun(), Doc("File for the comparison as Markdown.")] = None


@lazy_dataclass
class Outputs:
    """Outputs of compare-locks."""

    locks: Annotated[tuple[str, ...], Doc("Paths of the locks that differ, relative to the repository.")]
    changed_packages: Annotated[int, Doc("Number of packages that differ in all locks.")]
    served_packages: Annotated[int, Doc("Number of packages that differ and are served, or may be.")]
    comparison_file: Annotated[Path | None, Doc("File of the comparison as JSON; empty if none was requested.")]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Compare files that git has of both commits; nothing of the checkout runs. Raises BadInput, ToolFailed."""
    folder = absolute(inputs.project)
    top = tools.git.top(folder)
    if top is None:
        raise BadInput(what=f"`{inputs.project}` is not in a git repository", why="two commits are compared")
    event = workflow_event(tools.host.variables)
    pull_request = event if isinstance(event, PullRequestEvent) else None
    head = _commit(tools, top, "head", inputs.head)
    base = _base(inputs, tools, top, head, pull_request)
    below = top / folder.resolve().relative_to(top.resolve())
    compared = CommitComparison(
        tools.git,
        CommitPair(top=top, folder=below, base=base, head=head),
        machine=tools.host.machine,
        targets=inputs.targets,
    )
    paths = compared.locks(inputs.exclude)
    releases = YankedReleases(Web(tools.host.variables)) if inputs.yanked else None
    vulnerable = _vulnerable(inputs, tools)
    moves = compared.moves(paths)
    locks = tuple(
        compared.compare(
            path,
            releases.is_yanked if releases else None,
            moved_from=moves.get(path, ""),
            vulnerabilities_of=vulnerable.of if vulnerable else None,
        )
        for path in paths
        if path not in moves.values()
    )
    comparison = RepositoryComparison(
        base=base,
        head=head,
        pull_request=pull_request.number if pull_request else 0,
        head_of_pull_request=pull_request.head if pull_request else "",
        yanked_checked=releases is not None and not releases.unknown,
        vulnerable_checked=vulnerable is not None and not vulnerable.unknown,
        locks=locks,
        updates=_updates(inputs.lock_patch, tools, top, pull_request.head if pull_request else head),
    )
    for path, data in (
        (inputs.comparison_file, comparison_document(comparison)),
        (inputs.markdown_file, comment_of(comparison).encode()),
    ):
        if path is not None:
            write_atomically(path, data, within=bounds_of(path))
    report = _report(comparison, top, inputs.comparison_file)
    uncommitted = compared.uncommitted() if inputs.head == "HEAD" else ()
    return replace(
        report,
        findings=(*report.findings, *_silent(releases), *(_unknown(vulnerable.unknown) if vulnerable else ())),
        advice=tuple(f"`{path}` has changes that are not committed: only commits are compared" for path in uncommitted),
    )


def _updates(patch: Path | None, tools: LockTools, top: Path, head: str) -> tuple[LockUpdate, ...]:
    """The updates in a patch, without hunks for a lock of which the head has other lines than the patch."""
    if patch is None:
        return ()
    updates = updates_of_patch(read_untrusted(patch, limit=_LARGEST_PATCH))
    locks = [tools.git.blob(top, head, update.path) for update in updates]
    return tuple(
        update if lock is not None and fits(update, lock) else replace(update, hunks=())
        for update, lock in zip(updates, locks, strict=True)
    )


def _silent(releases: YankedReleases | None) -> Iterator[Finding]:
    for index, why in releases.silent.items() if releases is not None else ():
        yield Finding(
            rule="lock-comparison", severity=Severity.WARNING, what=f"what `{index}` yanked is unknown", why=why
        )


def _vulnerable(inputs: Inputs, tools: LockTools) -> Any:
    """What asks about vulnerabilities, None unless that is requested."""
    if not inputs.vulnerable:
        return None
    from ..ops.lock.changed_vulnerabilities import ChangedVulnerabilities  # noqa: PLC0415  # few runs ask

    return ChangedVulnerabilities(Web(tools.host.variables), inputs.vulnerability_service)


def _unknown(why: str) -> Iterator[Finding]:
    if why:
        what = "whether new versions have known vulnerabilities is unknown"
        yield Finding(rule="lock-comparison", severity=Severity.WARNING, what=what, why=why)


def _base(inputs: Inputs, tools: LockTools, top: Path, head: str, event: PullRequestEvent | None) -> str:
    """
    The commit to compare with.

    A workflow of a pull request has a merge commit, whose first parent is the base. Elsewhere it is the last commit
    that both branches have, so that what the base branch changed since then is no difference.
    """
    if not inputs.base:
        if event is None:
            raise BadInput(
                what="there is no commit to compare with",
                why="this is not a workflow of a pull request",
                fix=option("base", "origin/main"),
            )
        parents = tools.git.parents(top, head)
        if inputs.head == "HEAD" and len(parents) > 1 and parents[1] == event.head:
            return parents[0]
    base = _commit(tools, top, "base", inputs.base or (event.base if event else ""))
    common = tools.git.merge_base(top, base, head)
    if common is None:
        shallow = tools.git.is_shallow(top)
        raise BadInput(
            what=f"{base[:_SHORT]}, the base of the comparison, and {head[:_SHORT]} have no commit in common",
            why="the clone is shallow, so that the commit where they part is missing"
            if shallow
            else "no branch of one began from the other, so that nothing says which changes belong to the head",
            fix=_UNSHALLOW if shallow else "",
        )
    return common


def _commit(tools: LockTools, top: Path, name: str, revision: str) -> str:
    commit = tools.git.resolved(top, revision)
    if commit is None:
        shallow = tools.git.is_shallow(top)
        raise BadInput(
            what=f"`{revision}`, the {name} of the comparison, is not in this clone",
            why="the clone is shallow, or there is no such commit" if shallow else "there is no such commit here",
            fix=_UNSHALLOW if shallow else local("git fetch origin", "give actions/checkout `fetch-depth: 0`"),
        )
    return commit


def _report(comparison: RepositoryComparison, top: Path, file: Path | None) -> Report[Outputs]:
    packages = [change for lock in comparison.locks for change in lock.packages]
    verdict = comparison.verdict
    return Report(
        outputs=Outputs(
            locks=tuple(lock.path for lock in comparison.locks),
            changed_packages=len(packages),
            served_packages=sum(len(lock.served) for lock in comparison.locks),
            comparison_file=file,
        ),
        summary=f"{verdict}, between {comparison.base[:_SHORT]} and {comparison.head[:_SHORT]}",
        findings=tuple(finding for lock in comparison.locks for finding in _findings(lock, top)),
        tables=tuple(table for lock in comparison.locks for table in _tables(lock)),
    )


def _findings(lock: LockComparison, top: Path) -> Iterator[Finding]:
    severity = Severity.ERROR if lock.change is LockChange.UNREADABLE else Severity.WARNING
    for line in warnings_of(lock):
        yield Finding(rule="lock-comparison", what=line, severity=severity, path=top / lock.path)


def _tables(lock: LockComparison) -> Iterator[Table]:
    if lock.packages:
        rows = tuple(map(_row, (*lock.served, *lock.development)))
        columns = ("package", "change", "before", "after", "use")
        yield Table(title=f"Packages of {lock.path}", columns=columns, rows=rows)
    sizes = tuple(
        (target.target, f"{target.packages_before} → {target.packages_after}", size_of(target))
        for target in lock.targets
        if not target.uncovered
    )
    if sizes:
        yield Table(title=f"Served by {lock.path}", columns=("target", "packages", "download"), rows=sizes)


def _row(change: PackageChange) -> tuple[str, ...]:
    return change.name, change.kind.value, change.before, change.after, change.use.value


STEP = Step(
    name="compare-locks",
    summary="Compare every uv.lock of the repository between two commits, and say what changes for the served model.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
