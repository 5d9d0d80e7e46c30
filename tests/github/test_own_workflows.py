"""The workflows that test this project, up to the script that installs what a machine lacks."""

import shutil
from pathlib import Path

import pytest

from tests import checkout
from tests.conftest import missing
from tests.github.act import Consumer
from tests.github.other_actions import setup_python
from tests.house.files import ROOT

pytestmark = pytest.mark.extended
# In place of `.ci/run`, which installs packages of Debian and runs all tests: what it was started with and as whom.
STARTED = """#!/usr/bin/env bash
set -euo pipefail
echo "started as $(id -u) in $PWD with '$*' by $(command -v uv), $WORD"
test -f uv.lock
"""


@pytest.fixture
def ours(consumer: Consumer) -> Consumer:
    """Our repository as its own runner checks it out, with another script in place of the long one."""
    if shutil.which("sudo") is None:
        missing("sudo is not installed: apt-get install sudo")
    shutil.rmtree(consumer.folder)
    checkout.materialise(consumer.folder)
    (consumer.folder / ".ci" / "run").write_text(STARTED)
    return consumer


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    """Options of act for the action that sets Python up."""
    return setup_python(tmp_path)


@pytest.mark.parametrize(("name", "words", "jobs"), [("ci.yml", "", 4), ("extended.yml", "--extended", 1)])
def test_the_tests_are_started_as_root_with_the_path_of_the_job(
    ours: Consumer, options: tuple[str, ...], name: str, words: str, jobs: int
) -> None:
    """
    `sudo` removes PATH and variables unless it is told otherwise, and a job whose script fails, fails.
    """
    workflow = (ROOT / ".github/workflows" / name).read_text()
    event = "push" if name == "ci.yml" else "workflow_dispatch"
    job = ("--job", "test" if name == "ci.yml" else "extended")
    environment = {"WORD": "as the job has it"}

    run = ours.run(workflow, event=event, env=environment, options=(*options, *job))
    (ours.folder / ".ci" / "run").write_text(STARTED + "echo no engine >&2\nexit 1\n")
    failed = ours.run(workflow, event=event, env=environment, options=(*options, *job))

    lines = [line for line in run.log.splitlines() if line.startswith("started as ")]
    assert (True, False, jobs) == (run.ok, failed.ok, len(lines)), run.log + failed.log
    for line in lines:
        assert line.startswith("started as 0 in ")
        assert f" with '{words}' by " in line
        assert line.endswith("/uv, as the job has it")
