"""Runs the programs that read ELF files, on this machine, to find missing shared libraries of packages."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...command.errors import ToolFailed
from ...command.host import Host
from ...core.security.child_environment import for_server
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner
from .build_context import INSTALLING

PROGRAM = INSTALLING / "libraries.py"
DESCRIPTIONS = INSTALLING / "library_descriptions.py"
# The description of each shared library of packages, by its path in their environment; see that program.
Descriptions = Mapping[str, Mapping[str, Any]]


def is_named_as_library(path: str) -> bool:
    """Whether a file may be a shared library, by its name, as the programs decide."""
    return ".so" in path.rpartition("/")[2]


@lazy_dataclass
class NeededSymbols:
    """
    What shared libraries of a package for an architecture need at least: symbols (`GLIBC`, `GLIBCXX`) of a version.

    Names of features (`GLIBC_ABI_DT_RELR`) have no version; without symbols it says that there is a file.
    """

    package: str
    file: str
    machine: str
    symbols: str
    version: tuple[int, ...]


@lazy_dataclass
class TruncatedFile:
    """A shared library of a package that ends before its content does."""

    package: str
    file: str


@lazy_dataclass
class CompiledCode:
    """What shared libraries of packages need of their system, and those that are truncated."""

    needed: tuple[NeededSymbols, ...] = ()
    truncated: tuple[TruncatedFile, ...] = ()


@lazy_dataclass
class ExaminedLibraries:
    """
    What described libraries lack, and what they need of their system.

    Each of `lacking` is package, file, library, and the path of a copy in another package, or an empty text.
    """

    lacking: tuple[tuple[str, str, str, str], ...]
    code: CompiledCode


class LibraryScanner:
    """Runs installing/libraries.py and library_descriptions.py, which read files and execute none of them."""

    def __init__(self, runner: Runner, *, host: Host) -> None:
        self._runner = runner
        self._host = host

    @property
    def programs(self) -> str:
        """The texts of both programs, one after the other: answers are kept by them."""
        return "".join(program.read_text(encoding="utf-8") for program in (PROGRAM, DESCRIPTIONS))

    def system_names(self) -> tuple[str, ...]:
        """The names of the shared libraries of this machine. Raises ToolFailed."""
        return tuple(map(str, parse_json(self._run(PROGRAM, "--names"))))

    def compare(self, folder: Path, names: Sequence[str], *, elsewhere: bool) -> tuple[tuple[str, str, str, str], ...]:
        """
        The libraries that packages in a folder are linked with, and that neither they nor `names` have.

        The names are those of this machine, or of a system `elsewhere`, of which no other file is known here.
        Each is package, file, library, and the file of a copy in another package, or an empty text. Raises ToolFailed.
        """
        flags = ("--elsewhere",) if elsewhere else ()
        answer = parse_json(self._run(PROGRAM, "--compare", str(folder), *flags, stdin=json.dumps(list(names))))
        return _rows(answer["lacking"])

    def describe(self, folder: Path) -> Descriptions:
        """The descriptions of the shared libraries of packages in a folder. Raises ToolFailed."""
        answer: Descriptions = parse_json(self._run(DESCRIPTIONS, "--describe", str(folder)))
        return answer

    def examine(self, libraries: Descriptions, names: Sequence[str]) -> ExaminedLibraries:
        """
        What the described libraries of packages lack on a system whose libraries have `names`, and what they need.

        What they need names the architectures for which each package has libraries. Raises ToolFailed.
        """
        request = json.dumps({"names": list(names), "libraries": libraries})
        answer = parse_json(self._run(DESCRIPTIONS, "--examine", stdin=request))
        needed = tuple(
            NeededSymbols(
                package=str(package),
                file=str(file),
                machine=str(machine),
                symbols=str(symbols),
                version=tuple(map(int, version.split("."))) if version else (),
            )
            for package, file, machine, symbols, version in answer["needed"]
        )
        truncated = tuple(TruncatedFile(package=str(package), file=str(file)) for package, file in answer["truncated"])
        return ExaminedLibraries(
            lacking=_rows(answer["lacking"]), code=CompiledCode(needed=needed, truncated=truncated)
        )

    def _run(self, program: Path, *arguments: str, stdin: str = "") -> str:
        argv = (str(self._host.python), "-I", "-B", str(program), *arguments)
        variables = for_server(self._host.variables).variables
        command = Command(argv=argv, folder=INSTALLING, variables=variables, stdin=stdin, verbatim=True)
        done = self._runner.run(command)
        if done.code != 0:
            raise ToolFailed(what="the shared libraries of the packages cannot be read", why=done.last_line)
        return done.stdout


def _rows(lacking: Sequence[Sequence[object]]) -> tuple[tuple[str, str, str, str], ...]:
    return tuple((str(package), str(file), str(library), str(copy)) for package, file, library, copy in lacking)
