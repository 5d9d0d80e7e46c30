"""Selecting the Python that runs programs which are not those of the project."""

import os
import sys
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Console
from mlflow_uv.tools.uv.environments import Environments
from mlflow_uv.tools.uv.uv import Uv


@pytest.mark.parametrize("kept", ["versions", "installs/python"], ids=["pyenv", "asdf"])
def test_behind_a_shim_its_newest_interpreter_is_taken(tmp_path: Path, kept: str) -> None:
    """
    A shim answers in a folder that pins a version and in no other; what it would start answers everywhere.
    """
    (tmp_path / "shims").mkdir()
    for version in ("3.11.9", "3.11.10", "3.12.1", "3.1.0"):
        program = tmp_path / kept / version / "bin" / f"python{version.rpartition('.')[0]}"
        program.parent.mkdir(parents=True)
        program.touch()
    path = os.pathsep.join(("/usr/bin", str(tmp_path / "shims")))
    host = Host.of({"PATH": path}, folder=tmp_path, python=Path(sys.executable))
    environments = Environments(cast("Uv", None), host=host, console=cast("Console", None))

    interpreters = [environments.interpreter(minor) for minor in ("3.11", "3.12", "3.13")]

    behind = tmp_path / kept
    assert [f"{behind}/3.11.10/bin/python3.11", f"{behind}/3.12.1/bin/python3.12", "3.13"] == interpreters
