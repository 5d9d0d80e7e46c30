"""
Writes the plan of a deployment as JSON and as the Markdown of a comment, and reads one from an untrusted source.

The job that posts a comment trusts no file of another job: what is read has a bounded size, and every text is escaped.
"""

import json
from dataclasses import asdict

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.job_documents import read_job_document
from ..security.markdown import inline
from .difference import DeploymentChange, shown_value
from .settings import require_name

SCHEMA = "mlflow-uv/deployment-plan/1"
LIMIT = 100_000  # bytes
MOST = 50  # differences
_LONGEST = 300  # characters of a text
_COMMIT = lazy_pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class InvalidPlan(ValueError):
    """A document that is no plan; the message is the reason."""


@lazy_dataclass
class DeploymentPlan:
    """
    What a deployment would run: the version, the one that runs now, and the differences.

    `pull_request` is 0 outside of one; `head_of_pull_request` is the commit that its author pushed.
    """

    deployment: str
    model: str
    version: str
    before: str = ""
    changes: tuple[DeploymentChange, ...] = ()
    pull_request: int = 0
    head_of_pull_request: str = ""


def plan_document(plan: DeploymentPlan) -> bytes:
    """Write a plan, within the limits that `read_plan` requires."""
    changes = [{name: value[:_LONGEST] for name, value in asdict(change).items()} for change in plan.changes[:MOST]]
    return json.dumps({"schema": SCHEMA, **asdict(plan), "changes": changes}, indent=1).encode() + b"\n"


def read_plan(data: bytes) -> DeploymentPlan:
    """Read a plan. Raises InvalidPlan for any other document."""
    plan = read_job_document(DeploymentPlan, data, schema=SCHEMA, limit=LIMIT, what="the plan", invalid=InvalidPlan)
    try:
        require_name(plan.deployment, source="`deployment`")
    except BadInput as error:
        raise InvalidPlan(error.text) from error
    texts = [plan.model, plan.version, plan.before]
    texts += (text for change in plan.changes for text in (change.part, change.now, change.then))
    if len(plan.changes) > MOST or any(len(text) > _LONGEST for text in texts) or plan.pull_request < 0:
        raise InvalidPlan("it is larger than a plan")
    if plan.head_of_pull_request and _COMMIT.fullmatch(plan.head_of_pull_request) is None:
        raise InvalidPlan("`head_of_pull_request` is not a commit")
    return plan


def plan_marker(plan: DeploymentPlan) -> str:
    """The beginning of the comment, by which it is found again: each deployment has its own."""
    return f"<!-- mlflow-uv: plan of {plan.deployment} -->"


def plan_comment(plan: DeploymentPlan) -> str:
    """The comment, which begins with its marker; empty if nothing would change."""
    if not plan.changes:
        return ""
    title = inline(f"{plan.deployment} would run {plan.model} version {plan.version}")
    before = inline(f"It runs version {plan.before} now." if plan.before else "It runs nothing now.")
    rows = "".join(
        f"| {inline(change.part)} | {inline(shown_value(change.now))} | {inline(shown_value(change.then))} |\n"
        for change in plan.changes
    )
    return f"{plan_marker(plan)}\n### {title}\n\n{before}\n\n| part | runs now | would run |\n|---|---|---|\n{rows}"
