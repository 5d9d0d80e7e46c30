"""Chooses the uv program for a project."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ...command.errors import BadProject, ToolFailed, ToolMissing
from ...command.wording import Wording, local, option
from ...core.lock.toml_lines import key_lines, line_at
from ...core.lock.version_ranges import in_range
from ..project.files import Project
from ..system.process import Command, Runner
from .lock_check import program_on
from .settings import settings_of


class Range(NamedTuple):
    """A range of uv versions, as a PEP 440 specifier."""

    text: str

    def admits(self, version: str) -> bool:
        """Whether a version is in the range; pre-releases may be. Raises BadProject for an invalid range."""
        try:
            return in_range(version, self.text)
        except ValueError as error:
            raise BadProject(what="`required-version` is not a version range", why=str(error)) from error


class Programs:
    """
    The installed uv programs, in the order of docs/identity.md, "Which uv".

    `named` is the program that the caller named; else the one on PATH is used if it satisfies the project, else `own`.
    Only a program that prints a version counts as uv: a shim may exit with 0 and do nothing.
    """

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], named: Path | None, own: Path | None) -> None:
        self._runner = runner
        self._variables = variables
        # A bare name is looked up on PATH; a path is made absolute, because uv runs in the project's folder.
        self._named = named if named is None or len(named.parts) == 1 else named.absolute()
        self._own = own
        self._versions: dict[str, str | None] = {}

    @property
    def likely(self) -> str | None:
        """The first candidate, whose version is not checked yet; None if there is none."""
        if self._named is not None:
            return str(self._named)
        return next(iter(self._candidates), None)

    def satisfying(self, required: Range | None) -> str:
        """The first program in that range. Raises ToolMissing."""
        if self._named is not None:
            return self._checked(str(self._named), required)
        for candidate in self._candidates:
            version = self.version(candidate)
            if version is not None and (required is None or required.admits(version)):
                return candidate
        versions = ", ".join(
            f"{name} is {version}" if (version := self.version(name)) else f"{name} prints no version"
            for name in self._candidates
        )
        if required is None or not self._candidates:
            raise ToolMissing(
                what="uv is not installed",
                why=versions or "it is not on PATH",
                fix=local("pip install uv", "put a step with astral-sh/setup-uv before this one"),
            )
        raise ToolMissing(
            what=f'no installed uv satisfies `required-version = "{required.text}"`',
            why=versions,
            fix=Wording(option("uv", "PATH"), f" of a uv {required.text}"),
        )

    def newer(self, program: str) -> str | None:
        """Our own uv, if it is newer than `program`; else None."""
        own = str(self._own) if self._own else program
        own_version, version = self.version(own), self.version(program)
        return own if own_version and version and _parts(own_version) > _parts(version) else None

    @cached_property
    def _candidates(self) -> tuple[str, ...]:
        paths = (program_on(self._variables.get("PATH"), "uv"), str(self._own) if self._own else None)
        return tuple(name for name in paths if name)

    def _checked(self, program: str, required: Range | None) -> str:
        version = self.version(program)
        if version is None:
            raise ToolMissing(what=f"`{program}` is not uv", why="it prints no version")
        if required is not None and not required.admits(version):
            raise ToolMissing(what=f"`{program}` is uv {version}", why=f"the project requires {required.text}")
        return program

    def version(self, program: str) -> str | None:
        """The version that a uv program prints, None if it prints none."""
        if program not in self._versions:
            try:
                done = self._runner.run(
                    Command(argv=(program, "--version"), folder=Path("/"), variables=self._variables)
                )
                match = re.match(r"uv (\d+\.\d\S*)", done.stdout)
                self._versions[program] = match[1] if done.code == 0 and match else None
            except (ToolMissing, ToolFailed, OSError):  # OSError: a file that is not a program
                self._versions[program] = None
        return self._versions[program]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def required_version(project: Project) -> Range | None:
    """`required-version` from the nearest settings, at the root of the workspace or above, as uv reads it."""
    settings = settings_of(project.root, project.manifest if project.root == project.folder else None)
    raw = None if settings is None else settings.table.get("required-version")
    return None if raw is None else Range(f"=={raw}" if str(raw)[:1].isdigit() else str(raw))


def required_version_place(project: Project) -> tuple[Path, int]:
    """The file and line (1-based) of `required-version`."""
    settings = settings_of(project.root)
    path = project.root / "pyproject.toml" if settings is None else settings.path
    keys = (*(settings.keys if settings else ()), "required-version")
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return path, line_at(key_lines(text), keys)
