"""Tests which record counts after a step was killed while it published one."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import StoreUnreachable, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.release.record import Record
from mlflow_uv.ops.lineage.audit import RecordUnreadable, readable_record_of, record_of
from mlflow_uv.ops.lineage.publication import RecordChange, publish_again, record_artifact, settled
from mlflow_uv.payloads.messages.registry import RegisteredVersion, TagRecord
from mlflow_uv.payloads.messages.tags import RECORD_DIGEST
from mlflow_uv.tools.mlflow.errors import NotInStore
from mlflow_uv.tools.mlflow.records import Records
from mlflow_uv.tools.mlflow.store_client import StoreClient
from tests.messages import VERSION
from tests.unit.core.release.test_record import WHOLE

NEWER = replace(WHOLE, alias=None)


@dataclass(frozen=True)
class Registry:
    """A registry that has one digest, or fails."""

    answer: Callable[[], str]

    def describe_version(self, *_: object) -> RegisteredVersion:
        """Describe whatever it is asked about."""
        return replace(VERSION, tags={RECORD_DIGEST: self.answer()})


@dataclass(frozen=True)
class Machine:
    """The tools that a publication uses."""

    records: Records


def machine(folder: Path, staged: Record) -> tuple[Any, Path]:
    """Tools over a record file with another record staged for it."""
    host = Host.of({"MLFLOW_UV_HOME": str(folder / "home")}, folder=folder, python=Path(sys.executable))
    records, path = Records(host), folder / "record.json"
    records.save(path, WHOLE)
    records.stage(path, staged)
    return Machine(records), path


def registry(answer: Callable[[], str]) -> StoreClient:
    """A client of a registry that answers so."""
    return cast("StoreClient", Registry(answer))


def missing() -> str:
    """Say that the version is gone."""
    raise ToolFailed(what="the tracking server has no such object", why="version 77")


@pytest.mark.parametrize(
    ("answer", "staged", "counts"),
    [
        (lambda: NEWER.sha256, NEWER, NEWER),
        (lambda: WHOLE.sha256, NEWER, WHOLE),
        (missing, NEWER, WHOLE),
        (
            lambda: replace(NEWER, model=replace(NEWER.model, model_id="m-other")).sha256,
            replace(NEWER, model=replace(NEWER.model, model_id="m-other")),
            WHOLE,
        ),
    ],
    ids=["tagged", "not tagged", "its version is gone", "of another model"],
)
def test_a_staged_record_counts_if_the_registry_has_its_digest(
    tmp_path: Path, answer: Callable[[], str], staged: Record, counts: Record
) -> None:
    """
    Then it is in the file; else the file stays, and in either case nothing is staged any more.
    """
    tools, path = machine(tmp_path, staged)

    found = settled(WHOLE, path, registry(answer), tools)

    assert (counts, counts, None) == (found, tools.records.load(path), tools.records.staged(path))


def test_a_registry_that_does_not_answer_decides_nothing(tmp_path: Path) -> None:
    """
    The staged record is kept until somebody can tell.
    """

    def unreachable() -> str:
        raise StoreUnreachable(what="the tracking server does not answer", why="down")

    tools, path = machine(tmp_path, NEWER)

    with pytest.raises(StoreUnreachable):
        settled(WHOLE, path, registry(unreachable), tools)

    assert NEWER == tools.records.staged(path)


@dataclass
class Run:
    """A run that has artifacts, and a version with tags; an operation fails if a test says so."""

    fails_at: int
    done: list[str] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)
    tag: str = WHOLE.sha256

    def _step(self, name: str) -> None:
        self.done.append(name)
        if len(self.done) == self.fails_at:
            raise StoreUnreachable(what="gone")

    def log_record(self, _run_id: str, *, file: Path, path: str) -> None:
        """See StoreClient."""
        self._step("log")
        self.artifacts[path] = file.read_text()

    def tag_record(self, request: TagRecord) -> str:
        """See StoreClient."""
        self._step("tag")
        assert request.replaces == self.tag
        self.tag = request.tags[RECORD_DIGEST]
        return self.tag

    def download_record(self, _run_id: str, *, path: str, destination: Path) -> None:
        """See StoreClient."""
        if path not in self.artifacts:
            raise NotInStore(what="no such artifact")
        destination.write_text(self.artifacts[path])


@pytest.mark.parametrize(("fails_at", "counts"), [(1, WHOLE), (2, WHOLE), (3, NEWER), (4, NEWER)])
def test_a_publication_that_is_interrupted_leaves_a_record_with_the_digest_in_the_tag(
    tmp_path: Path, fails_at: int, counts: Record
) -> None:
    """
    Wherever it stops: the old one, or the new one.
    """
    run, (tools, path) = Run(fails_at=fails_at), machine(tmp_path, WHOLE)
    assert WHOLE.version is not None
    artifact = record_artifact(WHOLE.version.model_id, WHOLE.version.name, WHOLE.version.version)
    tools.records.save(tmp_path / "old.json", WHOLE)
    run.artifacts[artifact] = (tmp_path / "old.json").read_text()

    with suppress(StoreUnreachable):
        publish_again(RecordChange(before=WHOLE, after=NEWER), path, cast("StoreClient", run), tools)
    description = replace(
        VERSION, name=WHOLE.version.name, version=WHOLE.version.version, model_id=WHOLE.version.model_id, run_id="r",
        tags={RECORD_DIGEST: run.tag},
    )  # fmt: skip
    found = record_of(cast("Any", SimpleNamespace(client=run, tools=tools)), description, tmp_path / "found.json")

    assert (counts, counts.sha256) == (found, run.tag)
    assert ["log", "tag", "log"][: min(fails_at, 3)] == run.done


@pytest.mark.parametrize("content", ["", "{", '{"schema": 2}', "null"])
def test_a_record_that_cannot_be_read_is_not_called_absent(tmp_path: Path, content: str) -> None:
    """
    Somebody who damages it does not make its links disappear; a step that can do without has none.
    """
    run, (tools, _) = Run(fails_at=9), machine(tmp_path, WHOLE)
    registry = cast("Any", SimpleNamespace(client=run, tools=tools))
    description = replace(VERSION, model_id="m-1", run_id="r")
    artifact = record_artifact("m-1", description.name, description.version)

    absent = record_of(registry, description, tmp_path / "found.json")
    run.artifacts[artifact] = content

    with pytest.raises(RecordUnreadable, match="cannot be read"):
        record_of(registry, description, tmp_path / "found.json")
    assert (None, None) == (absent, readable_record_of(registry, description, tmp_path / "found.json"))
