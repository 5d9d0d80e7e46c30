"""Phrases messages for a workflow, and names the command that starts the same program on another machine."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..command.wording import PROGRAM, CommandLine, LocalFix, Parameter, StepCall, worded
from ..payloads.messages.lazy_dataclass import lazy_dataclass

OWNER, _REF = "org/mlflow-uv-action", "v1"
_SERVER = "https://github.com"


@lazy_dataclass
class ActionSource:
    """Where this program comes from: a GitHub server, a repository on it, and the version that runs."""

    server: str = _SERVER
    repository: str = OWNER
    ref: str = _REF

    @classmethod
    def of(cls, variables: Mapping[str, str], *, file: Path) -> "ActionSource":
        """
        Read it from the runner's variables, or from the path of `file`.

        In the steps of a composite action GITHUB_ACTION_REPOSITORY and GITHUB_ACTION_REF are empty, and the runner has
        unpacked the action into `_actions/OWNER/NAME/REF`.
        """
        repository, ref = variables.get("GITHUB_ACTION_REPOSITORY"), variables.get("GITHUB_ACTION_REF")
        unpacked = re.search(r"/_actions/([^/]+/[^/]+)/([^/]+)/", file.as_posix())
        if not (repository and ref) and unpacked is not None:
            repository, ref = unpacked[1], unpacked[2]
        server = variables.get("GITHUB_SERVER_URL") or _SERVER
        return cls(server=server, repository=repository or OWNER, ref=ref or _REF)

    def uses(self, step: str) -> str:
        """The action of a step, as a workflow names it."""
        return f"{self.repository}{'' if step == 'release' else f'/actions/{step}'}@{self.ref}"

    @property
    def program(self) -> str:
        """The command that starts the same program on a machine that has only uv."""
        return f"uvx --from git+{self.server}/{self.repository}@{self.ref} {PROGRAM}"


@lazy_dataclass
class ActionPhrasing:
    """
    Phrases the messages of one step for a workflow; files are named relative to `root`, the checkout.

    `parts` are the steps that this step runs, as those of `release`: a fix does not name their actions. `project` is
    the project folder that the workflow gives, empty for the checkout itself.
    """

    step: str
    source: ActionSource
    root: Path
    parts: tuple[str, ...] = ()
    project: str = ""

    def text(self, text: str) -> str:
        """A text as it is shown: inputs as keys, steps as actions, paths relative to the checkout."""
        return _without_root(worded(text, self), self.root)

    def parameter(self, parameter: Parameter) -> str:
        """See Phrasing."""
        match parameter.value:
            case bool() as switch:
                return f"`{parameter.name}: {str(switch).lower()}`"
            case "":
                return f"`{parameter.name}`"
            case value:
                return f"`{parameter.name}: {value}`"

    def step_call(self, call: StepCall) -> str:
        """See Phrasing."""
        if call.in_checkout:
            command_line = CommandLine(program=self.source.program, project=self.project)
            return f"`{command_line.step_call(call)}` in a clone, and commit what it writes"
        if call.step == self.step or call.step in self.parts:
            return " and ".join(map(self.parameter, call.inputs)) or "run it again"
        inputs = " and ".join(map(self.parameter, call.in_project(self.project).inputs))
        return f"`uses: {self.source.uses(call.step)}`{f' with {inputs}' if inputs else ''}"

    def local(self, local: LocalFix) -> str:
        """See Phrasing."""
        return local.workflow


def _without_root(text: str, root: Path) -> str:
    """Remove the folder of the checkout where it begins a path, not within a longer name or a URL."""
    if root in (Path(), Path("/")):
        return text
    place = re.escape(PurePosixPath(root).as_posix())
    return re.sub(rf"(?<![\w./:-]){place}(/|(?![\w./-]))", lambda found: "" if found[1] else ".", text)


def started_as(variables: Mapping[str, str], *, prefix: Path) -> CommandLine:
    """How the program was started: from a clone (MLFLOW_UV_COMMAND), by uvx, or by its name."""
    if typed := variables.get("MLFLOW_UV_COMMAND"):
        return CommandLine(program=shlex.quote(typed))
    if any(part.startswith("archive-v") for part in prefix.parts):  # the folder of uv's cache that uvx runs from
        return CommandLine(program=ActionSource().program)
    return CommandLine()
