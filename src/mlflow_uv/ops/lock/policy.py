"""Checks a lock against the rules in [tool.mlflow-uv.policy] of its project and of the workspace members."""

from collections.abc import Iterator

from ...command.inputs import SelectionInputs
from ...command.report import Finding
from ...command.step import settle
from ...core.lock.selection import Selection
from ...tools.lock_toolbox import LockTools
from ...tools.project.checkout import settings_layer
from ...tools.project.files import Project, members, read_project


def policy_findings(project: Project, tools: LockTools) -> tuple[Finding, ...]:
    """
    Return the violations: rules of the root apply to the whole lock, rules of a member to what that member serves.

    From the root of a workspace the rules of all members are checked, from a member's folder only its own. Raises
    BadInput for an invalid policy, BadProject, ToolMissing, ToolFailed.
    """
    top = project if project.folder == project.root else read_project(project.root)
    other_members = members(top, holding=b"policy") if top is project else (project,)
    with_policy = tuple(candidate for candidate in (top, *other_members) if "policy" in candidate.settings)
    return tuple(dict.fromkeys(_findings(top, with_policy, tools))) if with_policy else ()


def _findings(top: Project, ruled: tuple[Project, ...], tools: LockTools) -> Iterator[Finding]:
    # Imported only if there are rules, to keep the hook fast.
    from ...core.policy.violations import PolicyContext, ServedUnit, age_violations, package_violations, uv_violations  # noqa: PLC0415
    from ...tools.project.lock_policy import lock_policy_of  # noqa: PLC0415

    where = tools.host.folder
    command = top.lock_command(where)
    for project in ruled:
        ruling = lock_policy_of(project, where=where)
        if ruling.policy.minimum_uv is not None:
            yield from uv_violations(ruling, tools.uv.version(tools.uv.program(top)) or "")
        if not top.lock.is_file():
            continue  # check-lock reports it
        if ruling.policy.maximum_age_days is not None:
            change = tools.git.last_change(top.lock)
            yield from age_violations(ruling, top.lock, change, now_s=tools.clock.date_s(), command=command)
        if ruling.policy.about_packages:
            served = _serving(top) if project is top else (project,)
            units = tuple(
                ServedUnit(selection=_selection(unit_project), name=unit_project.name if unit_project.named else None)
                for unit_project in served
            )
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
    """Return the projects that may be served: all, or the root and members with settings if the root names one."""
    if _selection(top).package is None:
        return (top, *members(top))
    return (top, *(member for member in members(top, holding=b"mlflow-uv") if member.settings))


def _selection(project: Project) -> Selection:
    settings = settle(SelectionInputs, (settings_layer(SelectionInputs, project, {}),))
    return Selection(package=settings.package, extras=settings.extras, groups=settings.groups)
