"""Reads the event that started a workflow, as GitHub wrote it to GITHUB_EVENT_PATH."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...command.errors import BadInput
from ...core.security.documents import parse_json, whole_number
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass

LIMIT = 25_000_000  # bytes; GitHub delivers no event of more than 25 MB
_OF_PULL_REQUESTS = frozenset({"pull_request", "pull_request_target"})


@lazy_dataclass
class PullRequestEvent:
    """An event of a pull request: its number, the commit that its author pushed, and the tip of its base branch."""

    number: int
    head: str
    base: str


@lazy_dataclass
class WorkflowRunEvent:
    """The end of another workflow: the event that started it, and the commit, branch and repository that it ran for."""

    event: str
    head: str
    branch: str
    repository: int


def workflow_event(variables: Mapping[str, str]) -> PullRequestEvent | WorkflowRunEvent | None:
    """The event of a job, None outside of a workflow and for other events. Raises BadInput for a malformed one."""
    name = variables.get("GITHUB_EVENT_NAME", "")
    if name not in {*_OF_PULL_REQUESTS, "workflow_run"}:
        return None
    try:
        path = Path(variables.get("GITHUB_EVENT_PATH", ""))
        if path.stat().st_size > LIMIT:
            raise Unparsable(f"it is larger than {LIMIT} bytes")
        event = parse_json(path.read_bytes())
        return _workflow_run(event) if name == "workflow_run" else _pull_request(event)
    except (OSError, Unparsable, LookupError, TypeError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise BadInput(what=f"the event `{name}` of this workflow cannot be read", why=why) from error


def _pull_request(event: Any) -> PullRequestEvent:
    pull_request = event["pull_request"]
    return PullRequestEvent(
        number=whole_number(pull_request["number"]),
        head=str(pull_request["head"]["sha"]),
        base=str(pull_request["base"]["sha"]),
    )


def _workflow_run(event: Any) -> WorkflowRunEvent:
    run = event["workflow_run"]
    return WorkflowRunEvent(
        event=str(run["event"]),
        head=str(run["head_sha"]),
        branch=str(run["head_branch"]),
        repository=whole_number(run["head_repository"]["id"]),
    )
