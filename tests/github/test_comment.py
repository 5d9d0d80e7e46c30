"""The comment on a pull request, from the check of a fork to the second workflow, as the examples have them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse
from mlflow_uv.core.lock_difference.comment import MARKER
from mlflow_uv.core.lock_difference.comparison import LockChange, LockComparison, RepositoryComparison
from mlflow_uv.core.lock_difference.document import comparison_document
from tests import checkout, projects
from tests.github.act import Consumer, Run
from tests.github.other_actions import stand_ins
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github

HEAD = "b" * 40
FORK = {"full_name": "fork/wine", "id": 7}


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


def second_workflow(consumer: Consumer, root: Path, folder: Path, github: FakeGithub, options: tuple[str, ...]) -> Run:
    """The workflow that GitHub starts after that of the fork, with the artifact that lies there."""
    run = {"id": 9, "event": "pull_request", "conclusion": "success", "head_sha": HEAD, "head_branch": "topic"}
    done = {"workflow_run": {**run, "head_repository": FORK}, "repository": {"full_name": REPOSITORY, "id": 1}}
    return consumer.run(
        example(root, "comment.yml"),
        event="workflow_run",
        env={"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY},
        secrets={"GITHUB_TOKEN": TOKEN},
        options=(*options, *event(folder, done)),
    )


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
    pull = {
        "number": 3,
        "head": {"sha": HEAD, "repo": FORK},
        "base": {"sha": base, "repo": {"full_name": REPOSITORY, "id": 1}},
    }

    checked = consumer.run(
        example(root, "check.yml"),
        event="pull_request",
        options=(*options, *event(tmp_path, {"pull_request": pull})),
    )
    commented = second_workflow(consumer, root, tmp_path, github, options)

    assert (["mlflow-uv lock-requirement-added", "mlflow-uv target-folder"], True) == (
        sorted(found.title for found in checked.of("error")),
        commented.ok,
    ), checked.log + commented.log
    (body,) = github.bodies(3)
    assert "### 1 lock is out of date; 1 package changed (1 added), 1 of them served\n" in body
    assert "\n```\nuv lock\n```\n" in body
    assert "| &#43; | <code>yeast</code> |  | 1.0 |" in body


# A folder of the fork: Markdown, HTML, a mention, the marker, an expression, a bidirectional control.
NAME = f"**now**<img src=x> [a](https://evil.example) @octocat `{MARKER}` ${{{{ github.token }}}} \u202egnp"
COMPARISON = RepositoryComparison(
    base="a" * 40,
    head="d" * 40,
    pull_request=3,
    head_of_pull_request=HEAD,
    locks=(
        LockComparison(
            path=f"{NAME}/uv.lock",
            change=LockChange.CHANGED,
            packages=(PackageChange(name="grape", kind=ChangeKind.ADDED, after="1", use=PackageUse.SERVED),),
        ),
    ),
)


def put(place: Path, content: bytes | Path | None) -> None:
    """Let the artifact of the fork have this file, a link to one, or none."""
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        place.symlink_to(content)
    elif content is not None:
        place.write_bytes(content)


@pytest.mark.extended
def test_a_hostile_file_of_a_fork_writes_nothing_but_its_own_comment(
    consumer: Consumer, root: Path, tmp_path: Path, github: FakeGithub, options: tuple[str, ...]
) -> None:
    """
    Another pull request, a link to a file of the runner, megabytes, a command for the runner and no file are refused.
    """
    github.open(4, HEAD, branch="another")
    place = tmp_path / "artifacts" / "mlflow-uv-comparison" / "comparison.json"
    secret = tmp_path / "secret.json"
    secret.write_bytes(comparison_document(COMPARISON))
    hostile: dict[str, bytes | Path | None] = {
        "another pull request": comparison_document(replace(COMPARISON, pull_request=4)),
        "a link": secret,
        "megabytes": b" " * 2_000_000 + comparison_document(COMPARISON),
        "a command": b"::set-output name=action::created\n::error::x\n",
        "deep": b"[" * 100_000,
        "none": None,
    }

    runs = {}
    for name, content in hostile.items():
        put(place, content)
        runs[name] = second_workflow(consumer, root, tmp_path, github, options)
    written = list(github.written)
    put(place, comparison_document(COMPARISON))
    run = second_workflow(consumer, root, tmp_path, github, options)

    assert (dict.fromkeys(hostile, False), []) == ({name: run.ok for name, run in runs.items()}, written)
    assert all("x" != found.message for run in runs.values() for found in run.annotations)
    (body,) = github.bodies(3)
    assert (True, [], 1) == (run.ok, github.bodies(4), body.count(MARKER)), run.log
    assert [] == [part for part in ("<img", "](https", "@octocat", "**now", "\u202e", TOKEN) if part in body]
    assert TOKEN not in "".join(run.log + run.summary for run in (*runs.values(), run))
