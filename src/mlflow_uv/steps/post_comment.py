"""
Posts a comparison of locks and released versions, or the plan of a deployment, as one comment on a pull request.

Each version that a job of the pull request released is compared with the champion, whose description is read from a run
of the default branch alone. The comment is updated, and removed if there is nothing to say. The same holds for the
suggestions that update a lock, on lines of it that the pull request changes. The files may come from the job of a fork,
so nothing in them is trusted: the pull request that they name must be the one that the event is about, and the Markdown
is written here.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput
from ..command.inputs import PlanFile, ProjectInputs
from ..command.report import Report, counted
from ..command.step import Doc, OneRun, Step
from ..command.wording import local
from ..core.deploy.plan_document import LIMIT as PLAN_LIMIT
from ..core.deploy.plan_document import DeploymentPlan, InvalidPlan, plan_comment, plan_marker, read_plan
from ..core.lock_difference.comment import LIMIT as COMMENT_LIMIT
from ..core.lock_difference.comment import MARKER, comment_of
from ..core.lock_difference.comparison import RepositoryComparison
from ..core.lock_difference.document import LIMIT, InvalidComparison, read_comparison
from ..core.lock_difference.lock_update import MOST_SUGGESTIONS, LockUpdate, Suggestion, suggestions_of
from ..core.version_difference.description import VersionDescription
from ..ops.versions.released_versions import compared_with_champion, released_in
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.github.api import GithubApi
from ..tools.github.artifacts import PERMISSION as ARTIFACTS
from ..tools.github.artifacts import Artifacts
from ..tools.github.event import PullRequestEvent, WorkflowRunEvent, workflow_event
from ..tools.github.pull_requests import PERMISSION, PullRequest, PullRequests
from ..tools.github.review_comments import ReviewComments
from ..tools.lock_toolbox import LockTools
from ..tools.system.untrusted_file import read_untrusted
from ..tools.system.web import Web


class CommentAction(Enum):
    """What was done with the comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    NONE = "none"
    OUTDATED = "outdated"


_SUMMARIES = {
    CommentAction.CREATED: "comment written on pull request {}",
    CommentAction.UPDATED: "comment on pull request {} updated",
    CommentAction.UNCHANGED: "comment on pull request {} is up to date",
    CommentAction.REMOVED: "comment removed from pull request {}, because there is nothing to say",
    CommentAction.NONE: "no comment on pull request {}, because there is nothing to say",
    CommentAction.OUTDATED: "no comment on pull request {}, because it has newer commits or is closed",
}


@lazy_dataclass
class Inputs(ProjectInputs):
    """Inputs of post-comment: the files of compare-locks and describe-version, or that of deploy."""

    comparison_file: Annotated[
        Path | None, OneRun(), Doc("File of the comparison as JSON, which compare-locks writes and post-comment reads.")
    ] = None
    description_folder: Annotated[
        Path | None,
        OneRun(),
        Doc("Folder with a folder for each version that the pull request released, which has its description.json."),
    ] = None
    plan_file: PlanFile = None


@lazy_dataclass
class _Comment:
    """
    A comment that files ask for: the pull request and the commit that they are about, and its text.

    That of a comparison is written once it is known whose it is.
    """

    noun: str
    pull_request: int
    head: str
    marker: str
    text: str = ""
    locks: RepositoryComparison | None = None
    released: tuple[VersionDescription, ...] = ()

    @property
    def updates(self) -> tuple[LockUpdate, ...] | None:
        """The updates of locks that are suggested; None for a plan, which leaves suggestions alone."""
        return None if self.locks is None else self.locks.updates


