"""Reports aliases that training moves itself, before the model is tested."""

import re
from collections.abc import Iterator
from pathlib import Path

from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...payloads.messages.models import FoundModels
from ...tools.project.files import path_from
from ...tools.toolbox import Tools
from .training import Job

# Calls of MLflow's API that move an alias or a stage; commented-out lines are ignored.
_MOVES = lazy_pattern(rb"^[^#\n]*\b(set_registered_model_alias|transition_model_version_stage)\s*\(", re.MULTILINE)
_LARGEST_SOURCE = 1_000_000
_TURNED_OFF = Wording(
    option("withhold-registry"),
    ", which gives training a temporary registry; or remove the call",
)


def announce_alias_calls(job: Job, tools: Tools) -> None:
    """Print, before training, each line of the project that may move an alias, unless that is prevented."""
    if job.source.adopts or not job.registers:
        return
    for file, line, call in _calls(job, tools):
        where = f"{path_from(job.project.folder, file)}:{line}"
        text = f"{where} calls {call}: if training runs it, an alias moves before anything is tested. To turn it off: "
        tools.console.say(Wording(text, _TURNED_OFF))


def moved_aliases(logged: FoundModels, job: Job, tools: Tools) -> tuple[Finding, ...]:
    """Report the aliases that point to versions of this training, which are those in `logged`."""
    if not job.registers:
        return ()
    trained_versions = {(version.name, version.version) for version in logged.versions}
    findings = []
    for name in sorted({name for name, _ in trained_versions}):
        aliases = job.client.describe_name(name).aliases
        findings += [
            _moved(alias, name, number, job, tools)
            for alias, number in aliases.items()
            if (name, number) in trained_versions
        ]
    return tuple(findings)


def _moved(alias: str, name: str, number: str, job: Job, tools: Tools) -> Finding:
    file, line, _ = next(_calls(job, tools), (job.project.folder / "pyproject.toml", 1, ""))
    return Finding(
        rule="alias-moved-by-training",
        severity=Severity.WARNING,
        what=f"training moved the alias `{alias}` of {name} to version {number}",
        why="the version is not tested yet, and whoever loads the alias already gets it",
        fix=_TURNED_OFF,
        path=file,
        line=line,
    )


def _calls(job: Job, tools: Tools) -> Iterator[tuple[Path, int, str]]:
    """Every call in the project's own sources that moves an alias or a stage: its file, 1-based line and name."""
    folder = job.project.folder
    for file in tools.git.files_below(folder, ("*.py", "*.ipynb")) or ():
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _LARGEST_SOURCE:
            continue
        source = file.read_bytes()
        for match in _MOVES.finditer(source):
            yield file, source.count(b"\n", 0, match.start(1)) + 1, match[1].decode()
