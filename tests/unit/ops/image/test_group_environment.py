"""Tests the environment of a dependency group, with an installer that keeps what it was asked for."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.lock.own_group import SIGNING
from mlflow_uv.ops.image.group_environment import group_environment
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.environment_folders import folders_in

ROOT = Path(__file__).resolve().parents[4]
MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}


class Machine:
    """A machine on which nothing is installed; `fails` lets the first installation fail."""

    def __init__(self, folder: Path, *, fails: bool = False) -> None:
        self.folder, self.fails = folder, fails
        self.installed: list[str] = []

    def install(self, listed: Path, environment: Path, **words: Any) -> None:
        """See Uv."""
        assert words["hashed"]
        assert words["resolved"]
        self.installed.append(listed.read_text())
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").touch()
        if self.fails:
            self.fails = False
            raise ToolFailed(what="no network")

    @property
    def tools(self) -> Tools:
        """Its tools."""
        inventory = json.dumps({"installed": [], "marker_environment": MARKERS})
        return cast(
            "Tools",
            SimpleNamespace(
                servers=SimpleNamespace(inventory=lambda _: inventory),
                environments=SimpleNamespace(serving=folders_in(self.folder)),
                uv=SimpleNamespace(install=self.install),
                console=KeptConsole(),
                host=SimpleNamespace(ours=ROOT),
            ),
        )


def test_an_environment_is_made_once_of_wheels_with_hashes(tmp_path: Path) -> None:
    """
    It has what signs, and what model-signing imports without depending on it.
    """
    machine = Machine(tmp_path)

    first, again = (group_environment(SIGNING, Path("/bin/python"), machine.tools) for _ in range(2))

    (listed,) = machine.installed
    assert first == again
    assert {"cryptography", "model-signing", "pyopenssl", "sigstore"} <= {pin.name for pin in first.pins}
    assert len(first.pins) <= listed.count("--hash=sha256:")


def test_an_installation_that_failed_is_made_again(tmp_path: Path) -> None:
    """
    Half an environment is not used.
    """
    machine = Machine(tmp_path, fails=True)

    with pytest.raises(ToolFailed):
        group_environment(SIGNING, Path("/bin/python"), machine.tools)
    group_environment(SIGNING, Path("/bin/python"), machine.tools)

    assert 2 == len(machine.installed)
