"""Keeps one issue about a version in production: opens it when a check fails, and closes it when the check succeeds."""

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Annotated

from ..command.errors import BadInput
from ..command.inputs import ProjectInputs
from ..command.report import Report
from ..command.step import Doc, OneRun, Step
from ..command.wording import option
from ..core.security.markdown import inline, link
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.github.api import GithubApi
from ..tools.github.issues import PERMISSION, Issues
from ..tools.lock_toolbox import LockTools
from ..tools.system.web import Web

_LONGEST = 200  # characters of a subject; GitHub takes 256 of a title


class JobResult(Enum):
    """How a job ended, in the words of GitHub's `needs` context."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class IssueAction(Enum):
    """What was done with the issue."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"
    NONE = "none"


_SUMMARIES = {
    IssueAction.OPENED: "issue opened: {}",
    IssueAction.UPDATED: "the open issue names this run: {}",
    IssueAction.CLOSED: "issue closed: {}",
    IssueAction.NONE: "there is no issue, and none is needed",
}
_REASONS = {
    JobResult.FAILURE: "a check failed",
    JobResult.CANCELLED: "a check did not finish",
    JobResult.SKIPPED: "a check did not run",
}


@lazy_dataclass
class Inputs(ProjectInputs):
    """Inputs of report-issue: what was checked, and how the check ended. No project is needed."""

    subject: Annotated[str, OneRun(), Doc("What was checked, such as models:/wine@champion; one issue for each.")] = ""
    result: Annotated[
        JobResult, OneRun(), Doc("Result of the job that checked it; anything but success opens the issue.")
    ] = JobResult.FAILURE


@lazy_dataclass
class Outputs:
    """Outputs of report-issue."""

    issue_action: Annotated[IssueAction, Doc("What was done with the issue: opened, updated, closed or none.")]
    issue_url: Annotated[str, Doc("Address of the issue; empty if there is none.")]


@lazy_dataclass
class IssueText:
    """The texts of an issue: its subject, and the Markdown of a link to the run of the workflow."""

    subject: str
    page: str

    @property
    def marker(self) -> str:
        """The first line of the issue about this subject."""
        return f"<!-- mlflow-uv: issue {hashlib.sha256(self.subject.encode()).hexdigest()[:16]} -->"

    def body(self, result: JobResult) -> str:
        """The text of the issue."""
        return (
            f"{self.marker}\n{inline(f'`{self.subject}`')} does not work as it did after training:"
            f" {_REASONS[result]}.\n\n"
            f"Last run: {self.page}. Its job summary has the findings, with their fixes.\n\n"
            "This issue is closed when the check succeeds again.\n"
        )


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Open, update or close the issue. Raises BadInput, ToolFailed."""
    subject = inputs.subject.strip()
    if not subject or len(subject) > _LONGEST:
        raise BadInput(
            what=f"the subject has {len(subject)} characters",
            why=f"it needs 1 to {_LONGEST}",
            fix=option("subject", "models:/NAME@ALIAS"),
        )
    variables = tools.host.variables
    issues = Issues(GithubApi(Web(variables), tools.clock, variables, permission=PERMISSION))
    text = IssueText(subject=subject, page=_run_page(variables))
    action, address = _kept(issues, text, inputs.result)
    return Report(outputs=Outputs(issue_action=action, issue_url=address), summary=_SUMMARIES[action].format(address))


def _kept(issues: Issues, text: IssueText, result: JobResult) -> tuple[IssueAction, str]:
    """What was done with the issue, and its address."""
    known = issues.own(text.marker)
    if result is JobResult.SUCCESS:
        if known is None:
            return IssueAction.NONE, ""
        issues.close(known, f"It works again: {text.page}")
        return IssueAction.CLOSED, known.address
    if known is None:
        return IssueAction.OPENED, issues.open(f"{text.subject} does not work as after training", text.body(result))
    issues.update(known, text.body(result))
    return IssueAction.UPDATED, known.address


def _run_page(variables: Mapping[str, str]) -> str:
    """A link to the run of the workflow."""
    server, repository, run = (variables.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return link(f"run {run}", f"{server}/{repository}/actions/runs/{run}") if run.isdigit() else "a run"


STEP = Step(
    name="report-issue",
    summary="Open an issue when a scheduled check of a version fails, and close it when the check succeeds.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
