"""Parses a log as GitHub's runner does, after its ActionCommand.cs and ActionCommandManager.cs."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_uv.steps.catalog import all_steps
from mlflow_uv.surfaces.jobsummary import JobSummary
from mlflow_uv.surfaces.phrasing import ActionPhrasing, ActionSource

COMMANDS = {
    "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher",
    "save-state", "set-env", "set-output", "stop-commands", "warning",
}  # fmt: skip


@dataclass(frozen=True)
class Obeyed:
    """A command that the runner would act on."""

    name: str
    data: str
    properties: dict[str, str] = field(default_factory=dict)


def obeyed(log: str) -> list[Obeyed]:
    """Every command in a log that a runner obeys, in order."""
    found: list[Obeyed] = []
    stopped: str | None = None
    for line in re.split(r"\r\n|\r|\n", log):
        if stopped is not None:
            if line.strip() == f"::{stopped}::":
                stopped = None
            continue
        command = _modern(line) or _old(line)
        if command is None:
            continue
        if command.name == "stop-commands":
            stopped = command.data
        else:
            found.append(command)
    assert stopped is None, "commands were stopped and never resumed"
    return found


def _modern(line: str) -> Obeyed | None:
    match = re.match(r"::([^ ]*?)(?: (.*?))?::(.*)", line.lstrip(), re.DOTALL)
    if match is None or match[1] not in COMMANDS:
        return None
    pairs = (pair.partition("=") for pair in (match[2] or "").strip().split(",") if pair)
    properties = {name: _unescaped(value, ":,") for name, _, value in pairs}
    return Obeyed(match[1], _unescaped(match[3], ""), properties)


def _old(line: str) -> Obeyed | None:
    match = re.search(r"##\[([^ \]]*)([^\]]*)\](.*)", line, re.DOTALL)
    return Obeyed(match[1], match[3]) if match and match[1] in COMMANDS else None


def _unescaped(text: str, also: str) -> str:
    for character in f"\r\n{also}%":
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def words(step: str = "check-lock", root: str = "/w") -> ActionPhrasing:
    """The words of a runner whose checkout is that folder."""
    return ActionPhrasing(step=step, source=ActionSource(), root=Path(root))


def summary_for(step: str, *, secrets: tuple[str, ...] = ()) -> JobSummary:
    """What writes the job summaries of a step there."""
    (meant,) = (known for known in all_steps() if known.name == step)
    return JobSummary(step=meant, phrasing=words(step), secrets=secrets)
