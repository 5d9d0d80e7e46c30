"""Runs the program that reads ELF files, on this machine, to find missing shared libraries of unpacked packages."""

import json
from collections.abc import Sequence
from pathlib import Path

from ...command.errors import ToolFailed
from ...command.host import Host
from ...core.security.child_environment import for_server
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner
from .build_context import INSTALLING

PROGRAM = INSTALLING / "libraries.py"


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


class LibraryScanner:
    """Runs installing/libraries.py, which reads files and executes none of them."""

    def __init__(self, runner: Runner, *, host: Host) -> None:
        self._runner = runner
        self._host = host

    def system_names(self) -> tuple[str, ...]:
        """The names of the shared libraries of this machine. Raises ToolFailed."""
        return tuple(map(str, parse_json(self._run("--names"))))

    def compare(self, folder: Path, names: Sequence[str], *, elsewhere: bool) -> tuple[tuple[str, str, str, str], ...]:
        """
        The libraries that packages in a folder are linked with, and that neither they nor `names` have.

        The names are those of this machine, or of a system `elsewhere`, of which no other file is known here.
        Each is package, file, library, and the file of a copy in another package, or an empty text. Raises ToolFailed.
        """
        flags = ("--elsewhere",) if elsewhere else ()
        answer = parse_json(self._run("--compare", str(folder), *flags, stdin=json.dumps(list(names))))
        return tuple(
            (str(package), str(file), str(library), str(copy)) for package, file, library, copy in answer["lacking"]
        )

    def compiled_code(self, folder: Path) -> CompiledCode:
        """
        The architectures for which each package in a folder has shared libraries, and what they need of their system.

        Raises ToolFailed.
        """
        answer = parse_json(self._run("--symbols", str(folder)))
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
        return CompiledCode(needed=needed, truncated=truncated)

    def _run(self, *arguments: str, stdin: str = "") -> str:
        argv = (str(self._host.python), "-I", "-B", str(PROGRAM), *arguments)
        variables = for_server(self._host.variables).variables
        command = Command(argv=argv, folder=PROGRAM.parent, variables=variables, stdin=stdin, verbatim=True)
        done = self._runner.run(command)
        if done.code != 0:
            raise ToolFailed(what="the shared libraries of the packages cannot be read", why=done.last_line)
        return done.stdout
