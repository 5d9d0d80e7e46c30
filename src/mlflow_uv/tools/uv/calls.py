"""Starts uv with the program, the variables and the permissions that apply to a project."""

import copy
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from ...command.errors import ToolFailed, ToolMissing
from ...command.pip_settings import PipSettings
from ...core.release.digests import sha256
from ...core.security.child_environment import INDEX_VARIABLES, Partition, for_uv
from ..project.files import Project
from ..system.process import Command, Completed, Runner
from .argv import NEWER
from .certificates import TrustingRunner
from .executable import Programs, required_version, wanted_at
from .guard import UvGuard
from .index_logins import refusal_in
from .inert_python import InertPython
from .messages import failed, lacks_a_flag
from .settings import MachineSettings

NO_SETTINGS = PipSettings()
_RANGE = re.compile(r"[<>=!~]{1,3} *\d[\d.*]*( *, *[<>=!~]{1,3} *\d[\d.*]*)*")


class UvCalls:
    """One uv program, asked on behalf of one caller; see Programs for which."""

    def __init__(  # noqa: PLR0913  # what the caller has, each of it
        self,
        runner: Runner,
        *,
        variables: Mapping[str, str],
        asked: Path | None,
        own: Path | None,
        pip: PipSettings = NO_SETTINGS,
        guard: UvGuard | None = None,
        machine: MachineSettings | None = None,
    ) -> None:
        self.guard = guard or UvGuard(variables=variables)
        self.machine = machine or MachineSettings(
            variables={}, cache=Path("/nonexistent"), machine=Path("/nonexistent")
        )
        self._trusting = TrustingRunner(runner, variables=variables, pip=pip)
        self._variables = self._trusting.variables
        self._mirror = pip.mirror(variables)
        self._inert: InertPython | None = None
        plain = for_uv(self._variables, respect=False).variables
        self._programs = Programs(runner, variables=plain, asked=asked, own=own)

    # what it may run

    @property
    def builds(self) -> bool:
        """Whether it may run build backends, and interpreters that the project names."""
        return self._inert is None

    def without_builds(self, inert: InertPython) -> Self:
        """The same uv for a checkout that is not trusted: it runs no code of it, and so knows less."""
        other = copy.copy(self)
        other._inert = inert  # noqa: SLF001  # our own
        return other

    def other_python(self, wanted: str) -> Path | None:
        """An interpreter of the machine for a range of versions, any for an empty one; None where there is none."""
        if wanted and not _RANGE.fullmatch(wanted):
            return None  # uv takes a path too
        flags = ("--no-project", "--no-config", "--no-python-downloads", "--system")
        argv = (self._programs.satisfying(None), "python", "find", *flags, *(("--", wanted) if wanted else ()))
        done = self._trusting.run(self._command(argv, Path("/"), self._for_lock(respect_env=False).variables))
        return Path(done.stdout.strip()) if done.code == 0 and done.stdout.strip() else None

    def python_of(self, project: Project) -> str | None:
        """
        The version of the interpreter that an environment of the project gets on this machine, without a download.

        None where there is none yet, or where uv is too old to say.
        """
        argv = ("python", "find", "--system", "--no-python-downloads", "--show-version")
        done = self._ask(project, argv, respect_env=False)
        version = done.stdout.strip()
        return version if done.code == 0 and re.fullmatch(r"\d+\.\d+\S*", version) else None

    def python_or_why(self, project: Project) -> tuple[str, str]:
        """
        The version of the Python that uv would take for a project's environment, else why there is none.

        Both are empty where uv would fetch one, or is too old to say.
        """
        done = self._ask(project, ("python", "find", "--system", "--show-version"), respect_env=False)
        if done.code == 0:
            return done.stdout.strip(), ""
        if "Failed to inspect Python interpreter" in done.stderr:  # a shim of pyenv for a version that is not there
            return "", done.last_line
        missing = re.search(r"No interpreter found for (.+?) in ", done.stderr)
        if missing is None:
            return "", ""
        asked = re.sub(r"^(?:Python|executable name) ", "", missing[1])
        offered = self._ask(project, ("python", "list", "--only-downloads", asked), respect_env=False)
        refused = self._variables.get("UV_PYTHON_DOWNLOADS") in ("never", "manual")
        if not refused and (offered.code != 0 or offered.stdout.strip()):
            return "", ""
        return "", done.last_line.removeprefix("error: ")

    # which uv

    def program(self, project: Project) -> str:
        """The uv that this project gets. Raises ToolMissing, at its line, when none is of its `required-version`."""
        wanted = required_version(project)
        try:
            return self._programs.satisfying(wanted)
        except ToolMissing as error:
            if wanted is not None:
                error.path, error.line = wanted_at(project)
            raise

    def version(self, program: str) -> str | None:
        """The version a uv program tells, None when it tells none."""
        return self._programs.version(program)

    def alone(self, project: Project, cache: Path) -> Path:
        """A folder that holds this project's uv and nothing else, for the PATH of somebody who has none."""
        program = self.program(project)
        folder = cache / "uv" / sha256(program.encode())[:12]
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # made before, by us or by a neighbour
            (folder / "uv").symlink_to(program)
        return folder

    # what is outside, and what an answer says of it

    def settings_set_aside(self, project: Project, *, respect_env: bool) -> Mapping[Path, tuple[str, ...]]:
        """The same of files that are outside of the project's repository: their keys."""
        return {} if respect_env else self.machine.steering(project, modes=True, indexes=False)

    def outside_indexes(self, project: Project) -> frozenset[str]:
        """Variables and files from outside of the project that lead uv to indexes."""
        files = self.machine.steering(project, modes=False, indexes=True)
        return (INDEX_VARIABLES & self._variables.keys()) | frozenset(map(str, files))

    def _failed(self, what: str, done: Completed, project: Project) -> ToolFailed:
        """The error for a command that needs the network; one that a server refused names the credentials."""
        refusal = refusal_in(done.stderr, project, self._variables)
        if refusal is None:
            return failed(what, done)
        why = f"`{refusal.address}` requires credentials: {refusal.why}"
        return ToolFailed(what=f"`{what}` failed", why=why, fix=refusal.fix)

    def newer(self, program: str) -> str | None:
        """Our own uv, where it is newer than one that could not answer."""
        return self._programs.newer(program)

    def _require_flags(self, done: Completed, program: str) -> None:
        """Raises ToolMissing for a uv that does not know how it is asked."""
        if flag := lacks_a_flag(done):
            version = self.version(program)
            raise ToolMissing(what=f"uv {version} is too old", why=f"it does not know `{flag}`", fix=NEWER)

    # how

    def _for_lock(self, *, respect_env: bool, project: Project | None = None) -> Partition:
        # A stranger's checkout does not decide who gets the credentials of a cloud.
        keyring = self.machine.keyring(project if self.builds else None)
        return for_uv(self._variables, respect=respect_env, keyring=keyring)

    def _for_project(
        self, project: Project, *, respect_env: bool, without: frozenset[str] = frozenset()
    ) -> dict[str, str]:
        """The variables of a uv that works on a project; `without` are variables and files that do not steer it."""
        kept = self._for_lock(respect_env=respect_env, project=project).variables
        kept = {name: value for name, value in kept.items() if name not in without}
        past = self.machine.past(project, modes=not respect_env, without=without)
        return {**self.guard.guarded(project, kept), **past}

    def _anywhere(self) -> dict[str, str]:
        """The variables of a uv that works on no project."""
        return {**self._for_lock(respect_env=False).variables, **self.machine.past(None, modes=True)}

    def _ask(  # noqa: PLR0913  # each has one reader
        self,
        project: Project,
        argv: tuple[str, ...],
        *,
        respect_env: bool,
        extra: Mapping[str, str] | None = None,
        hear: Callable[[str], None] | None = None,
        verbatim: bool = False,
        folder: Path | None = None,
        without: frozenset[str] = frozenset(),
    ) -> Completed:
        if self.builds:
            self.guard.require_version(project.folder)
        self.guard.told(project)
        variables = {**self._for_project(project, respect_env=respect_env, without=without), **(extra or {})}
        command = self._command((self.program(project), *argv), folder or project.folder, variables, hear=hear)
        return self._trusting.run(replace(command, verbatim=verbatim))

    def _command(
        self,
        argv: tuple[str, ...],
        folder: Path,
        variables: Mapping[str, str],
        *,
        hear: Callable[[str], None] | None = None,
    ) -> Command:
        guard = self._inert.variables(self._variables) if self._inert else {}
        return Command(argv=argv, folder=folder, variables={**variables, **guard}, hear=hear, foreign=True)
