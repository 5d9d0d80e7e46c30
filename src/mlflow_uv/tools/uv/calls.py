"""Starts uv with the program, the variables, the permissions and the certificates that apply to a project."""

import copy
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from ...command.errors import NoSpace, ToolFailed, ToolMissing
from ...command.lazy_pattern import lazy_pattern
from ...command.pip_settings import MACHINE_STORE, TRUST, PipSettings
from ...core.release.digests import sha256
from ...core.security.child_environment import INDEX_VARIABLES, ChildEnvironment, for_uv
from ..project.files import Project
from ..system.process import Command, Completed, Runner
from .argv import NEWER
from .executable import Programs, required_version, required_version_place
from .guard import UvGuard
from .index_logins import denied, refusal_in, refused_install
from .inert_python import InertPython
from .messages import certificate_rejected, failed, needs_lock, unsupported_flag
from .settings import MachineSettings

NO_SETTINGS = PipSettings()
_RANGE = lazy_pattern(r"[<>=!~]{1,3} *\d[\d.*]*( *, *[<>=!~]{1,3} *\d[\d.*]*)*")


class TrustingRunner:
    """Runs uv; if it rejects a certificate, again with those of the machine, which are kept if they help."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], pip: PipSettings) -> None:
        self.variables = {**variables, **pip.network(variables)}
        self._runner = runner
        self._machine_store = False
        self._untried = not any(variables.get(name) for name in TRUST)

    def run(self, command: Command) -> Completed:
        """See Runner; the command's variables derive from `self.variables`."""
        done = self._runner.run(self._trusting(command))
        if not self._untried or not certificate_rejected(done):
            return done
        self._untried, self._machine_store = False, True
        again = self._runner.run(self._trusting(command))
        self._machine_store = not certificate_rejected(again)
        return again if self._machine_store else done

    def _trusting(self, command: Command) -> Command:
        if not self._machine_store:
            return command
        kept = {name: value for name, value in command.variables.items() if name not in TRUST}
        return replace(command, variables=kept | MACHINE_STORE)


