"""Chooses the uv program for a project."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ...command.errors import BadProject, ToolFailed, ToolMissing
from ...command.wording import Wording, local, option
from ..project.files import Project
from ..system.process import Command, Runner
from .settings import settings_of


class Range(NamedTuple):
    """Versions of uv, as PEP 440 writes them."""

    text: str

    def admits(self, version: str) -> bool:
        """Whether a version is one of them; a pre-release may be. Raises BadProject where this is no range."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415  # 11 ms, for few projects

        try:
            return SpecifierSet(self.text).contains(version, prereleases=True)
        except InvalidSpecifier as error:
            raise BadProject(what="`required-version` is not a version range", why=str(error)) from error


class Programs:
    """
    The uvs that one caller has, by the rule in docs/identity.md, "Which uv".

    `asked` is the program the caller named; else the one on PATH if the project accepts it, else `own`. Only what
    tells a version is a uv: a shim may end well and do nothing.
    """

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], asked: Path | None, own: Path | None) -> None:
        self._runner = runner
        self._variables = variables
        # A bare name is looked up on PATH; a path is the caller's, and uv runs in the project's folder.
        self._asked = asked if asked is None or len(asked.parts) == 1 else asked.absolute()
        self._own = own
        self._versions: dict[str, str | None] = {}

    @property
    def likely(self) -> str | None:
        """The one that it will be, if that is a uv and the project accepts it; None where there is none."""
        if self._asked is not None:
            return str(self._asked)
        return next(iter(self._candidates), None)

    def satisfying(self, wanted: Range | None) -> str:
        """The one of that range. Raises ToolMissing."""
        if self._asked is not None:
            return self._checked(str(self._asked), wanted)
        for candidate in self._candidates:
            version = self.version(candidate)
            if version is not None and (wanted is None or wanted.admits(version)):
                return candidate
        told = ", ".join(
            f"{name} is {version}" if (version := self.version(name)) else f"{name} prints no version"
            for name in self._candidates
        )
        if wanted is None or not self._candidates:
            raise ToolMissing(
                what="uv is not installed",
                why=told or "it is not on PATH",
                fix=local("pip install uv", "put a step with astral-sh/setup-uv before this one"),
            )
        raise ToolMissing(
            what=f'no installed uv satisfies `required-version = "{wanted.text}"`',
            why=told,
            fix=Wording(option("uv", "PATH"), f" of a uv {wanted.text}"),
        )

    def newer(self, program: str) -> str | None:
        """Our own uv, if it is newer than a program; None where it is not, or there is none."""
        own = str(self._own) if self._own else program
        mine, theirs = self.version(own), self.version(program)
        return own if mine and theirs and _parts(mine) > _parts(theirs) else None

    @cached_property
    def _candidates(self) -> tuple[str, ...]:
        import shutil  # noqa: PLC0415  # 4 ms that a named uv does not need

        found = (shutil.which("uv", path=self._variables.get("PATH")), str(self._own) if self._own else None)
        return tuple(name for name in found if name)

    def _checked(self, program: str, wanted: Range | None) -> str:
        version = self.version(program)
        if version is None:
            raise ToolMissing(what=f"`{program}` is not uv", why="it prints no version")
        if wanted is not None and not wanted.admits(version):
            raise ToolMissing(what=f"`{program}` is uv {version}", why=f"the project requires {wanted.text}")
        return program

    def version(self, program: str) -> str | None:
        """The version a uv program tells, None when it tells none."""
        if program not in self._versions:
            try:
                done = self._runner.run(
                    Command(argv=(program, "--version"), folder=Path("/"), variables=self._variables)
                )
                found = re.match(r"uv (\d+\.\d\S*)", done.stdout)
                self._versions[program] = found[1] if done.code == 0 and found else None
            except (ToolMissing, ToolFailed, OSError):  # OSError: a file that is no program
                self._versions[program] = None
        return self._versions[program]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def required_version(project: Project) -> Range | None:
    """`required-version` as uv reads it, from the nearest settings at the root of the workspace or above."""
    settings = settings_of(project.root, project.manifest if project.root == project.folder else None)
    raw = None if settings is None else settings.table.get("required-version")
    return None if raw is None else Range(f"=={raw}" if str(raw)[:1].isdigit() else str(raw))


def wanted_at(project: Project) -> tuple[Path, int]:
    """The file and the 1-based line where `required-version` stands."""
    from ...core.lock.toml_lines import key_lines, line_at  # noqa: PLC0415  # on the way to an error

    settings = settings_of(project.root)
    path = project.root / "pyproject.toml" if settings is None else settings.path
    keys = (*(settings.keys if settings else ()), "required-version")
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return path, line_at(key_lines(text), keys)
