"""Tests where the bytecode of an environment is kept."""

from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.bytecode import BytecodeOptions, bytecode_of, cached_bytecode


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with a cache of its own."""
    return Host.of({"MLFLOW_UV_HOME": str(tmp_path)}, folder=tmp_path, python=Path("python"))


def test_bytecode_is_kept_in_the_cache_by_an_interpreter_and_those_that_it_starts(host: Host, tmp_path: Path) -> None:
    """
    Options and variables name the same folder: an isolated interpreter ignores the variables.
    """
    folder = tmp_path / "cache" / "bytecode"

    found = cached_bytecode(host)

    assert (("-X", f"pycache_prefix={folder}"), {"PYTHONPYCACHEPREFIX": str(folder)}) == (found.flags, found.variables)


def test_an_environment_outside_of_the_cache_keeps_its_own(host: Host, tmp_path: Path) -> None:
    """
    It is removed with it; a name that only begins like the cache is outside.
    """
    inside, outside = (tmp_path / folder / "serving/1/bin/python" for folder in ("cache", "cache-2"))

    found = [bytecode_of(python, host) for python in (inside, outside)]

    assert [cached_bytecode(host), BytecodeOptions(variables={})] == found
