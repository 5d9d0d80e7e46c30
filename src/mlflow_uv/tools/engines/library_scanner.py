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
    What a shared library of a package needs at least: symbols (`GLIBC`, `GLIBCXX`, `CXXABI`) of a version.

    Names of features (`GLIBC_ABI_DT_RELR`) have no version.
    """

    package: str
    file: str
    symbols: str
    version: tuple[int, ...]


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

    def needed_symbols(self, folder: Path) -> tuple[NeededSymbols, ...]:
        """
        The newest versions of symbols that each shared library of the packages in a folder needs from its system.

        A library that is linked without versions is left out. Raises ToolFailed.
        """
        answer = parse_json(self._run("--symbols", str(folder)))
        return tuple(
            NeededSymbols(
                package=str(package),
                file=str(file),
                symbols=str(symbols),
                version=tuple(map(int, version.split("."))) if version else (),
            )
            for package, file, symbols, version in answer["needed"]
        )

    def _run(self, *arguments: str, stdin: str = "") -> str:
        argv = (str(self._host.python), "-I", "-B", str(PROGRAM), *arguments)
        variables = for_server(self._host.variables).variables
        command = Command(argv=argv, folder=PROGRAM.parent, variables=variables, stdin=stdin, verbatim=True)
        done = self._runner.run(command)
        if done.code != 0:
            raise ToolFailed(what="the shared libraries of the packages cannot be read", why=done.last_line)
        return done.stdout
