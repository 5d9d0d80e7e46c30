"""What does uv say about the lock, and what does it make from it?"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import tomli
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..core.digests import sha256
from ..core.environment import Partition, for_uv
from ..core.requirements import Requirements, parse_requirements
from ..core.selection import Selection
from ..errors import BadInput, BadProject, ToolFailed, ToolMissing
from .files import Project, read_manifest, table_of
from .process import Command, Completed, Runner
from .uvwords import NOT_IN_LOCK, LockState, LockVerdict, complaint, failed, verdict_in

EXPORT = ("export", "--frozen", "--no-default-groups", "--no-editable", "--no-annotate", "--no-header")


class Uv:
    """
    One uv program, asked on behalf of one caller.

    `asked` is the program the caller named; else the one on PATH if the project accepts it, else `own`.
    """

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], asked: Path | None, own: Path | None) -> None:
        self._runner = runner
        self._variables = variables
        # A bare name is looked up on PATH; a path is the caller's, and uv runs in the project's folder.
        self._asked = asked if asked is None or len(asked.parts) == 1 else asked.absolute()
        self._own = own
        self._versions: dict[str, str | None] = {}

    # which uv

    def program(self, project: Project) -> str:
        """
        The uv that this project gets. Raises ToolMissing when none satisfies its `required-version`.

        The rule is RECORD's "Which uv". Only what tells a version is a uv: a shim may end well and do nothing.
        """
        return self._satisfying(required_version(project))

    def _satisfying(self, wanted: SpecifierSet | None) -> str:
        if self._asked is not None:
            return self._checked(str(self._asked), wanted)
        for candidate in self._candidates:
            version = self.version(candidate)
            if version is not None and (wanted is None or wanted.contains(version, prereleases=True)):
                return candidate
        told = ", ".join(
            f"{name} is {version}" if (version := self.version(name)) else f"{name} does not tell a version"
            for name in self._candidates
        )
        if wanted is None or not self._candidates:
            raise ToolMissing(what="uv is not installed", why=told or "it is not on PATH", fix="pip install uv")
        raise ToolMissing(
            what=f'no uv here satisfies `required-version = "{wanted}"`', why=told, fix=f"--uv PATH of a uv {wanted}"
        )

    @cached_property
    def _candidates(self) -> tuple[str, ...]:
        import shutil  # noqa: PLC0415  # 4 ms that a named uv does not need

        found = (shutil.which("uv", path=self._variables.get("PATH")), str(self._own) if self._own else None)
        return tuple(name for name in found if name)

    def _checked(self, program: str, wanted: SpecifierSet | None) -> str:
        version = self.version(program)
        if version is None:
            raise ToolMissing(what=f"`{program}` is not uv", why="it does not tell its version")
        if wanted is not None and not wanted.contains(version, prereleases=True):
            raise ToolMissing(what=f"`{program}` is uv {version}", why=f"the project requires {wanted}")
        return program

    def version(self, program: str) -> str | None:
        """The version a uv program tells, None when it tells none."""
        if program not in self._versions:
            try:
                done = self._runner.run(
                    self._command((program, "--version"), Path("/"), self._for_lock(respect_env=False).variables)
                )
                found = re.match(r"uv (\d+\.\d\S*)", done.stdout)
                self._versions[program] = found[1] if done.code == 0 and found else None
            except (ToolMissing, ToolFailed, OSError):  # OSError: a file that is no program
                self._versions[program] = None
        return self._versions[program]

    def alone(self, project: Project, cache: Path) -> Path:
        """A folder that holds this project's uv and nothing else, for the PATH of somebody who has none."""
        program = self.program(project)
        folder = cache / "uv" / sha256(program.encode())[:12]
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # made before, by us or by a neighbour
            (folder / "uv").symlink_to(program)
        return folder

    # questions about the lock

    def set_aside(self, *, respect_env: bool) -> tuple[str, ...]:
        """Names of the caller's variables that do not get to steer the answer."""
        return self._for_lock(respect_env=respect_env).set_aside

    def lock_state(self, project: Project, *, respect_env: bool) -> LockVerdict:
        """Whether uv.lock is still true to pyproject.toml. Raises ToolFailed when uv gives no known answer."""
        done = self._ask(project, ("lock", "--check"), respect_env=respect_env)
        if done.code == 0:
            return LockVerdict(state=LockState.FRESH)
        found = verdict_in(done.stderr)
        if found is None:
            raise failed("uv lock --check", done)
        return found

    def lock_changes(self, project: Project, *, respect_env: bool) -> tuple[str, ...]:
        """What `uv lock` would add, update and remove, one change a line; empty where it cannot say."""
        done = self._ask(project, ("lock", "--dry-run"), respect_env=respect_env)
        return tuple(line for line in done.stderr.splitlines() if re.match(r"(Add|Update|Remove)(ed)? ", line))

    def export(self, project: Project, selection: Selection, *, respect_env: bool = False) -> Requirements:
        """
        The selected part of the lock as requirements with hashes, local packages apart.

        Raises BadInput for an extra, group or package that the lock does not have, ToolFailed otherwise.
        """
        argv = (*EXPORT, *_selected(project, selection))
        done = self._ask(project, argv, respect_env=respect_env, verbatim=True)
        if done.code != 0:
            if re.search(NOT_IN_LOCK, done.stderr):
                raise BadInput(what="the selection is not in the lock", why=complaint(done))
            raise failed("uv export", done)
        try:
            return parse_requirements(done.stdout)
        except ValueError as error:
            raise ToolFailed(what="`uv export` wrote a line that is not exact", why=str(error)) from error

    # environments

    def sync(
        self,
        project: Project,
        selection: Selection,
        environment: Path,
        flags: tuple[str, ...] = (),
        *,
        hear: Callable[[str], None],
    ) -> Path:
        """
        Make the project's environment from its lock in a private folder; return its interpreter.

        The lock is checked on the way (`--locked`). Raises ToolFailed.
        """
        argv = ("sync", "--locked", "--no-progress", *flags, *_selected(project, selection))
        done = self._ask(
            project, argv, respect_env=False, extra={"UV_PROJECT_ENVIRONMENT": str(environment)}, hear=hear
        )
        if done.code != 0:
            raise failed("uv sync --locked", done)
        return environment / "bin" / "python"

    def build_wheel(self, project: Project, source: Path, out: Path) -> None:
        """Build one local package into a wheel. Raises ToolFailed."""
        done = self._ask(
            project, ("build", "--wheel", "--no-progress", "--out-dir", str(out), "--", str(source)), respect_env=False
        )
        if done.code != 0:
            raise ToolFailed(what=f"`uv build` failed for `{source.name}`", why=complaint(done))

    def sync_ours(self, ours: Path, environment: Path) -> Path:
        """Make the environment that talks to registries, from our lock; return its interpreter. Raises ToolFailed."""
        project = Project(folder=ours, root=ours, manifest=read_manifest(ours / "pyproject.toml"))
        argv = ("sync", "--frozen", "--no-progress", "--only-group", "registry")
        done = self._ask(project, argv, respect_env=False, extra={"UV_PROJECT_ENVIRONMENT": str(environment)})
        if done.code != 0:
            raise failed("uv sync", done)
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
        hear: Callable[[str], None],
    ) -> Path:
        """
        Make a fresh environment that holds these requirements; return its interpreter.

        `resolved` says that they are the whole closure, so that nothing else may come along; `indexes` are variables
        that lead to the lock's own. Raises ToolFailed.
        """
        program = self._satisfying(None)
        interpreter = environment / "bin" / "python"
        variables = {**self._for_lock(respect_env=False).variables, **indexes}
        flags = (*(("--no-deps",) if resolved else ()), *(("--require-hashes",) if hashed else ()))
        install = ("pip", "install", "--no-progress", *flags)
        for argv in (
            ("venv", "--no-project", "--no-progress", "--clear", "--python", python, str(environment)),
            (*install, "--python", str(interpreter), "-r", str(requirements)),
        ):
            done = self._runner.run(self._command((program, *argv), requirements.parent, variables, hear=hear))
            if done.code != 0:
                raise failed(f"uv {' '.join(argv[:2])}", done)
        return interpreter

    # how

    def _for_lock(self, *, respect_env: bool) -> Partition:
        return for_uv(self._variables, respect=respect_env)

    def _ask(  # noqa: PLR0913  # each has one reader
        self,
        project: Project,
        argv: tuple[str, ...],
        *,
        respect_env: bool,
        extra: Mapping[str, str] | None = None,
        hear: Callable[[str], None] | None = None,
        verbatim: bool = False,
    ) -> Completed:
        variables = {**self._for_lock(respect_env=respect_env).variables, **(extra or {})}
        command = self._command((self.program(project), *argv), project.folder, variables, hear=hear)
        return self._runner.run(replace(command, verbatim=verbatim))

    def _command(
        self,
        argv: tuple[str, ...],
        folder: Path,
        variables: Mapping[str, str],
        *,
        hear: Callable[[str], None] | None = None,
    ) -> Command:
        return Command(argv=argv, folder=folder, variables=variables, hear=hear)


