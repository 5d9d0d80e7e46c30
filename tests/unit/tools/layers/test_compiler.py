"""An interpreter that compiles modules."""

import os
import platform
import signal
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NoSpace
from mlflow_uv.tools.layers.compiler import Compiler, CompilerFailed, InterpreterBroken
from mlflow_uv.tools.system.process import Command, Conversation, Running, SystemRunner
from mlflow_uv.tools.system.threads import side_by_side
from tests.unit.tools.conftest import FakeRunner, completed


class Counting(SystemRunner):
    """A runner that knows the processes that it started."""

    def __init__(self) -> None:
        super().__init__()
        self.conversations: list[Conversation] = []

    def converse(self, command: Command) -> Conversation:
        """See Runner."""
        self.conversations.append(super().converse(command))
        return self.conversations[-1]


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
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    absent = [(PurePosixPath("/v/absent.py"), tmp_path / "absent.py")]
    grape = [(PurePosixPath("/v/grape.py"), tmp_path / "grape.py")]
    runner, count = Counting(), 3 * (os.cpu_count() or 1)

    with Compiler(runner, Path(sys.executable)) as compiler:
        for at in range(count):
            with pytest.raises(CompilerFailed, match="`absent` cannot be compiled"):
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


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (1, "it ended with exit code 1: no module named encodings"),
        (-11, "it was killed (SIGSEGV): no module named encodings"),
        (-60, "it was killed (signal 60): no module named encodings"),
    ],
)
def test_an_interpreter_that_does_not_run_is_an_error(code: int, why: str) -> None:
    """
    With how it ended, and its last line.
    """
    with pytest.raises(InterpreterBroken) as raised:
        Compiler(FakeRunner({"probe.py": completed(stderr="no module named encodings", code=code)}), Path("/python"))

    assert (why, "--builder engine", 6) == (raised.value.why, raised.value.fix, raised.value.exit_code)


def children(pid: int) -> list[int]:
    """The processes that a process has forked."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("of_child", "number", "what", "why", "fix"),
    [
        (
            True, signal.SIGKILL, "`/v/plum.py` of `plum` cannot be compiled",
            "the process that compiles it was killed (SIGKILL), as the kernel does if no memory is left",
            "end what else needs memory on this machine, then run the step again",
        ),
        (
            True, signal.SIGSEGV, "`/v/plum.py` of `plum` cannot be compiled",
            "the process that compiles it was killed (SIGSEGV)", "--builder engine",
        ),
        (
            False, signal.SIGKILL, "`plum` cannot be compiled",
            f"the interpreter `{sys.executable}` was killed (SIGKILL), as the kernel does if no memory is left",
            "end what else needs memory on this machine, then run the step again",
        ),
    ],
    ids=["compiles", "crashes", "interpreter"],
)  # fmt: skip
def test_a_compiler_that_is_killed_names_the_module(  # what is killed, and what is said
    tmp_path: Path, of_child: bool, number: int, what: str, why: str, fix: str
) -> None:
    """
    With its package, and why: the kernel kills the process that needs most memory. The next one is compiled.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    os.mkfifo(tmp_path / "plum.py")  # whoever compiles it waits for its content
    grape, plum = ((PurePosixPath(f"/v/{name}.py"), tmp_path / f"{name}.py") for name in ("grape", "plum"))
    runner = Counting()

    def kill() -> None:
        with (tmp_path / "plum.py").open("wb"):
            (process,) = (cast("Running", process).pid for process in runner.conversations)
            os.kill(children(process)[0] if of_child else process, number)

    killer = threading.Thread(target=kill)
    killer.start()
    with Compiler(runner, Path(sys.executable)) as compiler:
        with pytest.raises(CompilerFailed) as raised:
            compiler.compile({"plum": [grape, plum]}, tmp_path / "out")
        killer.join()
        again = compiler.compile({"grape": [grape]}, tmp_path / "out")

    assert (what, why, fix, 6) == (raised.value.what, raised.value.why, raised.value.fix, raised.value.exit_code)
    assert ["grape"] == list(again)


def test_a_full_disk_is_named_as_one(tmp_path: Path) -> None:
    """
    Also its exit code is that of a full disk, and with another folder it goes on.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "grape").symlink_to("/dev/full")
    grape = {"grape": [(PurePosixPath("/v/grape.py"), tmp_path / "grape.py")]}

    with Compiler(SystemRunner(), Path(sys.executable)) as compiler:
        with pytest.raises(NoSpace) as raised:
            compiler.compile(grape, tmp_path / "out")
        again = compiler.compile(grape, tmp_path / "elsewhere")

    error = raised.value
    assert ("`/v/grape.py` of `grape` cannot be compiled", 19) == (error.what, error.exit_code)
    assert f"OSError: [Errno 28] No space left on device: {tmp_path}/out/grape" == error.why
    assert "free space there, or set TMPDIR to a larger disk, then run the step again" == error.fix
    assert ["grape"] == list(again)


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
