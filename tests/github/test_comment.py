"""The comment on a pull request, from the check of a fork to the second workflow, as the examples have them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checkout, projects
from tests.github.act import Consumer
from tests.github.other_actions import stand_ins
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github

HEAD = "b" * 40


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    """The API, with a pull request of a fork."""
    with fake_github() as started:
        started.open(3, HEAD)
        yield started


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    """Options of act for the actions of others."""
    return stand_ins(tmp_path)


def example(root: Path, name: str) -> str:
    """A workflow of the examples, for this checkout."""
    return (root / "examples" / "workflows" / name).read_text().replace("org/mlflow-uv-action", "ACTION")


def event(folder: Path, content: object) -> tuple[str, str]:
    """The option of act for the event."""
    path = folder / "event.json"
    path.write_text(json.dumps(content))
    return "--eventpath", str(path)


@pytest.mark.extended
def test_a_fork_gets_a_comment_from_a_second_workflow(
    consumer: Consumer, root: Path, tmp_path: Path, github: FakeGithub, options: tuple[str, ...]
) -> None:
    """
    The first has no secret and hands over a file, also if a check fails; the second has a token and no checkout.
    """
    wheels = consumer.folder / "wheels"
    for name in ("grape", "yeast", "cork"):
        projects.wheel(wheels, name, "1.0")
    project = projects.project(consumer.folder, "grape", wheels=wheels)
    projects.lock(project)
    base = checkout.repository(consumer.folder)
    projects.depend_on(project, "grape", "yeast")
    projects.lock(project)
    projects.depend_on(project, "grape", "yeast", "cork")  # the lock is out of date again
    repository = {"full_name": "fork/wine", "id": 7}
    pull = {
        "number": 3,
        "head": {"sha": HEAD, "repo": repository},
        "base": {"sha": base, "repo": {"full_name": REPOSITORY, "id": 1}},
    }
    run = {"id": 9, "event": "pull_request", "conclusion": "success", "head_sha": HEAD, "head_branch": "topic"}
    done = {"workflow_run": {**run, "head_repository": repository}, "repository": {"full_name": REPOSITORY, "id": 1}}
    job = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY}

    checked = consumer.run(
        example(root, "check.yml"),
        event="pull_request",
        options=(*options, *event(tmp_path, {"pull_request": pull})),
    )
    commented = consumer.run(
        example(root, "comment.yml"),
        event="workflow_run",
        env=job,
        secrets={"GITHUB_TOKEN": TOKEN},
        options=(*options, *event(tmp_path, done)),
    )

    assert (["mlflow-uv lock-requirement-added", "mlflow-uv target-folder"], True) == (
        sorted(found.title for found in checked.of("error")),
        commented.ok,
    ), checked.log + commented.log
    (body,) = github.bodies(3)
    assert "### 1 lock is out of date; 1 package changed (1 added), 1 of them served\n" in body
    assert "\n```\nuv lock\n```\n" in body
    assert "| &#43; | <code>yeast</code> |  | 1.0 |" in body
