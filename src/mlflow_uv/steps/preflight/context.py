"""Holds the facts that several preflight checks need, each computed once."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, TypeVar

from ...command.errors import NoEngine, StepError
from ...command.inputs import EngineChoice as Choice
from ...command.report import Finding
from ...core.lock.closure import selected_roots
from ...core.lock.lockfile import Lockfile, NotALock, read_lockfile
from ...core.lock.placement import Placement, Uncovered, place
from ...core.lock.selection import Selection
from ...core.lock.targets import Target, serving_target
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import Engine
from ...tools.project.files import Project, read_project
from ...tools.toolbox import Tools
from ..build_image import Inputs as ImageInputs
from ..check_lock import Inputs as LockInputs
from ..check_targets import Inputs as TargetInputs
from ..log_model import Inputs as ModelInputs
from ..register import Inputs as VersionInputs
from ..smoke_test import Inputs as TestInputs

Problem = StepError | Finding
T = TypeVar("T")


@lazy_dataclass
class StepInputs:
    """The inputs of the steps that have preflight checks."""

    check_lock: LockInputs
    check_targets: TargetInputs
    log_model: ModelInputs
    register: VersionInputs
    build_image: ImageInputs
    smoke_test: TestInputs


@lazy_dataclass(frozen=False)
class PreflightContext:
    """
    One release that is about to begin.

    `training_follows` says that the release continues after the checks, so that what it needs anyway, such as a base
    image, may be fetched now. `lock_is_bad` is set if check-lock fails, so that other checks do not use the lock.
    """

    inputs: StepInputs
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
        return read_project(self.inputs.check_lock.project)

    @property
    def selection(self) -> Selection:
        """The selection of the lock that is served."""
        inputs = self.inputs.log_model
        return Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)

    @cached_property
    def lock(self) -> Lockfile | None:
        """The lock, None if it cannot be read, which check-lock reports."""
        try:
            return read_lockfile(self.project.lock.read_bytes())
        except (OSError, NotALock):
            return None

    def python(self) -> tuple[str, str]:
        """Return the version of the training Python, or an empty version and the reason; both are empty if unknown."""
        return self._once("python", self._python)

    def engine(self) -> Engine | StepError | None:
        """Return the engine that will build, the error if none answers, or None if `engine` is none."""
        return self._once("engine", self._engine)

    def targets(self) -> Iterator[Target]:
        """Yield the targets of the image, if the project's Python is known."""
        version, _ = self.python()
        if self.lock is None or not version:
            return
        inputs = self.inputs.build_image
        machines = [platform.rpartition("/")[2] for platform in inputs.platforms] or [self.tools.host.machine]
        for machine in machines:
            pinned = ".".join(version.split(".")[:2])
            yield serving_target(machine, self.lock.requires_python, pinned=pinned)

    def placed(self, target: Target) -> tuple[Placement, ...]:
        """Return the packages for a target; empty if the lock does not cover it, which check-targets reports."""
        if self.lock is None:
            return ()
        try:
            roots = selected_roots(self.lock, self.selection, name=self.project.name if self.project.named else None)
            placements = place(self.lock, roots, target)
        except (StepError, NotALock):
            return ()
        return () if isinstance(placements, Uncovered) else placements

    def _once(self, name: str, ask: Callable[[], T]) -> T:
        with self._mutexes[name]:
            if name not in self._answers:
                self._answers[name] = ask()
            answer: T = self._answers[name]
            return answer

    def _python(self) -> tuple[str, str]:
        kept_version = self._kept_version()
        return (kept_version, "") if kept_version else self.tools.uv.python_or_why(self.project)

    def _kept_version(self) -> str:
        """Return the Python version of the existing environment, empty without one or if the project pins a Python."""
        config = self.tools.environments.place(self.project, self.selection) / "pyvenv.cfg"
        text = config.read_text(encoding="utf-8") if config.is_file() else ""
        match = re.search(r"^version_info = (\d+\.\d+\.\d+)", text, re.MULTILINE)
        pinned = [folder / ".python-version" for folder in (self.project.folder, self.project.root)]
        if match is None or any(file.is_file() for file in pinned) or self.lock is None:
            return ""
        from ...core.lock.python_ranges import allowed_pythons  # noqa: PLC0415  # imports `packaging`

        return match[1] if allowed_pythons(self.lock.requires_python).contains(match[1]) else ""

    def _engine(self) -> Engine | StepError | None:
        choice = self.inputs.build_image.engine
        if choice is Choice.NONE:
            return None
        try:
            return self.tools.engines.available(choice)
        except NoEngine as error:
            return error
