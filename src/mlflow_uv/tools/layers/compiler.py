"""Compiles Python modules with an interpreter of the model, so that the bytecode is the same on every machine."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from ...command.errors import ToolFailed
from ..system.process import Command, Runner
from .archive import LayerFile

INSTALLING = Path(__file__).parents[2] / "installing"


class EnvironmentMaker(Protocol):
    """What creates environments; see `Uv`."""

    def create(self, environment: Path, *, python: str, on_line: Callable[[str], None]) -> Path:
        """Create an empty environment; return its interpreter. Raises ToolFailed."""


class Compiler:
    """An interpreter that compiles modules; see `installing/bytecode.py`."""

    def __init__(self, runner: Runner, interpreter: Path) -> None:
        self._runner = runner
        self._interpreter = interpreter
        self.version = self._run("-I", "-S", str(INSTALLING / "probe.py")).strip()

    @property
    def identity(self) -> tuple[str, str]:
        """What bytecode depends on beside the modules: the interpreter's version, and the program that compiles."""
        return self.version, (INSTALLING / "bytecode.py").read_text(encoding="utf-8")

    def compile(
        self, groups: Mapping[str, Iterable[tuple[PurePosixPath, Path]]], out: Path
    ) -> dict[str, dict[PurePosixPath, LayerFile]]:
        """
        The bytecode of each group of modules, by its path in the image; files are written below `out`.

        A module is its path in the image and its source. Each group is compiled by a process of its own, in its order.
        Raises ToolFailed.
        """
        request = [
            {"out": str(out / name), "files": [[str(source), str(path)] for path, source in modules]}
            for name, modules in groups.items()
        ]
        self._run("-B", "-S", "-s", str(INSTALLING / "bytecode.py"), stdin=json.dumps(request))
        return {
            name: {
                PurePosixPath("/", path.relative_to(out / name)): LayerFile(source=path)
                for path in (out / name).rglob("*.pyc")
            }
            for name in groups
        }

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

    def _run(self, *argv: str, stdin: str = "") -> str:
        command = Command(
            argv=(str(self._interpreter), *argv),
            variables={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
            folder=Path("/"),
            stdin=stdin,
            verbatim=True,
        )
        done = self._runner.run(command)
        if done.code != 0:
            raise ToolFailed(what="the interpreter that compiles the packages fails", why=done.last_line)
        return done.stdout