def locked_uv(ours: Path) -> str:
    """The uv of our own lock as a line for pip, with the hashes of all its wheels."""
    lock = tomli.loads((ours / "uv.lock").read_text(encoding="utf-8"))
    (uv,) = (package for package in lock["package"] if package["name"] == "uv")
    return " ".join((f"uv=={uv['version']}", *(f"--hash={wheel['hash']}" for wheel in uv["wheels"]))) + "\n"


def required_version(project: Project) -> SpecifierSet | None:
    """`required-version` as uv reads it: uv.toml goes before `[tool.uv]`, at the root of the workspace."""
    table = project.root / "uv.toml"
    if table.is_file():
        raw = read_manifest(table).get("required-version")
    else:
        manifest = (
            project.manifest if project.root == project.folder else read_manifest(project.root / "pyproject.toml")
        )
        raw = table_of(manifest, "tool", "uv").get("required-version")
    if raw is None:
        return None
    try:
        return SpecifierSet(raw if not str(raw)[:1].isdigit() else f"=={raw}")
    except InvalidSpecifier as error:
        raise BadProject(what="`required-version` is not a version range", why=str(error)) from error


def _selected(project: Project, selection: Selection) -> tuple[str, ...]:
    package = selection.package or (project.name if project.named else None)
    flags: list[str] = ["--package", package] if package else []
    for extra in selection.extras:
        flags += ["--extra", extra]
    for group in selection.groups:
        flags += ["--group", group]
    return tuple(flags)
