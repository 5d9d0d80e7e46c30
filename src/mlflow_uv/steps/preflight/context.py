"""Holds what several checks before a release ask for, each of it found out once."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ...command.errors import NoEngine, StepError
from ...command.inputs import EngineChoice as Choice
from ...command.report import Finding
from ...core.lock.closure import selected_roots
from ...core.lock.lockfile import Lockfile, NotALock, read_lockfile
from ...core.lock.placement import Placement, Uncovered, place
from ...core.lock.selection import Selection
from ...core.lock.targets import Target, allowed_pythons, serving_target
from ...tools.engines.engine import Engine
from ...tools.project.files import Project, read_project
from ...tools.toolbox import Tools

Problem = StepError | Finding
T = TypeVar("T")


@dataclass(kw_only=True)
class Circumstances:
    """
    One release that is about to begin.

    `inputs_of` gives the inputs of one of its steps. `training_follows` says that the release goes on when nothing is
    in the way, so that what it needs in any case, such as a base image, may be fetched now. `lock_is_bad` is set when
    the lock was found to be no basis for other questions.
    """

    inputs_of: Callable[[str], Any]
    tools: Tools
    training_follows: bool
    lock_is_bad: bool = False
    _mutexes: Mapping[str, threading.Lock] = field(
        default_factory=lambda: {name: threading.Lock() for name in ("python", "engine")}, repr=False
    )
    _answers: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def project(self) -> Project:
        """The project. Raises BadProject."""
        return read_project(self.inputs_of("check-lock").project)

    @property
    def selection(self) -> Selection:
        """What of its lock is served."""
        inputs = self.inputs_of("log-model")
        return Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)

    @cached_property
    def lock(self) -> Lockfile | None:
        """Its lock, None where it cannot be read, which check-lock says."""
        try:
            return read_lockfile(self.project.lock.read_bytes())
        except (OSError, NotALock):
            return None

    def python(self) -> tuple[str, str]:
        """The version of the Python that will train, else why there is none; both are empty where nobody knows."""
        return self._once("python", self._python)

    def engine(self) -> Engine | StepError | None:
        """The engine that will build, why there is none, or None where a process was requested."""
        return self._once("engine", self._engine)

    def targets(self) -> Iterator[Target]:
        """Where the image will run, as far as the project's Python is known."""
        version, _ = self.python()
        if self.lock is None or not version:
            return
        inputs = self.inputs_of("build-image")
        machines = [platform.rpartition("/")[2] for platform in inputs.platforms] or [self.tools.host.machine]
        for machine in machines:
            pinned = ".".join(version.split(".")[:2])
            yield serving_target(machine, self.lock.requires_python, pinned=pinned)

    def placed(self, target: Target) -> tuple[Placement, ...]:
        """What of the lock gets to a target; nothing where the lock does not say, which check-targets tells."""
        if self.lock is None:
            return ()
        try:
            roots = selected_roots(self.lock, self.selection, name=self.project.name if self.project.named else None)
            found = place(self.lock, roots, target)
        except (StepError, NotALock):
            return ()
        return () if isinstance(found, Uncovered) else found

    def _once(self, name: str, ask: Callable[[], T]) -> T:
        with self._mutexes[name]:
            if name not in self._answers:
                self._answers[name] = ask()
            answer: T = self._answers[name]
            return answer

    def _python(self) -> tuple[str, str]:
        kept = self._kept_version()
        return (kept, "") if kept else self.tools.uv.python_or_why(self.project)

    def _kept_version(self) -> str:
        """The Python of the environment that an earlier release made, unless the project pins another one now."""
        about = self.tools.environments.place(self.project, self.selection) / "pyvenv.cfg"
        text = about.read_text(encoding="utf-8") if about.is_file() else ""
        found = re.search(r"^version_info = (\d+\.\d+\.\d+)", text, re.MULTILINE)
        pinned = [folder / ".python-version" for folder in (self.project.folder, self.project.root)]
        if found is None or any(file.is_file() for file in pinned) or self.lock is None:
            return ""
        return found[1] if allowed_pythons(self.lock.requires_python).contains(found[1]) else ""

    def _engine(self) -> Engine | StepError | None:
        choice = self.inputs_of("build-image").engine
        if choice is Choice.NONE:
            return None
        try:
            return self.tools.engines.available(choice)
        except NoEngine as error:
            return error