class UvCalls:
    """Runs uv with the environment of one caller; see Programs for the choice of the program."""

    def __init__(  # noqa: PLR0913  # each from the caller
        self,
        runner: Runner,
        *,
        variables: Mapping[str, str],
        named: Path | None,
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
        self._python_versions: dict[Path, str | None] = {}
        plain = for_uv(self._variables, respect=False).variables
        self._programs = Programs(runner, variables=plain, named=named, own=own)

    @property
    def mirrored(self) -> bool:
        """Whether a mirror of the public index is configured."""
        return bool(self._mirror)

    # permissions

    @property
    def builds(self) -> bool:
        """Whether uv may run build backends, and interpreters that the project names."""
        return self._inert is None

    def without_builds(self, inert: InertPython) -> Self:
        """A copy for an untrusted checkout, which runs no code of it; some locks are unverifiable then."""
        other = copy.copy(self)
        other._inert = inert  # noqa: SLF001  # our own
        other._python_versions = {}  # noqa: SLF001  # as above
        return other

    def other_python(self, version_range: str) -> Path | None:
        """An installed interpreter in a range of versions (PEP 440), any for an empty range; None if there is none."""
        if version_range and not _RANGE.fullmatch(version_range):
            return None  # uv also accepts a path
        flags = ("--no-project", "--no-config", "--no-python-downloads", "--system")
        argv = (
            self._programs.satisfying(None),
            "python",
            "find",
            *flags,
            *(("--", version_range) if version_range else ()),
        )
        done = self._trusting.run(self._command(argv, Path("/"), self._for_lock(respect_env=False).variables))
        return Path(done.stdout.strip()) if done.code == 0 and done.stdout.strip() else None

    def python_of(self, project: Project) -> str | None:
        """
        The version of the interpreter that uv selects for the project on this machine, without a download.

        None if none is installed, or if uv is too old to print it. uv is asked once, because it starts what
        PATH calls Python, and the shims of pyenv are slow.
        """
        if project.folder not in self._python_versions:
            argv = ("python", "find", "--system", "--no-python-downloads", "--show-version")
            done = self._run(project, argv, respect_env=False)
            version = done.stdout.strip()
            valid = done.code == 0 and re.fullmatch(r"\d+\.\d+\S*", version)
            self._python_versions[project.folder] = version if valid else None
        return self._python_versions[project.folder]

    def python_or_why(self, project: Project) -> tuple[str, str]:
        """
        The version of the Python that uv would select for a project's environment, and uv's error if there is none.

        Both are empty if uv would download one, or is too old to print it.
        """
        done = self._run(project, ("python", "find", "--system", "--show-version"), respect_env=False)
        if done.code == 0:
            return done.stdout.strip(), ""
        if "Failed to inspect Python interpreter" in done.stderr:  # a pyenv shim for a version that is not installed
            return "", done.last_line
        missing = re.search(r"No interpreter found for (.+?) in ", done.stderr)
        if missing is None:
            return "", ""
        requested = re.sub(r"^(?:Python|executable name) ", "", missing[1])
        downloads = self._run(project, ("python", "list", "--only-downloads", requested), respect_env=False)
        refused = self._variables.get("UV_PYTHON_DOWNLOADS") in ("never", "manual")
        if not refused and (downloads.code != 0 or downloads.stdout.strip()):
            return "", ""
        return "", done.last_line.removeprefix("error: ")

    # program

    def program(self, project: Project) -> str:
        """The uv for this project. Raises ToolMissing, with the line of `required-version`, if none satisfies it."""
        required = required_version(project)
        try:
            return self._programs.satisfying(required)
        except ToolMissing as error:
            if required is not None:
                error.path, error.line = required_version_place(project)
            raise

    def version(self, program: str) -> str | None:
        """The version that a uv program prints, None if it prints none."""
        return self._programs.version(program)

    def own_version(self) -> str | None:
        """The version of the uv that works outside of a project, None if it prints none. Raises ToolMissing."""
        return self.version(self._programs.satisfying(None))

    def alone(self, project: Project, cache: Path) -> Path:
        """A folder that contains only this project's uv, for the PATH of a program that needs it."""
        program = self.program(project)
        folder = cache / "uv" / sha256(program.encode())[:12]
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process may have created it
            (folder / "uv").symlink_to(program)
        return folder

    # settings outside of the project, and errors

    def settings_set_aside(self, project: Project, *, respect_env: bool) -> Mapping[Path, tuple[str, ...]]:
        """The ignored keys of settings files outside of the project's repository, by file; see `set_aside`."""
        return {} if respect_env else self.machine.resolution_keys(project, modes=True, indexes=False)

    def outside_indexes(self, project: Project) -> frozenset[str]:
        """Variables and files outside of the project that name indexes."""
        files = self.machine.resolution_keys(project, modes=False, indexes=True)
        return (INDEX_VARIABLES & self._variables.keys()) | frozenset(map(str, files))

    def _failed(self, what: str, done: Completed, project: Project) -> ToolFailed | NoSpace:
        """The error for a command that uses the network; it names the credentials if a server denied access."""
        refusal = refusal_in(done.stderr, project, self._variables)
        if refusal is None:
            error = failed(what, done)
            if needs_lock(done) and not error.fix:
                error.fix = project.lock_command(Path.cwd())
            return error
        return denied(what, refusal)

    def newer(self, program: str) -> str | None:
        """Our own uv, if it is newer than `program`; see Programs."""
        return self._programs.newer(program)

    def _require_flags(self, done: Completed, program: str) -> None:
        """Raise ToolMissing for a uv that rejected a flag."""
        if flag := unsupported_flag(done):
            version = self.version(program)
            raise ToolMissing(what=f"uv {version} is too old", why=f"it does not know `{flag}`", fix=NEWER)

    # commands

    def _for_lock(self, *, respect_env: bool, project: Project | None = None) -> ChildEnvironment:
        # An untrusted checkout must not choose the program that gets a cloud's credentials.
        keyring = self.machine.keyring(project if self.builds else None)
        return for_uv(self._variables, respect=respect_env, keyring=keyring)

    def _for_project(
        self, project: Project, *, respect_env: bool, without: frozenset[str] = frozenset()
    ) -> dict[str, str]:
        """The variables for uv in a project, without the variables and files in `without`."""
        kept = self._for_lock(respect_env=respect_env, project=project).variables
        kept = {name: value for name, value in kept.items() if name not in without}
        overrides = self.machine.overrides(project, modes=not respect_env, without=without)
        return {**self.guard.guarded(project, kept), **overrides}

    def _anywhere(self) -> dict[str, str]:
        """The variables for uv outside of any project."""
        return {**self._for_lock(respect_env=False).variables, **self.machine.overrides(None, modes=True)}

    def _run(  # noqa: PLR0913  # each has one reader
        self,
        project: Project,
        argv: tuple[str, ...],
        *,
        respect_env: bool,
        extra: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        verbatim: bool = False,
        folder: Path | None = None,
        without: frozenset[str] = frozenset(),
    ) -> Completed:
        if self.builds:
            self.guard.require_version(project.folder)
        self.guard.report(project)
        variables = {**self._for_project(project, respect_env=respect_env, without=without), **(extra or {})}
        command = self._command((self.program(project), *argv), folder or project.folder, variables, on_line=on_line)
        return self._trusting.run(replace(command, verbatim=verbatim))

    def _pip_install(
        self,
        requirements: Path,
        flags: tuple[str, ...],
        variables: Mapping[str, str],
        on_line: Callable[[str], None] | None,
    ) -> Completed:
        """Install requirements outside of any project."""
        argv = (self._programs.satisfying(None), "pip", "install", "--no-progress", *flags, "-r", str(requirements))
        return self._trusting.run(self._command(argv, requirements.parent, variables, on_line=on_line))

    def _require_installed(self, done: Completed, variables: Mapping[str, str]) -> None:
        """Raise ToolFailed for an installation that failed with these variables."""
        if done.code != 0:
            raise refused_install("uv pip install", done.stderr, variables) or failed("uv pip install", done)

    def _cache_folder(self) -> Path:
        """The folder in which uv keeps what it fetches outside of any project, also by a setting of the machine."""
        argv = (self._programs.satisfying(None), "cache", "dir")
        done = self._trusting.run(self._command(argv, Path("/"), self._anywhere()))
        if done.code != 0 or not done.stdout.strip():
            raise failed("uv cache dir", done)
        return Path(done.stdout.strip())

    def _command(
        self,
        argv: tuple[str, ...],
        folder: Path,
        variables: Mapping[str, str],
        *,
        on_line: Callable[[str], None] | None = None,
    ) -> Command:
        guard = self._inert.variables(self._variables) if self._inert else {}
        return Command(argv=argv, folder=folder, variables={**variables, **guard}, on_line=on_line, foreign=True)
