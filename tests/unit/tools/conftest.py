"""The one fake Runner: it answers as the programs under it would, and remembers what it was asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolMissing
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.system.process import Command, Completed, Conversation, Running
from mlflow_uv.tools.system.threads import T


@dataclass
class FakeRunner:
    """
    Answers a command by the longest run of its words that `answers` knows; one it does not know succeeds silently.

    An answer that is None is a program that cannot be started.
    """

    answers: Mapping[str, Completed | None] = field(default_factory=dict)
    asked: list[Command] = field(default_factory=list)
    if_killed_asked: list[Command] = field(default_factory=list)

    def run(self, command: Command) -> Completed:
        """See Runner."""
        self.asked.append(command)
        line = " ".join(command.argv)
        known = max((words for words in self.answers if words in line), key=len, default=None)
        answer = completed() if known is None else self.answers[known]
        if answer is None:
            raise ToolMissing(what=f"`{command.argv[0]}` cannot be started")
        return answer

    def start(self, command: Command) -> Running:
        """See Runner."""
        raise NotImplementedError(command)

    def converse(self, command: Command) -> Conversation:
        """See Runner."""
        raise NotImplementedError(command)

    def if_killed(self, command: Command) -> Callable[[], None]:
        """See Runner; nobody kills this process."""
        self.if_killed_asked.append(command)
        return lambda: self.if_killed_asked.remove(command)

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """See Runner; one after the other."""
        return [task() for task in tasks]

    def end_all(self) -> None:
        """See Runner."""
        raise NotImplementedError

    @property
    def argv(self) -> tuple[str, ...]:
        """What was asked last."""
        return self.asked[-1].argv


def completed(stdout: str = "", stderr: str = "", code: int = 0) -> Completed:
    """An answer."""
    return Completed(code=code, stdout=stdout, stderr=stderr)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of the name `wine` that never was on disk."""
    return Project(folder=tmp_path, root=tmp_path, manifest={"project": {"name": "wine"}})
