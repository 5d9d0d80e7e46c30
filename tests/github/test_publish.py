"""The workflow that publishes this project's own releases, from a pushed tag to the tag of the major version."""

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests import checkout
from tests.github.act import OWNER, Consumer, Run
from tests.github.other_actions import attesting, setup_python
from tests.house.files import ROOT
from tests.registries import PASSWORD

pytestmark = pytest.mark.extended
WORKFLOW = (ROOT / ".github/workflows/publish.yml").read_text()
TAG, COMMIT = "v1.2.3", "refs/tags/v1.2.3"
CHANGES = """# Changes

## Unreleased

## 1.2.3 (2026-11-28)

- Red, with `code`, **bold** and $PATH.

- White.

## 1.2.2

- Not again.
"""
# In place of the tests, which run here anyway: with which words they were started.
TESTS = """#!/usr/bin/env bash
echo "tests started with '$*'"
"""


@dataclass(frozen=True)
class Publisher:
    """A clone of this project, GitHub with two releases of it, and what was attested."""

    consumer: Consumer
    github: Path
    options: tuple[str, ...]

    def push(self, changes: str = CHANGES, prepared: Callable[[Path], object] = lambda _: None) -> Run:
        """Commit a version with its changes, tag the commit, push both, and run the workflow for the tag."""

        def committed(folder: Path) -> None:
            checkout.git(folder, "tag", TAG)
            checkout.git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
            prepared(folder)
            checkout.git(folder, "push", "--quiet", "--tags", str(self.github / "repository.git"))

        return self.consumer.run(
            WORKFLOW, files={"CHANGELOG.md": changes}, secrets={"GITHUB_TOKEN": PASSWORD}, committed=committed,
            payload={"ref": COMMIT}, options=self.options,
        )  # fmt: skip

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags on GitHub with their commits."""
        lines = checkout.git(self.github / "repository.git", "show-ref", "--tags").splitlines()
        return {name.removeprefix("refs/tags/"): commit for commit, name in map(str.split, lines)}

    @property
    def releases(self) -> Mapping[str, Mapping[str, Any]]:
        """The releases on GitHub."""
        return {path.stem: json.loads(path.read_text()) for path in (self.github / "releases").glob("*.json")}

    @property
    def attested(self) -> list[str]:
        """The digests that were attested."""
        file = self.github / "attested"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def publisher(consumer: Consumer, tmp_path: Path, actions: tuple[str, ...]) -> Publisher:
    """A clone of this project at 1.2.2, of which v1.2.2 and v2.0.0 are published, with v1 at the former."""
    github = tmp_path / "github"
    (github / "releases").mkdir(parents=True)
    for tag in ("v1.2.2", "v2.0.0"):
        (github / "releases" / f"{tag}.json").write_text("{}")
    (github / "token").write_text(PASSWORD)
    program = Path(shutil.copy(ROOT / "tests/stand_ins/gh.py", github / "gh"))
    program.chmod(0o755)
    shutil.rmtree(consumer.folder)
    folder = checkout.materialise(consumer.folder)
    for name in ("pyproject.toml", "src/mlflow_uv/__init__.py"):
        path = folder / name
        path.write_text(re.sub(r'^((?:__)?version(?:__)? = )".*"$', r'\1"1.2.3"', path.read_text(), flags=re.MULTILINE))
    (folder / "bin" / "test").write_text(TESTS)
    checkout.repository(folder)
    checkout.git(folder, "remote", "add", "origin", f"https://github.com/{OWNER}/mlflow-uv-action.git")
    for tag in ("v1", "v1.2.2", "v2", "v2.0.0"):
        checkout.git(folder, "tag", tag)
    checkout.git(folder, "init", "--quiet", "--bare", str(github / "repository.git"))
    checkout.git(folder, "push", "--quiet", "--tags", str(github / "repository.git"))
    options = (*actions, *setup_python(tmp_path), *attesting(tmp_path, github / "attested"))
    return Publisher(replace(consumer, programs=(*consumer.programs, program)), github, options)


@pytest.mark.parametrize("first", [False, True], ids=["a later version", "the first of its major version"])
def test_a_tag_becomes_a_release_and_its_major_version_follows(
    publisher: Publisher, tmp_path: Path, *, first: bool
) -> None:
    """
    With its changes alone as text, and an archive of the commit that was attested; no other tag moves.
    """
    if first:
        checkout.git(publisher.github / "repository.git", "update-ref", "-d", "refs/tags/v1")
    before = publisher.tags

    run = publisher.push()

    assert run.ok, run.log
    assert "tests started with 'tests/house --numprocesses=auto'" in run.log
    commit = checkout.git(publisher.consumer.folder, "rev-parse", "HEAD")
    assert {**before, TAG: commit, "v1": commit} == publisher.tags
    release = publisher.releases[TAG]
    text = "- Red, with `code`, **bold** and $PATH.\n\n- White.\n"
    assert (TAG, text, publisher.attested) == (release["title"], release["notes"], list(release["assets"].values()))
    archive = f"mlflow-uv-action-{TAG}"
    assert [f"{archive}.tar.gz"] == list(release["assets"])
    (dist,) = (tmp_path / "artifacts").iterdir()
    with tarfile.open(dist / f"{archive}.tar.gz") as packed:
        files = sorted(member.name for member in packed.getmembers() if not member.isdir())
    listed = checkout.git(publisher.consumer.folder, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert sorted(f"{archive}/{name}" for name in listed) == files


def elsewhere(folder: Path) -> None:
    """The tag is at a commit that the default branch does not have."""
    checkout.git(folder, "update-ref", "refs/remotes/origin/main", "v1.2.2")


def newer(folder: Path) -> None:
    """A later version is published."""
    checkout.git(folder, "tag", "v1.10.0")


@pytest.mark.parametrize(
    ("changes", "prepared", "why"),
    [
        (CHANGES.replace("## 1.2.3 (2026-11-28)\n", ""), lambda _: None, "CHANGELOG.md has nothing below `## 1.2.3`"),
        (CHANGES, elsewhere, f"{TAG} is no commit of origin/main"),
        (CHANGES, newer, "v1.10.0 is published, and newer than v1.2.3"),
    ],
    ids=["no section", "another branch", "older"],
)
def test_a_tag_that_does_not_fit_publishes_nothing(
    publisher: Publisher, changes: str, prepared: Callable[[Path], object], why: str
) -> None:
    """
    Nothing is attested, and GitHub is asked for nothing.
    """
    run = publisher.push(changes, prepared)

    assert (False, True) == (run.ok, why in run.log), run.log
    assert ([], False, {"v1.2.2", "v2.0.0"}) == (
        publisher.attested,
        (publisher.github / "calls").exists(),
        set(publisher.releases),
    )
    assert publisher.tags["v1"] == publisher.tags["v1.2.2"]


def test_a_release_that_exists_is_not_published_again(publisher: Publisher) -> None:
    """
    Neither its text nor its files change, and the tag of the major version stays.
    """
    (publisher.github / "releases" / f"{TAG}.json").write_text('{"title": "the first one"}')

    run = publisher.push()

    assert (False, True) == (run.ok, f"already exists: {TAG}" in run.log), run.log
    assert {"title": "the first one"} == publisher.releases[TAG]
    assert publisher.tags["v1"] == publisher.tags["v1.2.2"]


def test_the_tag_of_a_release_cannot_be_moved(publisher: Publisher) -> None:
    """
    GitHub refuses it, so that a major version with a release, by mistake, ends the workflow after its release.
    """
    (publisher.github / "releases" / "v1.json").write_text("{}")

    run = publisher.push()

    assert (False, True) == (run.ok, "v1 has an immutable release" in run.log), run.log
    assert {"v1", "v1.2.2", TAG, "v2.0.0"} == set(publisher.releases)
    assert publisher.tags["v1"] == publisher.tags["v1.2.2"]
