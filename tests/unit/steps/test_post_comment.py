"""One comment on the right pull request, whatever the untrusted file says."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.deploy.difference import DeploymentChange
from mlflow_uv.core.deploy.plan_document import DeploymentPlan, plan_document
from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse
from mlflow_uv.core.lock_difference.comment import MARKER, comment_of
from mlflow_uv.core.lock_difference.comparison import LockChange, LockComparison, RepositoryComparison
from mlflow_uv.core.lock_difference.document import comparison_document
from mlflow_uv.core.lock_difference.lock_update import MARKER as UPDATE_MARKER
from mlflow_uv.core.lock_difference.lock_update import LockHunk, LockUpdate
from mlflow_uv.core.version_difference.description import champion_artifact
from mlflow_uv.core.version_difference.document import description_document
from mlflow_uv.steps.post_comment import CommentAction, Inputs, Outputs, run
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github
from tests.runner import words
from tests.unit.core.version_difference.descriptions import CHAMPION, VERSION

HEAD, OTHER = "b" * 40, "c" * 40
CHANGE = PackageChange(name="grape", kind=ChangeKind.ADDED, after="1", use=PackageUse.SERVED)
LOCK = LockComparison(path="uv.lock", change=LockChange.CHANGED, packages=(CHANGE,))
COMPARISON = RepositoryComparison(
    base="a" * 40, head="d" * 40, pull_request=3, head_of_pull_request=HEAD, locks=(LOCK,)
)
RUN = {"event": "pull_request", "head_sha": HEAD, "head_branch": "topic", "head_repository": {"id": 7}}


@dataclass
class Workflow:
    """The job that writes the comment, after the workflow of a fork has ended."""

    folder: Path
    github: FakeGithub

    @property
    def file(self) -> Path:
        """The file that the job of the fork made."""
        return self.folder / "comparison.json"

    def run(
        self, given: RepositoryComparison | bytes = COMPARISON, *, event: dict | None = None, **variables: str
    ) -> Outputs:
        """Run the step on a file."""
        self.file.write_bytes(given if isinstance(given, bytes) else comparison_document(given))
        return self.rerun(event=event, variables=variables)

    def rerun(
        self, *, event: dict | None = None, plan: bool = False, variables: Mapping[str, str] | None = None
    ) -> Outputs:
        """Run the step on what is there."""
        path = self.folder / "event.json"
        path.write_text(
            json.dumps({"workflow_run": {**RUN, **(event or {})}} if "pull" not in (event or {}) else event)
        )
        job = {
            "GITHUB_EVENT_NAME": "workflow_run",
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
        }
        host = Host.of({**os.environ, **job, **(variables or {})}, folder=self.folder, python=Path(sys.executable))
        with locktools(host, console=terminal(words())) as tools:
            folder = self.folder / "versions"
            compared = Inputs(comparison_file=self.file, description_folder=folder)
            return run(Inputs(plan_file=self.file) if plan else compared, tools).outputs

    def release(self, name: str = "1", **parts: Any) -> None:
        """Let a job of the pull request hand over the description of a version with these parts."""
        place = self.folder / "versions" / f"mlflow-uv-release-{name}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "description.json").write_bytes(description_document(replace(VERSION, **parts)))


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGithub]:
    """The API."""
    with fake_github() as started:
        yield started


@pytest.fixture
def workflow(server: FakeGithub, tmp_path: Path) -> Workflow:
    """Two pull requests of the fork, and one of somebody else."""
    for state in (
        server.pulls, server.comments, server.requests, server.failures, server.files, server.suggestions,
        server.artifacts, server.runs,
    ):  # fmt: skip
        state.clear()
    server.open(3, HEAD)
    server.open(4, OTHER, branch="another")
    server.open(5, OTHER, repository=8)
    return Workflow(tmp_path, server)


def test_a_comment_lives_as_long_as_there_is_something_to_say(workflow: Workflow) -> None:
    """
    It is written, left alone, changed, removed and not written again.
    """
    again = replace(COMPARISON, locks=(replace(LOCK, path="other/uv.lock"),))
    nothing = replace(COMPARISON, locks=())

    actions = [workflow.run(given).action for given in (COMPARISON, COMPARISON, again)]
    written = workflow.github.bodies(3)
    actions += [workflow.run(given).action for given in (nothing, nothing)]

    assert ["created", "unchanged", "updated", "removed", "none"] == [action.value for action in actions]
    assert ([comment_of(again)], []) == (written, workflow.github.bodies(3))


def test_comments_that_two_runs_wrote_become_one(workflow: Workflow) -> None:
    """
    Two workflows at once may both find none.
    """
    for text in ("one", "two"):
        workflow.github.comment(3, f"{MARKER}\n{text}")

    assert CommentAction.UPDATED is workflow.run().action
    assert [comment_of(COMPARISON)] == workflow.github.bodies(3)


@pytest.mark.parametrize("number", [4, 5, 6])
def test_a_file_cannot_choose_another_pull_request(workflow: Workflow, number: int) -> None:
    """
    Of the same fork, of somebody else, or of nobody: nothing is written.
    """
    with pytest.raises(BadInput, match=r"which this workflow is not about|there is no pull request 6"):
        workflow.run(replace(COMPARISON, pull_request=number))

    assert [] == workflow.github.written


def test_a_fork_that_was_deleted_owns_no_pull_request(workflow: Workflow) -> None:
    """
    Two repositories that are both unknown are not the same one.
    """
    workflow.github.pulls[3]["head"]["repo"] = None

    with pytest.raises(BadInput, match="which this workflow is not about"):
        workflow.run(event={"head_repository": {"id": 0}})

    assert [] == workflow.github.written


def test_a_comparison_of_another_commit_is_refused(workflow: Workflow) -> None:
    """
    An old artifact says nothing about the commit that is reviewed.
    """
    with pytest.raises(BadInput, match="is about another commit"):
        workflow.run(replace(COMPARISON, head_of_pull_request=OTHER))

    assert [] == workflow.github.written


@pytest.mark.parametrize(("head", "state"), [("e" * 40, "open"), (HEAD, "closed")])
def test_a_run_that_is_late_writes_nothing(workflow: Workflow, head: str, state: str) -> None:
    """
    A newer commit has its own run, and its comment stays.
    """
    workflow.github.open(3, head, state=state)

    assert CommentAction.OUTDATED is workflow.run().action
    assert [] == workflow.github.written


def test_a_pull_request_of_the_same_repository_needs_no_second_workflow(workflow: Workflow) -> None:
    """
    The event has the number; a file with another one is refused.
    """
    event = {"pull_request": {"number": 3, "head": {"sha": HEAD}, "base": {"sha": "a" * 40}}, "pull": True}

    done = workflow.run(event=event, GITHUB_EVENT_NAME="pull_request")
    with pytest.raises(BadInput, match="which this workflow is not about"):
        workflow.run(replace(COMPARISON, pull_request=4), event=event, GITHUB_EVENT_NAME="pull_request")

    assert (CommentAction.CREATED, 3, True) == (done.action, done.pull_request, done.comment_url.startswith("https://"))


@pytest.mark.parametrize("name", ["push", "schedule", ""])
def test_other_events_have_no_pull_request(workflow: Workflow, name: str) -> None:
    """
    Neither has a run for another event.
    """
    with pytest.raises(BadInput, match="not about a pull request"):
        workflow.run(GITHUB_EVENT_NAME=name)
    with pytest.raises(BadInput, match="not about a pull request"):
        workflow.run(event={"event": "push"})


@pytest.mark.parametrize("data", [b"{}", b"x" * 10_000_000, b'{"schema": 1}', b"\0", b"[" * 500_000], ids=len)
def test_a_file_that_is_no_comparison_is_refused(workflow: Workflow, data: bytes) -> None:
    """
    Also one of ten megabytes, before anything is asked of GitHub.
    """
    with pytest.raises(BadInput):
        workflow.run(data)

    assert [] == workflow.github.requests


def test_a_link_in_place_of_the_file_is_not_followed(workflow: Workflow, tmp_path: Path) -> None:
    """
    A file of the runner is not what a fork may show.
    """
    secret = tmp_path / "valid.json"
    secret.write_bytes(comparison_document(COMPARISON))
    workflow.file.symlink_to(secret)

    with pytest.raises(BadInput, match="symbolic link"):
        workflow.rerun()

    assert [] == workflow.github.requests


def test_a_token_without_permission_says_what_it_needs(workflow: Workflow) -> None:
    """
    The permission of the job is the fix, and the token is in no message.
    """
    workflow.github.failures += [403]

    with pytest.raises(ToolFailed) as caught:
        workflow.run()

    assert ("a token with the permission pull-requests: write", False) == (caught.value.fix, TOKEN in str(caught.value))


def test_a_release_has_a_comment_also_without_a_changed_lock(workflow: Workflow) -> None:
    """
    Compared with the champion that the default branch described; it is removed once there is neither.
    """
    unchanged = replace(COMPARISON, locks=())
    workflow.release()
    actions = [workflow.run(unchanged).action]
    first = workflow.github.bodies(3)
    champion = {"description.json": description_document(CHAMPION)}
    workflow.github.hand_over(champion_artifact("wine"), champion)
    workflow.github.hand_over(champion_artifact("wine"), {"description.json": b"{}"}, event="pull_request")
    actions += [workflow.run(given).action for given in (unchanged, unchanged, COMPARISON)]
    (both,) = workflow.github.bodies(3)
    shutil.rmtree(workflow.folder / "versions")
    actions.append(workflow.run(unchanged).action)

    assert ["created", "updated", "unchanged", "updated", "removed"] == [action.value for action in actions]
    assert "nothing to compare with yet" in first[0]
    assert "| accuracy | 0.98 | 0.97 | ↑ +0.01 |" in both
    assert both.index("<code>uv.lock</code>") < both.index("the champion, version 3")


def test_a_release_of_another_pull_request_or_commit_is_refused(workflow: Workflow) -> None:
    """
    As a comparison is, and with it the comparison.
    """
    for parts, message in (
        ({"pull_request": 4}, "which this workflow is not about"),
        ({"pull_request": 0}, "which this workflow is not about"),
        ({"head_of_pull_request": OTHER}, "is about another commit"),
        ({"head_of_pull_request": ""}, "is about another commit"),
    ):
        workflow.release(**parts)
        with pytest.raises(BadInput, match=message):
            workflow.run()

    assert [] == workflow.github.written


def test_a_champion_that_cannot_be_asked_for_leaves_a_comment(workflow: Workflow) -> None:
    """
    A job may write comments and may not read artifacts.
    """
    workflow.release()
    answer = workflow.github.answer
    refused = (403, {"message": "Resource not accessible by integration"})
    workflow.github.answer = (  # type: ignore[method-assign]  # for this test
        lambda method, target, body: refused if "/actions/" in target else answer(method, target, body)
    )

    try:
        done = workflow.run()
    finally:
        del workflow.github.answer

    (body,) = workflow.github.bodies(3)
    assert CommentAction.CREATED is done.action
    assert "Not compared: the description of the champion cannot be read, because GitHub's API refused" in body


def test_a_plan_has_a_comment_of_its_own(workflow: Workflow) -> None:
    """
    The comment about the locks stays; another plan of the deployment replaces the first, and none removes it.
    """
    workflow.run()
    change = DeploymentChange(part="version", now="1", then="2")
    plan = DeploymentPlan(
        deployment="prod", model="wine", version="2", changes=(change,), pull_request=3, head_of_pull_request=HEAD
    )
    actions = []
    for given in (plan, plan, replace(plan, version="3"), replace(plan, changes=())):
        workflow.file.write_bytes(plan_document(given))
        actions.append(workflow.rerun(plan=True).action)

    assert [CommentAction.CREATED, CommentAction.UNCHANGED, CommentAction.UPDATED, CommentAction.REMOVED] == actions
    assert 1 == len(workflow.github.comments)


def test_a_plan_of_another_pull_request_or_commit_is_refused(workflow: Workflow) -> None:
    """
    As a comparison is; so is a comparison in the place of a plan.
    """
    for head, number, message in ((OTHER, 3, "the plan is about another commit"), (HEAD, 5, "not about")):
        plan = DeploymentPlan(
            deployment="prod", model="wine", version="2", pull_request=number, head_of_pull_request=head
        )
        workflow.file.write_bytes(plan_document(plan))
        with pytest.raises(BadInput, match=message):
            workflow.rerun(plan=True)
    workflow.file.write_bytes(comparison_document(COMPARISON))
    with pytest.raises(BadInput, match="is not the plan of a deployment"):
        workflow.rerun(plan=True)


def test_one_file_is_posted() -> None:
    """
    Neither none nor both.
    """
    for inputs in (Inputs(), Inputs(comparison_file=Path("a"), plan_file=Path("b"))):
        with pytest.raises(BadInput, match="there is"):
            run(inputs, None)  # type: ignore[arg-type]


UPDATE = LockUpdate(
    path="uv.lock",
    hunks=(
        LockHunk(first_line=4, lines=(" a", "-b", "-c", "+d", " e")),
        LockHunk(first_line=20, lines=(" f", "+g", " h")),
    ),
)
SHOWN = [{"filename": "uv.lock", "patch": "@@ -1,9 +1,9 @@ x\n\n@@ -18,5 +18,6 @@"}]


def lines_of(github: FakeGithub) -> list[tuple[int | None, int, str]]:
    """The lines that are commented, and what is suggested for them."""
    ours = (each for each in github.suggestions if each["user"]["type"] == "Bot")
    return [(each["start_line"], each["line"], each["body"].partition("\n\n")[2]) for each in ours]


def test_an_update_of_a_lock_is_a_suggestion_where_the_pull_request_has_its_lines(workflow: Workflow) -> None:
    """
    A run that says the same leaves them, one without the update removes them, and those of others stay.
    """
    workflow.github.files += SHOWN
    workflow.github.suggestions.append({"id": 1, "body": UPDATE_MARKER, "user": {"login": "mallory", "type": "User"}})
    stale = replace(COMPARISON, updates=(UPDATE,))

    numbers = [workflow.run(stale).suggestions, workflow.run(stale).suggestions]
    written = lines_of(workflow.github)
    removed = workflow.run(COMPARISON).suggestions

    assert [(5, 6, "```suggestion\nd\n```\n"), (None, 20, "```suggestion\nf\ng\n```\n")] == written
    assert ([2, 2], 0, [1]) == (numbers, removed, [each["id"] for each in workflow.github.suggestions])


def test_a_suggestion_moves_with_its_lines(workflow: Workflow) -> None:
    """
    GitHub names no line of a comment whose lines changed; another text on the same line is another suggestion.
    """
    workflow.github.files += SHOWN
    workflow.run(replace(COMPARISON, updates=(UPDATE,)))
    workflow.github.suggestions[0]["line"] = None
    workflow.github.suggestions[1]["body"] += "x"

    workflow.run(replace(COMPARISON, updates=(UPDATE,)))

    assert [(5, 6), (None, 20)] == [places[:2] for places in lines_of(workflow.github)]


@pytest.mark.parametrize("patch", ["", "@@ -1,9 +1,9 @@", "@@ -1,5 +1,5 @@\n@@ -6,20 +6,20 @@", "@@ -18,5 +18,6 @@"])
def test_a_lock_is_suggested_as_a_whole_or_not_at_all(workflow: Workflow, patch: str) -> None:
    """
    Half of an update is a lock that is still out of date; lines of two hunks of the diff are not one suggestion.
    """
    workflow.github.files.append({"filename": "uv.lock", "patch": patch})

    done = workflow.run(replace(COMPARISON, updates=(UPDATE,)))

    assert (0, []) == (done.suggestions, workflow.github.suggestions)


def test_many_suggestions_are_none(workflow: Workflow) -> None:
    """
    Each is a mail to everybody who watches the pull request.
    """
    workflow.github.files.append({"filename": "uv.lock", "patch": "@@ -1,900 +1,900 @@"})
    hunks = tuple(LockHunk(first_line=10 * number, lines=("-a", "+b")) for number in range(1, 12))

    assert 0 == workflow.run(replace(COMPARISON, updates=(LockUpdate(path="uv.lock", hunks=hunks),))).suggestions


def test_a_lock_with_a_suggestion_that_is_too_long_has_none(workflow: Workflow) -> None:
    """
    Neither the long one nor the short one before it; another lock has its own.
    """
    workflow.github.files += [{"filename": name, "patch": "@@ -1,900 +1,900 @@"} for name in ("uv.lock", "a/uv.lock")]
    short = LockHunk(first_line=2, lines=("-a", "+b"))
    long = LockHunk(first_line=10, lines=(" x", *["+" + "y" * 900] * 100, " z"))
    updates = (LockUpdate(path="uv.lock", hunks=(short, long)), LockUpdate(path="a/uv.lock", hunks=(short,)))

    done = workflow.run(replace(COMPARISON, updates=updates))

    assert (1, ["a/uv.lock"]) == (done.suggestions, [each["path"] for each in workflow.github.suggestions])


def test_two_suggestions_for_one_line_are_both_posted(workflow: Workflow) -> None:
    """
    Lines before and after the first one of a lock; a second run leaves both, and removes what it does not want.
    """
    workflow.github.files += SHOWN
    hunks = (LockHunk(first_line=1, lines=("+a", " x", "+b", " y")),)
    given = replace(COMPARISON, updates=(LockUpdate(path="uv.lock", hunks=hunks),))

    numbers = [workflow.run(given).suggestions]
    first = [each["id"] for each in workflow.github.suggestions]
    workflow.github.suggestions.append({**workflow.github.suggestions[0], "id": 9})
    numbers.append(workflow.run(given).suggestions)

    assert ([2, 2], first) == (numbers, [each["id"] for each in workflow.github.suggestions])
    assert ["```suggestion\na\nx\n```\n", "```suggestion\nx\nb\n```\n"] == [
        text for *_, text in lines_of(workflow.github)
    ]


@pytest.mark.parametrize(
    "update",
    [
        LockUpdate(path=".github/workflows/x.yml"),
        LockUpdate(path="../uv.lock"),
        LockUpdate(path="/uv.lock"),
        LockUpdate(path="a\u202e/uv.lock"),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-a", "+b\nPATCH")),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-a", "+b\u202e")),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-a", "PATCH")),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-a", "")),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=0, lines=("-a",)),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-a",) * 401),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-" + "a" * 1000,)),)),
        LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=1, lines=("-a", "-a")),) * 2),
    ],
)
def test_an_untrusted_update_changes_lines_of_a_lock_and_nothing_else(workflow: Workflow, update: LockUpdate) -> None:
    """
    Another file, control characters, a line that would end the patch, and more than a reviewer reads are refused.
    """
    with pytest.raises(BadInput, match="an update is not one of a lock"):
        workflow.run(replace(COMPARISON, updates=(update,)))

    assert [] == workflow.github.requests
