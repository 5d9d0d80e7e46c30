"""Where do we run? Read once, at the door, by a surface."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .pip_settings import PipSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """
    What a surface found around us.

    `cache` may be deleted at any time, `state` holds the embedded store and the records; `ours` is the folder with our
    own pyproject.toml and uv.lock. `forge` is true on a continuous-integration runner of a forge, `stranger` where its
    event is about a pull request from a fork, or may be. `machine` is the architecture in the system's own word, e.g.
    `x86_64` or `arm64`; `who` is the person at it, `user@host`. `pip` is what pip is told about the network, which uv
    does not read by itself.
    """

    variables: Mapping[str, str]
    folder: Path
    cache: Path
    state: Path
    ours: Path
    python: Path
    forge: bool
    stranger: bool
    machine: str
    who: str
    pip: PipSettings

    @classmethod
    def of(cls, variables: Mapping[str, str], *, folder: Path, python: Path) -> "Host":
        """Read them from the variables of the process; MLFLOW_UV_HOME moves every private folder."""
        home = Path(variables.get("HOME") or Path.home())
        forge = variables.get("GITHUB_ACTIONS") == "true"
        if own := variables.get("MLFLOW_UV_HOME"):
            cache, state = Path(own).absolute() / "cache", Path(own).absolute() / "state"
        else:
            cache = Path(variables.get("XDG_CACHE_HOME") or home / ".cache").absolute() / "mlflow-uv"
            runner = variables.get("RUNNER_TEMP") if forge else None
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
            forge=forge,
            stranger=forge and _from_fork(variables),
            machine=os.uname().machine,
            who=f"{variables.get('USER') or variables.get('LOGNAME') or _account()}@{os.uname().nodename}",
            pip=PipSettings.read(variables, prefix=Path(sys.base_prefix)),
        )


def _from_fork(variables: Mapping[str, str]) -> bool:
    """Whether the event of a workflow is about a pull request from a fork; true where the event does not tell."""
    name = variables.get("GITHUB_EVENT_NAME", "")
    if not name.startswith(("pull_request", "workflow_run", "issue_comment", "repository_dispatch")):
        return False
    import json  # noqa: PLC0415  # only here, where nobody waits for a hook

    try:
        event = json.loads(Path(variables.get("GITHUB_EVENT_PATH", "")).read_bytes())
        match name:
            case "issue_comment":  # on an issue, or on a pull request of which it tells no more
                return "pull_request" in event["issue"]
            case "workflow_run":
                head, base = event["workflow_run"]["head_repository"], event["repository"]
            case "repository_dispatch" if "pull_request" not in (event["client_payload"] or {}):
                return False
            case "repository_dispatch":  # a command in a comment, handed on
                head, base = (event["client_payload"]["pull_request"][side]["repo"] for side in ("head", "base"))
            case _:
                head, base = event["pull_request"]["head"]["repo"], event["pull_request"]["base"]["repo"]
        return bool(head["full_name"] != base["full_name"] or head["id"] != base["id"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # a fork that is gone is null
        return True


def _account() -> str:
    """Name of the account that runs us, its number where it has none, as in a container."""
    import pwd  # noqa: PLC0415  # nearly everybody has USER

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
