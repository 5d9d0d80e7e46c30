"""Does a lock keep the rules that its team wrote into [tool.mlflow-uv.policy]?"""

from collections.abc import Iterator
from dataclasses import dataclass

from ...command.inputs import Extras, Groups, PackageName
from ...command.report import Finding
from ...command.step import settle
from ...core.lock.selection import Selection
from ...tools.lock_toolbox import LockTools
from ...tools.project.checkout import settings_layer
from ...tools.project.files import Project, members, read_project


@dataclass(frozen=True, kw_only=True, slots=True)
class _Served:
    """What `[tool.mlflow-uv]` says to serve."""

    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()


def policy_findings(project: Project, tools: LockTools) -> tuple[Finding, ...]:
    """
    Where a lock breaks the rules of its root, which are about all of it, and of members, about what each serves.

    From the root of a workspace every member is heard, from a member's own folder that member alone. Raises BadInput
    for a policy that cannot be understood, BadProject, ToolMissing, ToolFailed.
    """
    top = project if project.folder == project.root else read_project(project.root)
    others = members(top, holding=b"policy") if top is project else (project,)
    ruled = tuple(one for one in (top, *others) if "policy" in one.settings)
    return tuple(dict.fromkeys(_findings(top, ruled, tools))) if ruled else ()


def _findings(top: Project, ruled: tuple[Project, ...], tools: LockTools) -> Iterator[Finding]:
    # A hook does not pay for rules that nobody wrote.
    from ...core.policy.violations import PolicyContext, ServedUnit, age_violations, package_violations, uv_violations  # noqa: PLC0415
    from ...tools.project.lock_policy import lock_policy_of  # noqa: PLC0415

    where = tools.host.folder
    command = top.lock_command(where)
    for project in ruled:
        ruling = lock_policy_of(project, where=where)
        if ruling.policy.minimum_uv is not None:
            yield from uv_violations(ruling, tools.uv.version(tools.uv.program(top)) or "")
        if not top.lock.is_file():
            continue  # check-lock says so
        if ruling.policy.maximum_age_days is not None:
            change = tools.git.last_change(top.lock)
            yield from age_violations(ruling, top.lock, change, now_s=tools.clock.date_s(), command=command)
        if ruling.policy.about_packages:
            served = _serving(top) if project is top else (project,)
            units = tuple(ServedUnit(selection=_selection(one), name=one.name if one.named else None) for one in served)
            case = PolicyContext(
                path=top.lock,
                data=top.lock.read_bytes(),
                command=command,
                units=units,
                whole=project is top,
                now_s=tools.clock.date_s() if ruling.policy.keep_exclude_newer else 0.0,
            )
            yield from package_violations(ruling, case)


def _serving(top: Project) -> tuple[Project, ...]:
    """Whatever may be served: each project; where the root names one package, that and who else has settings."""
    if _selection(top).package is None:
        return (top, *members(top))
    return (top, *(one for one in members(top, holding=b"mlflow-uv") if one.settings))


def _selection(project: Project) -> Selection:
    said = settle(_Served, (settings_layer(_Served, project, {}),))
    return Selection(package=said.package, extras=said.extras, groups=said.groups)
