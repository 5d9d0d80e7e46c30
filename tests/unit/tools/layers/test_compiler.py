"""An interpreter that compiles modules."""

import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.layers.compiler import Compiler
from mlflow_uv.tools.system.process import SystemRunner
from tests.unit.tools.conftest import FakeRunner, completed


def test_bytecode_is_by_group_and_path(tmp_path: Path) -> None:
    """
    Two groups may have a module at one path, with other content.
    """
    (tmp_path / "red.py").write_text("colour = 'red'\n")
    (tmp_path / "white.py").write_text("colour = 'white'\n")
    place = PurePosixPath("/opt/venv/lib/grape.py")

    compiler = Compiler(SystemRunner(), Path(sys.executable))
    groups = {name: [(place, tmp_path / f"{name}.py")] for name in ("red", "white")}
    files = compiler.compile(groups, tmp_path / "out")

    expected = PurePosixPath(f"/opt/venv/lib/__pycache__/grape.{sys.implementation.cache_tag}.pyc")
    for name in ("red", "white"):
        ((path, file),) = files[name].items()
        assert file.source is not None
        assert (expected, True) == (path, name.encode() in file.source.read_bytes())


def test_its_identity_has_the_patch_release() -> None:
    """
    Two patch releases compile some modules differently.
    """
    assert platform.python_version() == Compiler(SystemRunner(), Path(sys.executable)).identity[0]


def test_variables_of_the_caller_do_not_count() -> None:
    """
    PYTHONOPTIMIZE and others would change the bytecode; the hash seed is fixed.
    """
    runner = FakeRunner({"probe.py": completed("3.11.2\n")})

    Compiler(runner, Path("/python")).compile({}, Path("/out"))

    assert [{"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}] * 2 == [dict(command.variables) for command in runner.asked]


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
