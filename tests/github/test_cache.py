"""The key of the cache of a check, as the shell of a runner computes it."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.house.files import ROOT

ACTION = ROOT / ".github/restore-cache/action.yml"


@pytest.fixture
def key_of(tmp_path: Path):
    """Compute the key of this program in a folder, with a lock."""

    def computed(version: str, lock: bytes) -> str:
        place = tmp_path / version / ".github/restore-cache"
        place.mkdir(parents=True, exist_ok=True)
        (tmp_path / version / "uv.lock").write_bytes(lock)
        output = tmp_path / "output"
        script = next(step["run"] for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if "run" in step)
        variables = {"PATH": f"{Path(str(shutil.which('python3'))).parent}:/usr/bin:/bin",
                     "GITHUB_ACTION_PATH": str(place), "GITHUB_OUTPUT": str(output)}  # fmt: skip
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        subprocess.run(argv, env=variables, cwd=tmp_path, check=True)
        name, _, key = output.read_text().strip().rpartition("\n")[2].partition("=")
        assert ("hash", 40) == (name, len(key))
        return key

    return computed


def test_the_key_changes_with_the_program(key_of) -> None:
    """
    Another lock of this program, or another version, which is another folder of the runner, has another key.
    """
    first = key_of("v1", b"lock")

    again, other_lock, other_version = key_of("v1", b"lock"), key_of("v1", b"other"), key_of("v2", b"lock")

    assert (True, 3) == (first == again, len({first, other_lock, other_version}))
