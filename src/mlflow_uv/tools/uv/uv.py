"""Runs uv to check, write and export a lock and to create environments."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...command.errors import BuildRefused, ToolFailed, ToolMissing
from ...command.wording import option
from ...core.export.requirements import Requirements, parse_requirements
from ...core.freshness.causes import Cause
from ...core.lock.selection import Selection
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..project.files import Project, read_manifest
from ..system.process import Completed
from .argv import EXPORT, NEWER, OURS, from_mirror, selected, version_flag
from .calls import UvCalls
from .index_logins import refusal_in
from .inert_python import refused_build
from .lock_check import lock_arguments
from .messages import (
    HashesMissing,
    LockState,
    LockVerdict,
    complaint,
    drift_in,
    failed,
    refused_selection,
    unknown,
    verdict_in,
)

EARLIEST = "315532800"  # 1980-01-01, the earliest timestamp in a zip archive
# Makes uv log why it would resolve again; older versions log it under the second name.
REASONS = {"RUST_LOG": "uv_lock_operations=debug,uv::commands::project::lock=debug"}
# By default, uv without a network retries for 7 s, and behind a firewall that drops packets for 40 s.
PATIENCE = {"UV_HTTP_RETRIES": "1", "UV_HTTP_CONNECT_TIMEOUT": "5"}


@lazy_dataclass
class LockRequest:
    """
    Options of a lock check: `changes` also lists what locking would change.

    `without` names variables of the caller, and files outside of the repository, that uv does not get. `python` and
    `program` replace the project's interpreter and its uv. `script` is a PEP 723 script in the project's folder, whose
    own lock is checked.
    """

    respect_env: bool
    offline: bool
    changes: bool = False
    without: frozenset[str] = frozenset()
    python: Path | None = None
    program: str | None = None
    script: str | None = None


class Uv(UvCalls):
    """Commands of uv, with the environment of one caller; see Programs for the choice of the program."""

    # lock

    def set_aside(self, *, respect_env: bool) -> tuple[str, ...]:
        """Names of the caller's variables that uv does not get, because they would change the lock's resolution."""
        return self._for_lock(respect_env=respect_env).set_aside

    def lock_state(self, project: Project, request: LockRequest) -> LockVerdict:
        """The state of uv.lock: whether it is up to date with pyproject.toml. Raises ToolMissing."""
        return self._locking(project, "--dry-run" if request.changes else "--check", request=request)

    def lock(self, project: Project, request: LockRequest) -> None:
        """Write uv.lock. Raises ToolMissing, and ToolFailed with the error of uv."""
        verdict = self._locking(project, request=request)
        if verdict.state is not LockState.FRESH:
            raise ToolFailed(what="`uv lock` failed", why=verdict.complaint)

    def _locking(self, project: Project, *mode: str, request: LockRequest) -> LockVerdict:
        python = self._inert.of(request.python) if self._inert else request.python
        argv = lock_arguments(
            *mode, script=request.script, offline=request.offline, python=str(python) if python else None
        )
        if python is None:
            self.guard.require_version(project.folder)
        kept = self._for_project(project, respect_env=request.respect_env, without=request.without)
        variables = {**kept, **self.guard.environment_override(project), **REASONS}
        if not request.offline:
            variables = PATIENCE | variables
        # The first uv is usually the right one; its output identifies it, which saves a process for `--version`.
        likely = request.program or self._programs.likely
        if likely is not None:
            with suppress(ToolMissing, OSError):
                done = self._trusting.run(self._command((likely, *argv), project.folder, variables))
                if (verdict := self._verdict(done)) is not None:
                    return replace(verdict, program=likely)
        program = self.program(project)
        done = self._trusting.run(self._command((program, *argv), project.folder, variables))
        self._require_flags(done, program)
        return replace(self._verdict(done) or unknown(done), program=program)

    def _verdict(self, done: Completed) -> LockVerdict | None:
        if self._inert is not None and (name := refused_build(done)):
            why = f"`{name}` would have to be built"
            return LockVerdict(state=LockState.UNVERIFIABLE, cause=Cause.BUILD, complaint=why, words=done.stderr)
        return verdict_in(done)

    def export(
        self, project: Project, selection: Selection, *, respect_env: bool = False, hashes: bool = True
    ) -> Requirements:
        """
        Export the selected part of the lock as requirements, with local packages listed separately.

        Raises BadInput for an extra, group or package that is not in the lock, ToolFailed for other failures.
        """
        flags = () if hashes else ("--no-hashes",)
        exported = self._exported(project, selection, flags, respect_env=respect_env)
        try:
            return parse_requirements(exported)
        except ValueError as error:
            raise ToolFailed(
                what="`uv export` wrote a line that is not an exact requirement", why=str(error)
            ) from error

    def pylock(self, project: Project, selection: Selection, *, respect_env: bool = False) -> str:
        """Export it as a pylock.toml (PEP 751), with paths relative to the project's folder."""
        return self._exported(project, selection, ("--format", "pylock.toml"), respect_env=respect_env)

    def sbom(self, project: Project, selection: Selection, *, respect_env: bool = False) -> str:
        """Export it as a CycloneDX 1.5 SBOM. Raises ToolMissing for a uv that does not support the format."""
        return self._exported(project, selection, ("--format", "cyclonedx1.5"), respect_env=respect_env)

    def _exported(self, project: Project, selection: Selection, flags: tuple[str, ...], *, respect_env: bool) -> str:
        argv = (*EXPORT, *flags, *selected(project, selection))
        likely, done = self._programs.likely, None
        if likely is not None:  # as above: output that only uv writes saves a process for `--version`
            command = self._command(
                (likely, *argv), project.folder, self._for_project(project, respect_env=respect_env)
            )
            with suppress(ToolMissing, OSError):
                done = self._trusting.run(replace(command, verbatim=True))
        if done is None or done.code != 0 or not done.stdout:
            done = self._run(project, argv, respect_env=respect_env, verbatim=True)
        if done.code == 0:
            return done.stdout
        self._require_flags(done, self.program(project))
        if refused := refused_selection(done):
            raise refused
        if "to compute missing hashes" in done.stderr:
            why = f"the lock has no hash of some files, and they could not be fetched: {complaint(done)}"
            raise HashesMissing(what="a pylock.toml cannot be written", why=why)
        if "for '--format" in done.stderr:
            why = f"uv {self.version(self.program(project))} is too old for {flags[-1]}"
            raise ToolMissing(what="uv cannot write this file", why=why, fix=NEWER)
        raise failed("uv export", done)

    # environments

    def sync(
        self,
        project: Project,
        selection: Selection,
        environment: Path,
        flags: tuple[str, ...] = (),
        *,
        on_line: Callable[[str], None],
    ) -> Path:
        """
        Sync an environment from the project's lock; return its interpreter.

        uv checks the lock first (`--locked`). Raises BadInput for a selection that the lock lacks, ToolFailed.
        """
        argv = ("sync", "--locked", "--no-progress", *flags, *selected(project, selection))
        done = self._locked(project, argv, environment, on_line=on_line)
        if done.code != 0:
            raise refused_selection(done) or self._failed("uv sync --locked", done, project)
        return environment / "bin" / "python"

    def drift(self, project: Project, selection: Selection, environment: Path) -> str | None:
        """
        What `uv sync --locked` would change in an environment, None if it matches the lock; it is not changed.

        Raises ToolFailed if uv cannot compare them.
        """
        argv = ("sync", "--check", "--locked", "--no-progress", *selected(project, selection))
        done = self._locked(project, argv, environment)
        if done.code == 0:
            return None
        if "environment is outdated" not in done.stderr:
            raise refused_selection(done) or failed("uv sync --check --locked", done)
        return drift_in(done)

    def _locked(
        self,
        project: Project,
        argv: tuple[str, ...],
        environment: Path,
        *,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """
        Run with `--locked`, and again without the indexes of the caller if only these make the lock look stale.

        An index of the caller may hold the credentials of another one, so the first run keeps them.
        """
        extra = {"UV_PROJECT_ENVIRONMENT": str(environment)}
        done = self._run(project, argv, respect_env=False, extra=extra, on_line=on_line)
        suspects = self.outside_indexes(project)
        if done.code == 0 or not suspects:
            return done
        request = LockRequest(respect_env=False, offline=True)
        hidden, plain = (self.lock_state(project, variant) for variant in (request, replace(request, without=suspects)))
        if hidden.state is LockState.FRESH or plain.state is not LockState.FRESH:
            return done
        return self._run(project, argv, respect_env=False, extra=extra, on_line=on_line, without=suspects)

    def sync_command(self, project: Project, selection: Selection) -> str:
        """The shell command, run in the project's folder, that syncs the environment which `drift` compares."""
        return shlex.join(("uv", "sync", "--locked", *selected(project, selection)))

    def build_wheel(self, project: Project, source: Path, out: Path) -> None:
        """Build a wheel of a local package, with a fixed SOURCE_DATE_EPOCH. Raises BuildRefused, ToolFailed."""
        if self._inert is not None:
            why = "its build backend is code of the checkout, and builds are refused"
            raise BuildRefused(what=f"`{source.name}` would have to be built", why=why, fix=option("builds", "allow"))
        argv = ("build", "--wheel", "--no-progress", "--out-dir", str(out), "--", str(source))
        self.guard.require_version(source)
        # uv uses the Python of a `.venv` in or above its working folder; only its settings come from `--project`.
        away = self.guard.brings_environment(project.folder)
        done = self._run(
            project,
            (*argv[:1], "--project", str(project.folder), *argv[1:]) if away else argv,
            respect_env=False,
            extra={"SOURCE_DATE_EPOCH": EARLIEST, "PYTHONDONTWRITEBYTECODE": "1"},
            folder=out if away else None,
        )
        if done.code != 0 and refusal_in(done.stderr, project, self._variables) is not None:
            raise self._failed("uv build", done, project)
        if done.code != 0:
            raise ToolFailed(what=f"`uv build` failed for `{source.name}`", why=complaint(done))

    def sync_ours(self, ours: Path, environment: Path) -> Path:
        """
        Create the environment of the registry client from our own lock; return its interpreter. Raises ToolFailed.

        That lock names the public index. Where a mirror is configured, the same files come from there, by their hashes.
        """
        project = Project(folder=ours, root=ours, manifest=read_manifest(ours / "pyproject.toml"))
        for argv in from_mirror(environment) if self._mirror else (OURS,):
            extra = {**self._mirror, "UV_PROJECT_ENVIRONMENT": str(environment)}
            done = self._run(project, argv, respect_env=False, extra=extra)
            if done.code != 0:
                raise failed(f"uv {argv[0]}", done)
        return environment / "bin" / "python"

    def install(  # noqa: PLR0913  # one word of uv's command each
        self,
        requirements: Path,
        environment: Path,
        *,
        python: str,
        hashed: bool,
        resolved: bool,
        indexes: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> Path:
        """
        Create an environment with these requirements, which can be moved; return its interpreter.

        `resolved` says that they are a complete closure, so nothing else is installed; `hashed` that each has hashes.
        `indexes` are variables that name the indexes of the lock. Raises ToolFailed.
        """
        interpreter = self.create_relocatable(environment, python=python, on_line=on_line)
        flags = (*(("--no-deps",) if resolved else ()), *(("--require-hashes",) if hashed else ()))
        self._add_all(requirements, interpreter, flags, indexes, on_line)
        return interpreter

    def create(self, environment: Path, *, python: str, on_line: Callable[[str], None]) -> Path:
        """Create an empty environment; return its interpreter. Raises ToolFailed."""
        return self._create(environment, ("--python", python), on_line)

    def create_relocatable(self, environment: Path, *, python: str, on_line: Callable[[str], None]) -> Path:
        """Create an empty environment that can be moved; return its interpreter. Raises ToolFailed."""
        return self._create(environment, ("--relocatable", "--python", python), on_line)

    def _create(self, environment: Path, flags: tuple[str, ...], on_line: Callable[[str], None]) -> Path:
        argv = ("venv", "--no-project", "--no-progress", "--clear", *flags, str(environment))
        command = (self._programs.satisfying(None), *argv)
        environment.parent.mkdir(parents=True, exist_ok=True)  # the first one in a cache
        done = self._trusting.run(self._command(command, environment.parent, self._anywhere(), on_line=on_line))
        if done.code != 0:
            raise failed("uv venv", done)
        return environment / "bin" / "python"

    def lay_out(  # noqa: PLR0913  # what uv is told about packages
        self,
        requirements: Path,
        interpreter: Path,
        *,
        platform: str,
        built: Iterable[str] = (),
        indexes: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        """
        Install the wheels of complete pins with hashes for a `--python-platform`, which may be another machine's.

        Packages in `built` come from source distributions. Raises ToolFailed, also for another without such a wheel.
        """
        flags = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-platform", platform)
        if not (sources := frozenset(built)):
            self._add_all(requirements, interpreter, flags, indexes, on_line)
            return
        from .source_builds import SourceBuilds  # noqa: PLC0415  # few locks need it

        known, cache = self.guard.with_indexes(self._anywhere(), indexes), self._cache_folder()
        builds = SourceBuilds(run=self._pip_install, variables=known, cache=cache, on_line=on_line)
        self._require_installed(builds.install(requirements, sources, interpreter, flags), known)

    def _add_all(
        self,
        requirements: Path,
        interpreter: Path,
        flags: tuple[str, ...],
        indexes: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        variables = self.guard.with_indexes(self._anywhere(), indexes)
        done = self._pip_install(requirements, (*flags, "--python", str(interpreter)), variables, on_line)
        self._require_installed(done, variables)

    def add(
        self,
        python: Path,
        requirement: str,
        *,
        constraints: Path,
        indexes: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        """Install a requirement into an environment, with no other version of what is there. Raises ToolFailed."""
        flags = ("--no-progress", "--constraints", str(constraints), "--python", str(python))
        command_line = (self._programs.satisfying(None), "pip", "install", *flags, requirement)
        variables = self.guard.with_indexes(self._anywhere(), indexes)
        done = self._trusting.run(self._command(command_line, constraints.parent, variables, on_line=on_line))
        if done.code != 0:
            raise failed("uv pip install", done)

    def as_installer(self, folder: Path, indexes: Mapping[str, str]) -> dict[str, str]:
        """
        The variables for another program that installs packages by calling `uv` or pip itself.

        `folder` is put in front of PATH and gets a link to the uv that would be used outside of a project. `indexes`
        are variables that name the indexes of the lock. Raises ToolMissing.
        """
        folder.mkdir(parents=True)
        (folder / "uv").symlink_to(self._programs.satisfying(None))
        variables = self.guard.with_indexes(self._anywhere(), indexes)
        pip = {name: value for name, value in self._variables.items() if name.startswith("PIP_")}
        return {**pip, **variables, **self._mirror, "PATH": f"{folder}:{variables.get('PATH', '')}"}

    def unpack(  # noqa: PLR0913  # one word of uv's command each
        self,
        requirements: Path,
        folder: Path,
        *,
        python: Path,
        platform: str | None = None,
        version: str | None = None,
        indexes: Mapping[str, str] | None = None,
    ) -> None:
        """
        Unpack the wheels of pins with hashes into a folder, for a `--python-platform` and `--python-version` of uv.

        Raises ToolFailed.
        """
        flags = ("--no-progress", "--no-config", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        target = (*(("--python-platform", platform) if platform else ()), *version_flag(version))
        argv = ("pip", "install", *flags, *target, "--python", str(python), "--target", str(folder))
        variables = {**self._for_lock(respect_env=False).variables, **self._mirror, "UV_LINK_MODE": "copy"}
        variables = self.guard.with_indexes(variables, indexes or {})
        command_line = (self._programs.satisfying(None), *argv, "-r", str(requirements))
        done = self._trusting.run(self._command(command_line, requirements.parent, variables))
        if done.code != 0:
            raise failed("uv pip install", done)

    def resolve(self, requirements: Path, *, platform: str, version: str, indexes: Mapping[str, str]) -> Requirements:
        """
        Resolve requirements to pins with hashes for a platform and a Python; only wheels are considered.

        Nothing is installed, and no code of a package is run. Raises ToolFailed with uv's reason.
        """
        flags = ("--no-header", "--no-annotate", "--generate-hashes", "--only-binary", ":all:")
        argv = ("pip", "compile", *flags, "--python-platform", platform, *version_flag(version), str(requirements))
        variables = self.guard.with_indexes({**self._anywhere(), **self._mirror}, indexes)
        command = self._command((self._programs.satisfying(None), *argv), requirements.parent, variables)
        done = self._trusting.run(replace(command, verbatim=True))
        if done.code != 0:
            raise failed("uv pip compile", done)
        return parse_requirements(done.stdout)
