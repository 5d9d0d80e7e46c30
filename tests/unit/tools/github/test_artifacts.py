"""An artifact counts only if a run of the default branch uploaded it, whatever a pull request uploads."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.github.api import GithubApi
from mlflow_uv.tools.github.artifacts import PERMISSION, Artifacts, NoSuchFile, RunArtifact
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.web import Web
from tests.github_api import OWN, REPOSITORY, TOKEN, FakeGithub, fake_github

NAME = "mlflow-uv-champion-0123"
FILES = {"description.json": b"{}"}


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    """The API."""
    with fake_github() as started:
        yield started


def artifacts(github: FakeGithub, token: str = TOKEN) -> Artifacts:
    """The artifacts, for the token of a job."""
    variables = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": token}
    return Artifacts(GithubApi(Web({}), SystemClock(), variables, permission=PERMISSION))


@pytest.mark.parametrize("event", ["push", "schedule", "workflow_dispatch"])
def test_the_newest_of_the_default_branch_is_found_and_read(github: FakeGithub, event: str) -> None:
    """
    Not an older one, and not one of another name.
    """
    github.hand_over(NAME, {"description.json": b"old"})
    run = github.hand_over(NAME, {"description.json": b"new"}, event=event)
    github.hand_over("another", FILES)

    newest = artifacts(github).newest_of_default_branch(NAME)

    assert newest == RunArtifact(id=301, run=run, branch="main")
    assert b"new" == artifacts(github).file(newest, "description.json", limit=3)


@pytest.mark.parametrize(
    "forged",
    [
        {"event": "pull_request"},
        {"event": "pull_request", "repository": 7},
        {"event": "pull_request_target"},
        {"event": "workflow_run"},
        {"event": "issue_comment"},
        {"branch": "topic"},
        {"repository": 7},
        {"expired": True},
    ],
    ids=str,
)
def test_what_a_pull_request_uploads_is_not_the_champion(github: FakeGithub, forged: dict[str, Any]) -> None:
    """
    Also under the name of the default branch, from a fork whose branch has that name; the older one counts.
    """
    github.hand_over(NAME, {"description.json": b"forged"}, **forged)
    none = artifacts(github).newest_of_default_branch(NAME)
    github.hand_over(NAME, {"description.json": b"true"})
    github.hand_over(NAME, {"description.json": b"forged"}, **forged)

    newest = artifacts(github).newest_of_default_branch(NAME)

    assert none is None
    assert newest is not None
    assert b"true" == artifacts(github).file(newest, "description.json", limit=9)


def test_the_run_is_asked_and_the_list_alone_is_not_believed(github: FakeGithub) -> None:
    """
    The list does not have the event, and its run may be gone.
    """
    first = github.hand_over(NAME, FILES)
    github.runs[first] |= {"head_repository": None}
    second = github.hand_over(NAME, FILES)
    del github.runs[second]
    third = github.hand_over(NAME, FILES)
    github.runs[third] |= {"repository": {"id": OWN + 1}}

    assert artifacts(github).newest_of_default_branch(NAME) is None


def test_hundreds_of_forged_artifacts_do_not_hide_the_true_one(github: FakeGithub) -> None:
    """
    A fork may upload many: those of other repositories cost no request each.
    """
    run = github.hand_over(NAME, FILES)
    for _ in range(450):
        github.hand_over(NAME, {}, event="pull_request", repository=7)

    newest = artifacts(github).newest_of_default_branch(NAME)

    assert (run, 7) == (newest and newest.run, len(github.requests))


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        ({"other.json": b"{}"}, "no readable file `description.json`"),
        ({}, "no readable file `description.json`"),
        ({"../description.json": b"{}"}, "no readable file `description.json`"),
        ({"description.json": b"x" * 10_000_000}, "larger than 100 bytes"),
        (b"PK\x03\x04 no archive", "no readable file `description.json`"),
    ],
    ids=["another", "none", "outside", "megabytes", "broken"],
)
def test_an_archive_without_the_file_is_refused(github: FakeGithub, archive: Any, reason: str) -> None:
    """
    Ten megabytes that are some kilobytes in the archive, too: no more is unpacked than is allowed.
    """
    github.hand_over(NAME, archive if isinstance(archive, dict) else {})
    if isinstance(archive, bytes):
        github.archives[300] = archive
    newest = artifacts(github).newest_of_default_branch(NAME)
    assert newest is not None

    with pytest.raises(NoSuchFile, match=reason):
        artifacts(github).file(newest, "description.json", limit=100)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("damaged", [False, True])
def test_only_what_is_compressed_as_by_github_is_unpacked(github: FakeGithub, method: int, *, damaged: bool) -> None:
    """
    Other methods have errors and needs of memory of their own.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("description.json", b"{}" * 500)
    data = bytearray(packed.getvalue())
    data[50] ^= 0xFF if damaged else 0  # in what is compressed
    github.hand_over(NAME, FILES)
    github.archives[300] = bytes(data)
    newest = artifacts(github).newest_of_default_branch(NAME)
    assert newest is not None

    with pytest.raises(NoSuchFile, match="no readable file"):
        artifacts(github).file(newest, "description.json", limit=2000)


def test_a_token_that_may_not_read_is_told_what_it_needs(github: FakeGithub) -> None:
    """
    Also for the archive, which may be gone.
    """
    github.hand_over(NAME, FILES)
    newest = artifacts(github).newest_of_default_branch(NAME)
    assert newest is not None
    github.failures.append(403)

    with pytest.raises(ToolFailed) as refused:
        artifacts(github).newest_of_default_branch(NAME)
    github.failures.append(404)
    with pytest.raises(ToolFailed) as gone:
        artifacts(github).file(newest, "description.json", limit=100)

    assert all("actions: read" in error.value.fix for error in (refused, gone))


@pytest.mark.parametrize("reply", [None, {}, {"id": "1", "default_branch": "main"}], ids=str)
def test_a_response_of_another_kind_is_an_error(github: FakeGithub, reply: Any) -> None:
    """
    Never a champion.
    """
    github.answer = lambda *_: (200, reply)  # type: ignore[method-assign]  # for this test

    with pytest.raises(ToolFailed, match="unexpected response"):
        artifacts(github).newest_of_default_branch(NAME)