@lazy_dataclass
class Outputs:
    """Outputs of post-comment."""

    action: Annotated[CommentAction, Doc("What was done: created, updated, unchanged, removed, none or outdated.")]
    pull_request: Annotated[int, Doc("Number of the pull request.")]
    comment_url: Annotated[str, Doc("Address of the comment; empty if there is none.")]
    suggestions: Annotated[int, Doc("Number of suggestions that update locks, on lines of the pull request.")]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Verify whose comparison it is, then write the comment. Raises BadInput, ToolFailed."""
    comparison = _given(inputs)
    event = _event(tools)
    number = _number(comparison, event)
    web, variables = Web(tools.host.variables), tools.host.variables
    api = GithubApi(web, tools.clock, variables, permission=PERMISSION)
    pulls = PullRequests(api)
    pull_request = pulls.pull_request(number)
    if pull_request is None:
        raise BadInput(what=f"there is no pull request {number}", why=f"the {comparison.noun} names it")
    _require_same(pull_request, event)
    if pull_request.head != event.head or not pull_request.is_open:
        return _report(CommentAction.OUTDATED, number, "", 0)
    for head in (comparison.head, *(version.head_of_pull_request for version in comparison.released)):
        if head != event.head:
            raise BadInput(
                what=f"the {comparison.noun} is about another commit",
                why=f"it is about {head[:12] or 'no pull request'}, and this workflow is about {event.head[:12]}",
            )
    artifacts = Artifacts(GithubApi(web, tools.clock, variables, permission=ARTIFACTS))
    released = tuple(compared_with_champion(version, artifacts) for version in comparison.released)
    if comparison.locks is not None:
        parts = [part for version in released for part in version.parts]
        comparison = replace(comparison, text=comment_of(comparison.locks, parts))
    action, url = _posted(pulls, number, comparison)
    suggestions = _suggested(ReviewComments(api, number), comparison)
    return replace(
        _report(action, number, url, suggestions),
        findings=tuple(version.finding for version in released if version.finding),
        tables=tuple(table for version in released for table in version.comparison.tables),
    )


def _given(inputs: Inputs) -> _Comment:
    """The comment of a plan, or of a comparison and descriptions of versions. Raises BadInput for other files."""
    comparison, plan = inputs.comparison_file, inputs.plan_file
    if (comparison is None) == (plan is None):
        why = "neither `comparison-file` nor `plan-file` is set" if plan is None else "both files are set"
        raise BadInput(what="there is not one file to post" if plan else "there is no comparison", why=why)
    if plan is not None:
        try:
            return _of_plan(read_plan(read_untrusted(plan, limit=PLAN_LIMIT)))
        except InvalidPlan as error:
            raise BadInput(what=f"`{plan}` is not the plan of a deployment", why=str(error)) from error
    assert comparison is not None  # noqa: S101  # one of both is set
    try:
        lock_comparison = read_comparison(read_untrusted(comparison, limit=LIMIT))
    except InvalidComparison as error:
        raise BadInput(what=f"`{comparison}` is not a comparison of locks", why=str(error)) from error
    return _Comment(
        noun="comparison",
        pull_request=lock_comparison.pull_request,
        head=lock_comparison.head_of_pull_request,
        marker=MARKER,
        locks=lock_comparison,
        released=released_in(inputs.description_folder),
    )


def _of_plan(plan: DeploymentPlan) -> _Comment:
    return _Comment(
        noun="plan",
        pull_request=plan.pull_request,
        head=plan.head_of_pull_request,
        marker=plan_marker(plan),
        text=plan_comment(plan),
    )


def _event(tools: LockTools) -> PullRequestEvent | WorkflowRunEvent:
    event = workflow_event(tools.host.variables)
    if event is None or (isinstance(event, WorkflowRunEvent) and not event.event.startswith("pull_request")):
        why = "it is about a run for another event" if event else "only a workflow knows its pull request"
        fix = local("run this step in a workflow", "start it by `pull_request`, or by `workflow_run` after one")
        raise BadInput(what="this workflow is not about a pull request", why=why, fix=fix)
    return event


def _number(comparison: _Comment, event: PullRequestEvent | WorkflowRunEvent) -> int:
    """The number of the pull request: of the event, or the one that the files claim to be about."""
    for version in comparison.released:
        if version.pull_request != comparison.pull_request:
            raise _foreign(version.pull_request)
    if isinstance(event, PullRequestEvent):
        if comparison.pull_request != event.number:
            raise _foreign(comparison.pull_request)
        return event.number
    if not comparison.pull_request:
        raise BadInput(what=f"the {comparison.noun} names no pull request", why="it was made outside of one")
    return comparison.pull_request


def _require_same(pull_request: PullRequest, event: PullRequestEvent | WorkflowRunEvent) -> None:
    """
    Raise BadInput unless a pull request is the one that the event is about.

    It is recognised by its repository and branch, so that one with newer commits is recognised too; the caller compares
    the commits.
    """
    if isinstance(event, PullRequestEvent):
        return
    same_branch = (pull_request.repository, pull_request.branch) == (event.repository, event.branch)
    if not event.repository or not same_branch:
        raise _foreign(pull_request.number)


def _foreign(number: int) -> BadInput:
    return BadInput(
        what=f"the file names pull request {number}, which this workflow is not about",
        why="its branch or repository is another one",
    )


def _posted(pulls: PullRequests, number: int, wanted: _Comment) -> tuple[CommentAction, str]:
    """Leave one comment with the text, or none without text."""
    own, text = pulls.own_comments(number, wanted.marker), wanted.text
    kept = own[:1] if text else ()
    for comment in own[len(kept) :]:
        pulls.delete(comment)
    if not text:
        return (CommentAction.REMOVED if own else CommentAction.NONE), ""
    if not kept:
        return CommentAction.CREATED, pulls.create(number, text)
    (comment,) = kept
    if comment.body.replace("\r\n", "\n").strip() == text.strip():
        return CommentAction.UNCHANGED, comment.address
    pulls.update(comment, text)
    return CommentAction.UPDATED, comment.address


def _suggested(comments: ReviewComments, comparison: _Comment) -> int:
    """Leave the suggestions that the comparison asks for and no others; a plan asks for nothing."""
    if comparison.updates is None:
        return 0
    wanted = {
        ((each.path, each.first_line, each.last_line), each.body.strip()): each
        for each in _possible(comments, comparison.updates)
    }
    kept = set()
    for written in comments.own():
        key = written.place, written.body.replace("\r\n", "\n").strip()
        if key in wanted and key not in kept:
            kept.add(key)
        else:
            comments.delete(written)
    for key, suggestion in wanted.items():
        if key not in kept:
            comments.write(suggestion, comparison.head)
    return len(wanted)


def _possible(comments: ReviewComments, updates: tuple[LockUpdate, ...]) -> Iterator[Suggestion]:
    """Yield the suggestions of each lock that they update as a whole: all their lines are in the pull request."""
    left = MOST_SUGGESTIONS
    for update in updates:
        suggestions = suggestions_of(update)
        if not 0 < len(suggestions) <= left or any(len(each.body) > COMMENT_LIMIT for each in suggestions):
            continue
        shown = comments.commentable(update.path)
        if all(any(each.first_line in lines and each.last_line in lines for lines in shown) for each in suggestions):
            left -= len(suggestions)
            yield from suggestions


def _report(action: CommentAction, number: int, url: str, suggestions: int) -> Report[Outputs]:
    added = f", {counted(suggestions, 'suggestion')}" if suggestions else ""
    return Report(
        outputs=Outputs(action=action, pull_request=number, comment_url=url, suggestions=suggestions),
        summary=_SUMMARIES[action].format(number) + added,
    )


STEP = Step(
    name="post-comment",
    summary="Post a comparison of locks and released versions, or the plan of a deployment, as one comment on its pull"
    " request.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
