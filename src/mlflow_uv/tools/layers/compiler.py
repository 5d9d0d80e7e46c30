"""Compiles Python modules with an interpreter of the model, so that the bytecode is the same on every machine."""

import json
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from errno import ENOSPC
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import Any, Protocol, Self

from ...command.errors import NoSpace, StepError, ToolFailed
from ...command.wording import option
from ...core.security.documents import parse_json
from ..system.process import Command, Conversation, Runner
from .archive import LayerFile

INSTALLING = Path(__file__).parents[2] / "installing"
PROGRAM = INSTALLING / "bytecode.py"
_LONGEST_S = 3600.0  # of one package; the largest takes seconds
_AGAIN = "run the step again"
_MEMORY = f"end what else needs memory on this machine, then {_AGAIN}"
_SPACE = f"free space there, or set TMPDIR to a larger disk, then {_AGAIN}"
_ENGINE = option("builder", "engine")


class CompilerFailed(ToolFailed):
    """The modules of a package cannot be compiled."""


class InterpreterBroken(ToolFailed):
    """The interpreter that compiles does not run."""


class EnvironmentMaker(Protocol):
    """What creates environments; see `Uv`."""

    def create(self, environment: Path, *, python: str, on_line: Callable[[str], None]) -> Path:
        """Create an empty environment; return its interpreter. Raises ToolFailed."""


class Compiler:
    """
    An interpreter that compiles modules; see `installing/bytecode.py`.

    Within its context as many processes compile as there are processors; each starts when it is needed first.
    """

    def __init__(self, runner: Runner, interpreter: Path) -> None:
        self._runner = runner
        self._interpreter = interpreter
        self._started: list[Conversation] = []
        self._free: SimpleQueue[Conversation | None] = SimpleQueue()
        for _ in range(os.cpu_count() or 1):
            self._free.put(None)
        self.version = self._probed()

    @property
    def identity(self) -> tuple[str, str]:
        """What bytecode depends on beside the modules: the interpreter's version, and the program that compiles."""
        return self.version, PROGRAM.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.stop()

    def compile(
        self, groups: Mapping[str, Iterable[tuple[PurePosixPath, Path]]], out: Path
    ) -> dict[str, dict[PurePosixPath, LayerFile]]:
        """
        The bytecode of each group of modules, by its path in the image; `out` is a folder for one call.

        A module is its path in the image and its source. Each group, a package, is compiled by a process of its own, in
        its order. Raises CompilerFailed, and NoSpace.
        """
        out.mkdir(parents=True, exist_ok=True)
        compiled = {}
        for name, modules in groups.items():
            files = [[str(source), str(path)] for path, source in modules]
            compiled[name] = self._compiled(name, files, out / name) if files else {}
        return compiled

    @classmethod
    def of(
        cls, python: str, environment: Path, uv: EnvironmentMaker, runner: Runner, on_line: Callable[[str], None]
    ) -> "Compiler":
        """
        The compiler of an interpreter, or of a version that uv finds; an `environment` is created for a version alone.

        The interpreter of an environment compiles as one of an empty environment does: nothing of `site` runs.
        """
        if Path(python).is_absolute() and Path(python).is_file():
            return cls(runner, Path(python))
        return cls(runner, uv.create(environment, python=python, on_line=on_line))

    def _compiled(self, package: str, files: list[list[str]], out: Path) -> dict[PurePosixPath, LayerFile]:
        """The bytecode of the files of a package, in their order."""
        process = self._free.get()
        response = None
        try:
            if process is None:
                process = self._start()
            response = process.ask(json.dumps({"out": str(out), "files": files}))
        finally:
            self._free.put(None if response is None else process)
        if response is None:
            process.stop()
            raise CompilerFailed(
                what=f"`{package}` cannot be compiled",
                why=f"the interpreter `{self._interpreter}` {_end_of(process.code(), process.log())}",
                fix=_MEMORY if process.code() == -signal.SIGKILL else _ENGINE,
            )
        if failure := parse_json(response):
            raise _failed(package, files[failure["file"]][1], failure, out)
        with out.open("rb") as written:
            sizes = parse_json(written.readline())
            bytecode = {PurePosixPath(path): LayerFile(data=written.read(size)) for path, size in sizes}
        out.unlink()
        return bytecode

    def _start(self) -> Conversation:
        process = self._runner.converse(self._command("-B", "-S", "-s", str(PROGRAM)))
        self._started.append(process)
        return process

    def _probed(self) -> str:
        """The version of the interpreter."""
        done = self._runner.run(self._command("-I", "-S", str(INSTALLING / "probe.py")))
        if done.code != 0:
            raise InterpreterBroken(
                what=f"the interpreter `{self._interpreter}`, which compiles the packages, does not run",
                why=f"it {_end_of(done.code, done.last_line)}",
                fix=_ENGINE,
            )
        return done.stdout.strip()

    def _command(self, *argv: str) -> Command:
        return Command(
            argv=(str(self._interpreter), *argv),
            variables={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
            folder=Path("/"),
            verbatim=True,
            timeout_s=_LONGEST_S,
        )


def _failed(package: str, place: str, failure: Mapping[str, Any], out: Path) -> StepError:
    """The error for a file whose process ended with a failure; see `installing/bytecode.py`."""
    what = f"`{place}` of `{package}` cannot be compiled"
    if number := failure.get("signal"):
        fix = _MEMORY if number == signal.SIGKILL else _ENGINE
        return CompilerFailed(what=what, why=f"the process that compiles it {_end_of(-number, '')}", fix=fix)
    if failure["errno"] == ENOSPC:
        return NoSpace(what=what, why=f"{failure['error']}: {out}", fix=_SPACE)
    return CompilerFailed(what=what, why=str(failure["error"]), fix=_AGAIN)


def _end_of(code: int | None, log: str) -> str:
    """How a process ended, as a verb, with its last line."""
    lines = log.strip().splitlines()
    last_line = f": {lines[-1]}" if lines else ""
    if code is None or code >= 0:
        return f"ended with exit code {code}{last_line}" if code else f"ended{last_line}"
    number = -code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    reason = ", as the kernel does if no memory is left" if number == signal.SIGKILL else ""
    return f"was killed ({name}){reason}{last_line}"
