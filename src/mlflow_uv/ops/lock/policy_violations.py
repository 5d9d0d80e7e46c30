"""Checks a lock against rules of the root and of members, and finds out what each of them serves."""

from collections.abc import Iterator

from ...command.inputs import SelectionInputs
from ...command.report import Finding
from ...command.step import settle
from ...core.lock.selection import Selection
from ...core.policy.policy import read_policy
from ...core.policy.violations import PolicyContext, ServedUnit, age_violations, package_violations, uv_violations
from ...tools.lock_toolbox import LockTools
from ...tools.project.checkout import settings_layer
from ...tools.project.files import Project, members
from ...tools.project.policy_table import policy_table


def policy_violations(top: Project, ruled: tuple[Project, ...], tools: LockTools) -> Iterator[Finding]:
    """Yield the violations of the rules of these projects, which share the lock of `top`; see `policy_findings`."""
    where = tools.host.folder
    command = top.lock_command(where)
    for project in ruled:
        ruling = read_policy(policy_table(project, "policy", where=where))
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
