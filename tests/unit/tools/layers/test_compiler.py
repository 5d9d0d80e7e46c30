"""An interpreter that compiles modules."""

import os
import platform
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.layers.compiler import Compiler
from mlflow_uv.tools.system.process import Command, Conversation, Running, SystemRunner
from mlflow_uv.tools.system.threads import side_by_side
from tests.unit.tools.conftest import FakeRunner, completed


def test_bytecode_is_by_group_and_path(tmp_path: Path) -> None:
    """
    Two groups may have a module at one path, with other content.
    """
    (tmp_path / "red.py").write_text("colour = 'red'\n")
    (tmp_path / "white.py").write_text("colour = 'white'\n")
    place = PurePosixPath("/opt/venv/lib/grape.py")

    groups = {name: [(place, tmp_path / f"{name}.py")] for name in ("red", "white")}
    with Compiler(SystemRunner(), Path(sys.executable)) as compiler:
        files = compiler.compile(groups, tmp_path / "out")

    expected = PurePosixPath(f"/opt/venv/lib/__pycache__/grape.{sys.implementation.cache_tag}.pyc")
    for name in ("red", "white"):
        ((path, file),) = files[name].items()
        assert (expected, True) == (path, name.encode() in file.data)


def test_processes_are_kept_for_the_next_packages_and_end_with_the_block(tmp_path: Path) -> None:
    """
    As many as there are processors compile at the same time, and a failure makes none of the others wait for ever.
    """

    class Counting(SystemRunner):
        conversations: ClassVar[list[Conversation]] = []

        def converse(self, command: Command) -> Conversation:
            """See Runner."""
            self.conversations.append(super().converse(command))
            return self.conversations[-1]

    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    absent = [(PurePosixPath("/v/absent.py"), tmp_path / "absent.py")]
    grape = [(PurePosixPath("/v/grape.py"), tmp_path / "grape.py")]
    runner, count = Counting(), 3 * (os.cpu_count() or 1)

    with Compiler(runner, Path(sys.executable)) as compiler:
        for at in range(count):
            with pytest.raises(ToolFailed, match="the interpreter that compiles"):
                compiler.compile({"absent": absent}, tmp_path / f"absent {at}")
        made = side_by_side(
            [partial(compiler.compile, {"grape": grape}, tmp_path / str(at)) for at in range(count)],
            at_once=count, cancel=lambda: None,
        )  # fmt: skip

    assert [["grape"]] * count == [list(each) for each in made]
    assert len(runner.conversations) <= (os.cpu_count() or 1)
    assert all(cast("Running", process).code() is not None for process in runner.conversations)


def test_its_identity_has_the_patch_release() -> None:
    """
    Two patch releases compile some modules differently.
    """
    assert platform.python_version() == Compiler(SystemRunner(), Path(sys.executable)).identity[0]


def test_variables_of_the_caller_do_not_count(tmp_path: Path) -> None:
    """
    PYTHONOPTIMIZE and others would change the bytecode; the hash seed is fixed.
    """
    runner = FakeRunner({"probe.py": completed("3.11.2\n")})
    place = PurePosixPath("/v/grape.py")

    with pytest.raises(NotImplementedError) as raised, Compiler(runner, Path("/python")) as compiler:
        compiler.compile({"grape": [(place, tmp_path / "grape.py")]}, tmp_path / "out")

    commands = [*runner.asked, *raised.value.args]
    assert [{"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}] * 2 == [dict(command.variables) for command in commands]


def test_an_interpreter_that_fails_is_an_error() -> None:
    """
    With its last line.
    """
    with pytest.raises(ToolFailed) as raised:
        Compiler(FakeRunner({"probe.py": completed(stderr="no module named encodings", code=1)}), Path("/python"))

    assert "no module named encodings" == raised.value.why


@dataclass
class FakeUv:
    """Creates environments of the interpreter of this process."""

    created: list[str] = field(default_factory=list)

    def create(self, environment: Path, *, python: str, **_: Any) -> Path:
        """See Uv."""
        self.created.append(python)
        return Path(sys.executable)


@pytest.mark.parametrize(("python", "created"), [(sys.executable, []), ("3.11", ["3.11"]), ("/none", ["/none"])])
def test_an_environment_is_created_for_a_version_alone(tmp_path: Path, python: str, created: list[str]) -> None:
    """
    An interpreter that is here compiles as it is.
    """
    uv = FakeUv()

    compiler = Compiler.of(python, tmp_path / "environment", uv, SystemRunner(), print)

    assert (created, platform.python_version()) == (uv.created, compiler.version)
