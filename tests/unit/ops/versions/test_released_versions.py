"""A released version is compared with the champion of the default branch, and with nothing that it brings itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.version_difference.description import champion_artifact
from mlflow_uv.core.version_difference.document import LIMIT, description_document
from mlflow_uv.ops.versions.released_versions import MOST_VERSIONS, compared_with_champion, released_in
from mlflow_uv.tools.github.api import GithubApi
from mlflow_uv.tools.github.artifacts import PERMISSION, Artifacts
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.web import Web
from tests.github_api import REPOSITORY, TOKEN, FakeGithub, fake_github
from tests.unit.core.version_difference.descriptions import CHAMPION, VERSION

NAME = champion_artifact("wine")
FILES = {"description.json": description_document(CHAMPION)}


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    """The API."""
    with fake_github() as started:
        yield started


@pytest.fixture
def artifacts(github: FakeGithub) -> Artifacts:
    """The artifacts of the repository."""
    variables = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": TOKEN}
    return Artifacts(GithubApi(Web({}), SystemClock(), variables, permission=PERMISSION))


def put(folder: Path, name: str, content: bytes) -> Path:
    """An artifact with a description, in a folder of its own."""
    (folder / name).mkdir(parents=True)
    (folder / name / "description.json").write_bytes(content)
    return folder / name


def test_every_folder_has_a_version_and_other_files_are_left_alone(tmp_path: Path) -> None:
    """
    By the names of the models; a champion beside a description is none, and a missing folder has no version.
    """
    put(tmp_path, "mlflow-uv-release-1", description_document(replace(VERSION, model_name="yeast")))
    place = put(tmp_path, "mlflow-uv-release-2", description_document(VERSION))
    (place / "champion.json").write_bytes(description_document(CHAMPION))
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(place)

    assert ["wine", "yeast"] == [version.model_name for version in released_in(tmp_path)]
    assert ((), ()) == (released_in(tmp_path / "missing"), released_in(None))
    assert (VERSION,) == released_in(place)


@pytest.mark.parametrize(
    "content",
    [b"{}", b"::error::x\n", b"[" * 100_000, b" " * 10_000_000, json.dumps({"schema": "other/1"}).encode()],
    ids=["no schema", "a command", "deep", "ten megabytes", "another schema"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    """
    All of it: nothing is posted about the other versions either.
    """
    put(tmp_path, "a", description_document(VERSION))
    put(tmp_path, "b", content)

    with pytest.raises(BadInput, match=r"description.json"):
        released_in(tmp_path)


def test_a_link_is_not_read(tmp_path: Path) -> None:
    """
    It could lead to a file of the runner.
    """
    secret = tmp_path / "secret.json"
    secret.write_bytes(description_document(VERSION))
    (tmp_path / "artifacts" / "a").mkdir(parents=True)
    (tmp_path / "artifacts" / "a" / "description.json").symlink_to(secret)

    with pytest.raises(BadInput, match="is not read"):
        released_in(tmp_path / "artifacts")


def test_more_versions_than_a_comment_compares_are_refused(tmp_path: Path) -> None:
    """
    Each of them costs requests.
    """
    for at in range(MOST_VERSIONS + 1):
        put(tmp_path, str(at), description_document(VERSION))

    with pytest.raises(BadInput, match=f"has {MOST_VERSIONS + 1} descriptions"):
        released_in(tmp_path)


def test_a_version_is_compared_with_the_champion_that_was_described_last(
    github: FakeGithub, artifacts: Artifacts
) -> None:
    """
    With the run that described it.
    """
    github.hand_over(NAME, {"description.json": description_document(replace(CHAMPION, version="2"))})
    run = github.hand_over(NAME, FILES)

    released = compared_with_champion(VERSION, artifacts)

    assert (CHAMPION, None) == (released.comparison.champion, released.finding)
    assert f"champion: version 3 from <code>ccccccc</code>, as run {run} of <code>main</code> described it" in (
        released.parts[0].text
    )


def test_a_champion_that_a_pull_request_handed_over_is_not_believed(github: FakeGithub, artifacts: Artifacts) -> None:
    """
    There is a part of the comment all the same, and it says what is missing; an expired artifact is none either.
    """
    github.hand_over(NAME, FILES, expired=True)
    github.hand_over(NAME, FILES, event="pull_request", repository=7)
    github.hand_over(NAME, FILES, event="pull_request", branch="main")

    released = compared_with_champion(VERSION, artifacts)

    assert (None, None) == (released.comparison.champion, released.finding)
    assert "`wine` passed its smoke test; nothing to compare with yet" == released.comparison.verdict
    text = "".join(part.text for part in released.parts)
    assert (
        "\nNothing to compare with yet: no run of the default branch has handed over the description of a champion of"
        " <code>wine</code>, or its artifact expired; <code>release.yml</code> with <code>share-champion: true</code>"
        " does so once there is a champion.\n"
    ) in text
    assert "0.97" not in text


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "the artifact has no readable file `description.json`"),
        ({"description.json": b"{}"}, "what run 700 handed over is not one: its schema is not"),
        ({"description.json": b" " * (LIMIT + 1)}, f"it is larger than {LIMIT} bytes"),
        (
            {"description.json": description_document(replace(CHAMPION, model_name="yeast"))},
            "what run 700 handed over is about `yeast`",
        ),
    ],
    ids=["none", "another", "large", "another model"],
)
def test_a_champion_that_cannot_be_read_is_said_and_warned_of(
    github: FakeGithub, artifacts: Artifacts, files: dict[str, bytes], why: str
) -> None:
    """
    A comment without a comparison is better than none.
    """
    github.hand_over(NAME, files)

    released = compared_with_champion(VERSION, artifacts)

    assert released.finding is not None
    assert why in released.finding.why
    assert released.comparison.verdict == "`wine` passed its smoke test; not compared"
    assert "\nNot compared: the description of the champion cannot be read, because " in "".join(
        part.text for part in released.parts
    )


def test_a_token_that_may_not_read_artifacts_leaves_a_comment(github: FakeGithub, artifacts: Artifacts) -> None:
    """
    The finding has the permission that is missing.
    """
    github.failures.append(403)

    released = compared_with_champion(VERSION, artifacts)

    assert released.finding is not None
    assert released.finding.why.startswith("GitHub's API refused a request: GET ")
    assert "actions: read" in released.finding.fix
    assert released.comparison.champion is None
