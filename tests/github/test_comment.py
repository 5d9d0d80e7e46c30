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
from mlflow_uv.core.version_difference.description import MetricSet, champion_artifact
from mlflow_uv.core.version_difference.document import description_document, read_description
from tests import checkout, projects
from tests.github.act import Consumer, Run
from tests.github.other_actions import stand_ins
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github
from tests.unit.core.version_difference.descriptions import CHAMPION, VERSION

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


def second_workflow(consumer: Consumer, root: Path, github: FakeGithub, options: tuple[str, ...]) -> Run:
    """The workflow that GitHub starts after that of the fork, with the artifact that lies there."""
    run = {"id": 9, "event": "pull_request", "conclusion": "success", "head_sha": HEAD, "head_branch": "topic"}
    done = {"workflow_run": {**run, "head_repository": FORK}, "repository": {"full_name": REPOSITORY, "id": 1}}
    return consumer.run(
        example(root, "comment.yml"),
        event="workflow_run",
        env={"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY},
        secrets={"GITHUB_TOKEN": TOKEN},
        payload=done,
        options=options,
    )


@pytest.mark.extended
def test_a_fork_gets_a_comment_from_a_second_workflow(
    consumer: Consumer, root: Path, github: FakeGithub, options: tuple[str, ...]
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
        payload={"pull_request": pull},
        options=options,
    )
    commented = second_workflow(consumer, root, github, options)

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

RELEASED = replace(
    VERSION,
    model_name=NAME.replace("\u202e", ""),
    version=NAME.replace("\u202e", ""),
    pull_request=3,
    head_of_pull_request=HEAD,
    evaluation=MetricSet(metrics={NAME: 0.125}, data=("d" * 64,)),
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
    described = tmp_path / "artifacts" / "mlflow-uv-release-1" / "description.json"
    forged = json.loads(description_document(RELEASED))
    hostile_releases: dict[str, bytes | Path | None] = {
        "a release of another pull request": description_document(replace(RELEASED, pull_request=4)),
        "a release with a link": secret,
        "a release of megabytes": b" " * 10_000_000 + description_document(RELEASED),
        "a release with a command": b"::error::x\n",
        "a release with a champion": json.dumps({**forged, "champion": forged}).encode(),
        "a release of another schema": comparison_document(COMPARISON),
        "a release with numbers that are none": json.dumps(forged).replace("0.125", "Infinity").encode(),
        "a release with a name that turns": json.dumps({**forged, "model_name": "wine\u202egnp"}).encode(),
    }

    runs = {}
    for name, content in hostile.items():
        put(place, content)
        runs[name] = second_workflow(consumer, root, github, options)
    put(place, comparison_document(COMPARISON))
    for name, content in hostile_releases.items():
        put(described, content)
        runs[name] = second_workflow(consumer, root, github, options)
    written = list(github.written)
    put(described, description_document(RELEASED))
    put(described.with_name("champion.json"), description_document(replace(RELEASED, version="666")))
    champion = {"description.json": description_document(replace(CHAMPION, version="666"))}
    github.hand_over(champion_artifact(RELEASED.model_name), champion, event="pull_request", repository=7)
    run = second_workflow(consumer, root, github, options)

    refused = {**hostile, **hostile_releases}
    assert (dict.fromkeys(refused, False), []) == ({name: run.ok for name, run in runs.items()}, written)
    assert all("x" != found.message for run in runs.values() for found in run.annotations)
    (body,) = github.bodies(3)
    assert (True, [], 1) == (run.ok, github.bodies(4), body.count(MARKER)), run.log
    assert ("nothing to compare with yet" in body, "666" in body, "0.125" in body) == (True, False, True)
    assert [] == [part for part in ("<img", "](https", "@octocat", "**now", "\u202e", TOKEN) if part in body]
    assert TOKEN not in "".join(run.log + run.summary for run in (*runs.values(), run))


@pytest.mark.engine
@pytest.mark.extended
def test_a_fork_that_changes_the_code_gets_a_comment_about_its_release(
    wine: Consumer, root: Path, tmp_path: Path, github: FakeGithub, options: tuple[str, ...]
) -> None:
    """
    Without a changed lock: released on the runner of the fork, compared with what the default branch handed over.
    """
    base = checkout.repository(wine.folder)
    pull = {
        "number": 3,
        "head": {"sha": HEAD, "repo": FORK},
        "base": {"sha": base, "repo": {"full_name": REPOSITORY, "id": 1}},
    }
    training = wine.folder / "train.py"
    training.write_text(training.read_text() + "\n# another program\n")
    workflow = example(root, "check.yml").replace(
        "    with:\n", "    with:\n      release: true\n      evaluate: true\n"
    )

    checked = wine.run(workflow, event="pull_request", payload={"pull_request": pull}, options=options)
    (file,) = (tmp_path / "artifacts").glob("mlflow-uv-release-*/description.json")
    alone = second_workflow(wine, root, github, options)
    (first,) = github.bodies(3)
    released = read_description(file.read_bytes())
    answer, *others = released.answers
    assert released.evaluation is not None
    other = replace(answer, sha256="0" * 64, answer={"predictions": [-1]})
    metrics = {**released.evaluation.metrics, "accuracy_score": 0.5}
    champion = replace(
        released,
        version="7",
        pull_request=0,
        head_of_pull_request="",
        answers=(other, *others),
        evaluation=replace(released.evaluation, metrics=metrics),
    )
    github.hand_over(champion_artifact("wine"), {"description.json": description_document(champion)})
    compared = second_workflow(wine, root, github, options)

    assert (True, True, True) == (checked.ok, alone.ok, compared.ok), checked.log[-4000:] + compared.log[-4000:]
    assert ("tested", "image", 3) == (released.state, released.served_by, released.pull_request)
    assert "### <code>wine</code> passed its smoke test; nothing to compare with yet\n" in first
    (body,) = github.bodies(3)
    count = len(released.answers)
    assert f" of the evaluation and 1 of {count} answers differ from the champion, version 7\n" in body
    assert "| accuracy&#95;score | 0.977778 | 0.5 | ↑ +0.477778 |" in body
    assert "recorded request 1" in body
