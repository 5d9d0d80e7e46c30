"""Checks a lock against the rules in [tool.mlflow-uv.policy] of its project and of the workspace members."""

from ...command.report import Finding
from ...tools.lock_toolbox import LockTools
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
    if not with_policy:
        return ()
    from .policy_violations import policy_violations  # noqa: PLC0415  # imports `packaging`

    return tuple(dict.fromkeys(policy_violations(top, with_policy, tools)))
