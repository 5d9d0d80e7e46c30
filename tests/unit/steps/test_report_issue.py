"""One issue about a version, as long as it does not work."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.steps.report_issue import Inputs, JobResult, run
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github
from tests.runner import words

SUBJECT = "models:/wine@champion"


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    """The API."""
    with fake_github() as started:
        yield started


def report(github: FakeGithub, result: JobResult, *, subject: str = SUBJECT, run_id: str = "9") -> str:
    """Run the step at the end of a nightly workflow; what was done."""
    job = {
        "GITHUB_API_URL": github.url,
        "GITHUB_SERVER_URL": "https://github.test",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": run_id,
        "GITHUB_TOKEN": TOKEN,
    }
    host = Host.of({**os.environ, **job}, folder=Path.cwd(), python=Path(sys.executable))
    with locktools(host, console=terminal(words())) as tools:
        return run(Inputs(subject=subject, result=result), tools).outputs.issue_action.value


def test_an_issue_lives_until_the_check_succeeds(github: FakeGithub) -> None:
    """
    One issue for all failures, which names the last run, and none where nothing failed.
    """
    results = (JobResult.SUCCESS, JobResult.FAILURE, JobResult.CANCELLED, JobResult.SUCCESS, JobResult.SUCCESS)

    done = [report(github, result, run_id=f"{number}") for number, result in enumerate(results)]

    (issue,) = github.issues
    assert ["none", "opened", "updated", "closed", "none"] == done
    assert (f"{SUBJECT} does not work as after training", "closed") == (issue["title"], issue["state"])
    assert "a check did not finish" in issue["body"]
    assert f"[run 2](https://github.test/{REPOSITORY}/actions/runs/2)" in issue["body"]
    assert ["It works again: [run 3](https://github.test/grower/wine/actions/runs/3)"] == github.bodies(issue["number"])


def test_each_subject_has_its_own_issue(github: FakeGithub) -> None:
    """
    Another version that works closes nothing.
    """
    report(github, JobResult.FAILURE)

    assert ["opened", "none"] == [
        report(github, JobResult.FAILURE, subject="models:/beer@champion"),
        report(github, JobResult.SUCCESS, subject="models:/cider@champion"),
    ]
    assert ["open", "open"] == [issue["state"] for issue in github.issues]


def test_a_hostile_subject_stays_a_text(github: FakeGithub) -> None:
    """
    No mention, element or second marker; an empty one and one that fits in no title are refused.
    """
    report(github, JobResult.FAILURE, subject="@everyone <img src=x> --> <!-- x -->")

    body = github.issues[0]["body"]
    assert (1, False, False) == (body.count("<!--"), "@everyone" in body, "<img" in body)
    for subject in ("", " ", "x" * 201):
        with pytest.raises(BadInput, match="--subject"):
            report(github, JobResult.FAILURE, subject=subject)
