"""Describes the host of a command: its folders, variables, CI and machine, read once by a surface."""

import json
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .pip_settings import PipSettings


@lazy_dataclass
class Host:
    """
    The machine and the process that a command runs on.

    `cache` may be deleted at any time; `state` holds the embedded store and the records; `ours` is the folder with our
    own pyproject.toml and uv.lock. `ci` is true on a runner of GitHub Actions. `untrusted_event` is true if the event
    of its workflow concerns a pull request from a fork, or cannot be read. `machine` is the architecture as `uname`
    prints it, e.g. `x86_64` or `arm64`; `who` is the user, `user@host`. `pip` holds pip's network settings, which uv
    does not read by itself.
    """

    variables: Mapping[str, str]
    folder: Path
    cache: Path
    state: Path
    ours: Path
    python: Path
    ci: bool
    untrusted_event: bool
    machine: str
    who: str
    pip: PipSettings

    @classmethod
    def of(cls, variables: Mapping[str, str], *, folder: Path, python: Path) -> "Host":
        """The host, from the variables of a process; MLFLOW_UV_HOME moves `cache` and `state`."""
        home = Path(variables.get("HOME") or Path.home())
        ci = variables.get("GITHUB_ACTIONS") == "true"
        if own := variables.get("MLFLOW_UV_HOME"):
            cache, state = Path(own).absolute() / "cache", Path(own).absolute() / "state"
        else:
            cache = Path(variables.get("XDG_CACHE_HOME") or home / ".cache").absolute() / "mlflow-uv"
            runner = variables.get("RUNNER_TEMP") if ci else None
            state = Path(runner or variables.get("XDG_STATE_HOME") or home / ".local/state").absolute() / "mlflow-uv"
        package = Path(__file__).parents[1]
        installed = package / "ours"
        return cls(
            variables=dict(variables),
            folder=folder,
            cache=cache,
            state=state,
            ours=installed if installed.is_dir() else package.parents[1],
            python=python,
            ci=ci,
            untrusted_event=ci and _from_fork(variables),
            machine=os.uname().machine,
            who=f"{variables.get('USER') or variables.get('LOGNAME') or _account()}@{os.uname().nodename}",
            pip=PipSettings.read(variables, prefix=Path(sys.base_prefix)),
        )


def _from_fork(variables: Mapping[str, str]) -> bool:
    """Whether the event of a workflow concerns a pull request from a fork; true if the event cannot be read."""
    name = variables.get("GITHUB_EVENT_NAME", "")
    if not name.startswith(("pull_request", "workflow_run", "issue_comment", "repository_dispatch")):
        return False
    try:
        event = json.loads(Path(variables.get("GITHUB_EVENT_PATH", "")).read_bytes())
        match name:
            case "issue_comment":  # on an issue, or on a pull request; the event says nothing else about it
                return "pull_request" in event["issue"]
            case "workflow_run":
                head, base = event["workflow_run"]["head_repository"], event["repository"]
            case "repository_dispatch" if "pull_request" not in (event["client_payload"] or {}):
                return False
            case "repository_dispatch":  # a command in a comment, forwarded
                head, base = (event["client_payload"]["pull_request"][side]["repo"] for side in ("head", "base"))
            case _:
                head, base = event["pull_request"]["head"]["repo"], event["pull_request"]["base"]["repo"]
        return bool(head["full_name"] != base["full_name"] or head["id"] != base["id"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # a deleted fork is null
        return True


def _account() -> str:
    """Name of the current account, or its number where it has no name, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
