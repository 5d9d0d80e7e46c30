"""Writes the plan of a deployment as a file, with the pull request that the workflow is about."""

from pathlib import Path

from ...core.deploy.plan_document import DeploymentPlan, plan_document
from ...tools.github.event import PullRequestEvent, workflow_event
from ...tools.project.files import bounds_of, write_atomically
from ...tools.toolbox import Tools
from .rollout import RolloutPlan


def write_plan(path: Path | None, plan: RolloutPlan, tools: Tools) -> None:
    """Write a plan, if a file is asked for. Raises BadInput for a path out of the checkout that it is in."""
    if path is None:
        return
    event = workflow_event(tools.host.variables)
    pull_request = event if isinstance(event, PullRequestEvent) else None
    document = DeploymentPlan(
        deployment=plan.name.full,
        model=plan.wanted.model,
        version=plan.wanted.version,
        before=plan.before.version or "",
        changes=plan.changes,
        pull_request=pull_request.number if pull_request else 0,
        head_of_pull_request=pull_request.head if pull_request else "",
    )
    write_atomically(path, plan_document(document), within=bounds_of(path))
