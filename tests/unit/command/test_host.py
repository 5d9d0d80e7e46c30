"""The folders in which the program keeps state, caches and environments."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.host import Host

HOME = {"HOME": "/home/me"}
RUNNER = {**HOME, "GITHUB_ACTIONS": "true", "RUNNER_TEMP": "/runner/temp"}


@pytest.mark.parametrize(
    ("variables", "cache", "state", "ci"),
    [
        (HOME, "/home/me/.cache/mlflow-uv", "/home/me/.local/state/mlflow-uv", False),
        ({**HOME, "XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s"}, "/c/mlflow-uv", "/s/mlflow-uv", False),
        (RUNNER, "/home/me/.cache/mlflow-uv", "/runner/temp/mlflow-uv", True),
        ({**RUNNER, "MLFLOW_UV_HOME": "/mine"}, "/mine/cache", "/mine/state", True),
        ({**HOME, "RUNNER_TEMP": "/t"}, "/home/me/.cache/mlflow-uv", "/home/me/.local/state/mlflow-uv", False),
    ],
)  # fmt: skip
def test_private_folders_follow_the_conventions(variables: dict[str, str], cache: str, state: str, ci: bool) -> None:
    """
    The XDG folders, the runner's temporary folder for what need not outlive a job, or the one folder that was named.
    """
    found = Host.of(variables, folder=Path("/w"), python=Path("/python"))

    assert (Path(cache), Path(state), ci) == (found.cache, found.state, found.ci)


def test_our_own_lock_is_beside_our_manifest() -> None:
    """
    The environment that talks to registries is made from it, in a checkout and where we were installed.
    """
    found = Host.of(HOME, folder=Path("/w"), python=Path("/python"))

    assert [True, True] == [(found.ours / name).is_file() for name in ("pyproject.toml", "uv.lock")]


OURS = {"full_name": "team/wine", "id": 1}
THEIRS = {"full_name": "other/wine", "id": 2}


def pull(head: Any) -> dict[str, Any]:
    """The event of a pull request."""
    return {"pull_request": {"head": {"repo": head}, "base": {"repo": OURS}}}


@pytest.mark.parametrize(
    ("event", "payload", "untrusted"),
    [
        ("push", {}, False),
        ("schedule", pull(THEIRS), False),
        ("pull_request", pull(OURS), False),
        ("pull_request", pull(THEIRS), True),
        ("pull_request_target", pull(THEIRS), True),
        ("pull_request_review", pull(THEIRS), True),
        ("pull_request", pull({**OURS, "id": 2}), True),
        ("pull_request", pull(None), True),
        ("pull_request", {}, True),
        ("pull_request", [], True),
        ("workflow_run", {"workflow_run": {"head_repository": OURS}, "repository": OURS}, False),
        ("workflow_run", {"workflow_run": {"head_repository": THEIRS}, "repository": OURS}, True),
        ("repository_dispatch", {"client_payload": {"data": "new"}}, False),
        ("repository_dispatch", {"client_payload": None}, False),
        ("repository_dispatch", {"client_payload": pull(OURS)}, False),
        ("repository_dispatch", {"client_payload": pull(THEIRS)}, True),
        ("repository_dispatch", {"client_payload": {"pull_request": 7}}, True),
        ("issue_comment", {"issue": {"number": 1}}, False),
        ("issue_comment", {"issue": {"number": 1, "pull_request": {"url": "x"}}}, True),
    ],
)  # fmt: skip
def test_a_fork_s_pull_request_is_known_by_its_event(
    tmp_path: Path, event: str, payload: object, *, untrusted: bool
) -> None:
    """
    The repositories of both sides tell; where nobody can tell, as of a fork that is gone, it is one.
    """
    (tmp_path / "event.json").write_text(json.dumps(payload))
    variables = {**RUNNER, "GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}

    found = Host.of(variables, folder=tmp_path, python=Path("/python"))

    assert untrusted is found.untrusted_event


@pytest.mark.parametrize(
    ("variables", "untrusted"),
    [
        ({**RUNNER, "GITHUB_EVENT_NAME": "pull_request"}, True),
        ({**RUNNER, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": "/no/such"}, True),
        ({**HOME, "GITHUB_EVENT_NAME": "pull_request"}, False),
        (HOME, False),
    ],
)
def test_an_event_that_cannot_be_read_is_untrusted(variables: dict[str, str], *, untrusted: bool) -> None:
    """
    On a runner; elsewhere there are no events.
    """
    found = Host.of(variables, folder=Path("/w"), python=Path("/python"))

    assert untrusted is found.untrusted_event
