"""The event that started a workflow."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.github.event import PullRequestEvent, WorkflowRunEvent, workflow_event

PULL = {"pull_request": {"number": 3, "head": {"sha": "b" * 40}, "base": {"sha": "a" * 40}}}
RUN = {
    "workflow_run": {"event": "pull_request", "head_sha": "b" * 40, "head_branch": "x", "head_repository": {"id": 7}}
}


def event(tmp_path: Path, name: str, content: Any):
    """The event of a job."""
    path = tmp_path / "event.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return workflow_event({"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path)})


def test_the_events_that_concern_a_pull_request_are_read(tmp_path: Path) -> None:
    """
    The event itself, and the end of a workflow that it started; any other is none.
    """
    pull = PullRequestEvent(number=3, head="b" * 40, base="a" * 40)

    assert (pull, pull) == (event(tmp_path, "pull_request", PULL), event(tmp_path, "pull_request_target", PULL))
    assert WorkflowRunEvent(event="pull_request", head="b" * 40, branch="x", repository=7) == event(
        tmp_path, "workflow_run", RUN
    )
    assert (None, None) == (event(tmp_path, "push", {}), workflow_event({}))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"workflow_run": null}', json.dumps({"workflow_run": {**RUN, "head_repository": None}})],
)
def test_an_event_that_cannot_be_read_is_an_error(tmp_path: Path, content: str) -> None:
    """
    Nothing is guessed: the repository of a deleted fork is null, and then it is not known whose run it was.
    """
    with pytest.raises(BadInput, match="the event `workflow_run`"):
        event(tmp_path, "workflow_run", content)


def test_a_part_that_an_event_lacks_is_named(tmp_path: Path) -> None:
    """
    As that of `act pull_request` without a file of the event does.
    """
    with pytest.raises(BadInput, match="the event `pull_request` of this workflow cannot be read: it has no 'pull_"):
        event(tmp_path, "pull_request", "{}")
