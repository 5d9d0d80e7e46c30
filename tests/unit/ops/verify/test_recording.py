"""Tests which record gets the results of verify, and when none does."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken, StoreUnreachable
from mlflow_uv.command.host import Host
from mlflow_uv.core.release.record import Record
from mlflow_uv.core.verify.results import Verdict, WayResult
from mlflow_uv.ops.lineage.publication import record_artifact
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.verify.recording import record_in, record_results
from mlflow_uv.payloads.messages.registry import RegisteredVersion, TagRecord
from mlflow_uv.payloads.messages.tags import RECORD_DIGEST
from mlflow_uv.tools.mlflow.errors import NotInStore
from mlflow_uv.tools.mlflow.records import Records
from tests.messages import VERSION
from tests.unit.core.release.test_record import BARE, IMAGE, OTHER_IMAGE, WAY, WHOLE

RESULT = WayResult(way="uv-load", verdict=Verdict.EQUAL, requests=1)
SUBJECT = "wine version 7"


@dataclass
class Store:
    """A registry with version 7 of wine, and the artifacts of its run."""

    folder: Path
    tag: str = WHOLE.sha256
    refuses: bool = False
    artifacts: dict[str, str] = field(default_factory=dict)
    others: list[Record] = field(default_factory=list)  # what another machine writes before this one can

    def __post_init__(self) -> None:
        host = Host.of({"MLFLOW_UV_HOME": str(self.folder / "home")}, folder=self.folder, python=Path(sys.executable))
        self.host, self.records = host, Records(host)
        self.store = SimpleNamespace(uri="http://127.0.0.1:9")
        self.on_message: Callable[[str], None] = lambda _: None

    @property
    def registry(self) -> RegistryClient:
        """A client of it."""
        return cast(
            "RegistryClient",
            SimpleNamespace(
                client=self,
                tools=SimpleNamespace(
                    records=self.records, host=self.host, console=SimpleNamespace(say=self.on_message)
                ),
            ),
        )

    @property
    def artifact(self) -> str:
        """The usual path of the record in the run."""
        return record_artifact("m-1", "wine", "7")

    def write(self, name: str, record: Record) -> Path:
        """A file with a record."""
        self.records.save(self.folder / name, record)
        return self.folder / name

    def add(self, record: Record) -> None:
        """Let the run have a record."""
        self.artifacts[self.artifact] = self.write("artifact.json", record).read_text()

    def describe_version(self, _name: str, _version: str) -> RegisteredVersion:
        """See StoreClient."""
        return replace(VERSION, name="wine", version="7", model_id="m-1", run_id="r", tags={RECORD_DIGEST: self.tag})

    def download_record(self, _run_id: str, *, path: str, destination: Path) -> None:
        """See StoreClient."""
        if path not in self.artifacts:
            raise NotInStore(what="no such artifact")
        destination.write_text(self.artifacts[path])

    def log_record(self, _run_id: str, *, file: Path, path: str) -> None:
        """See StoreClient."""
        if self.refuses:
            raise StoreUnreachable(what="the server denies access", why="403")
        self.artifacts[path] = file.read_text()

    def tag_record(self, request: TagRecord) -> str:
        """See StoreClient."""
        for other in self.others[:1]:
            self.others.remove(other)
            self.add(other)
            self.tag = other.sha256
        if self.tag == request.replaces:
            self.tag = request.tags[RECORD_DIGEST]
        return self.tag

    def recorded(self, *files: Path, results: tuple[WayResult, ...] = (RESULT,)) -> list[str]:
        """Add results; return the reasons why they were not added."""
        (self.folder / "scratch").mkdir(exist_ok=True)
        subject = SimpleNamespace(name="wine", version="7", shown=SUBJECT, model=self.folder / "scratch" / "model")
        return [finding.why for finding in record_results(results, cast("Any", subject), files, self.registry)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A registry whose run has no record."""
    return Store(folder=tmp_path)


def test_results_are_added_to_the_record_in_the_run_and_in_the_file(store: Store) -> None:
    """
    All are the one whose digest the registry has; earlier results of other ways are kept.
    """
    store.add(WHOLE)
    file, copy = store.write("record.json", WHOLE), store.write("copy.json", WHOLE)

    found = store.recorded(file, copy, file)

    record = store.records.load(file)
    assert record.verification is not None
    assert ([], ["image", "locked-load", "uv-load"]) == (found, [link.way for link in record.verification.ways])
    assert (IMAGE, WAY) == record.verification.ways[:2]
    assert record.sha256 == store.tag
    destination = store.folder / "found.json"
    store.download_record("r", path=store.artifact, destination=destination)
    assert [record] * 2 == [store.records.load(destination), store.records.load(copy)]


def test_a_file_of_another_version_stays(store: Store) -> None:
    """
    The project released another one since.
    """
    store.add(WHOLE)
    other = replace(WHOLE, release_key="other")
    file = store.write("record.json", other)

    found = store.recorded(file)

    assert ([], other) == (found, store.records.load(file))
    assert WHOLE.sha256 != store.tag


def test_results_about_another_model_are_dropped(store: Store) -> None:
    """
    A new result begins the link again.
    """
    assert WHOLE.verification is not None
    stale = replace(WHOLE, verification=replace(WHOLE.verification, model="5" * 64))
    store.tag = stale.sha256
    file = store.write("record.json", stale)

    store.recorded(file)

    record = store.records.load(file)
    assert record.verification is not None
    assert (["uv-load"], "4" * 64, "") == (
        [link.way for link in record.verification.ways], record.verification.model, record.verification.image,
    )  # fmt: skip


def test_results_in_an_image_stay_about_that_image_if_the_record_has_none_yet(store: Store) -> None:
    """
    A release that runs again is verified before its image is built; another image then has no result.
    """
    again = replace(WHOLE, image=None)
    store.tag = again.sha256
    file = store.write("record.json", again)

    store.recorded(file)

    record = store.records.load(file)
    assert record.verification is not None
    assert "sha256:5" == record.verification.image
    rebuilt = record.with_image(OTHER_IMAGE).verification
    assert rebuilt is not None
    assert ["locked-load", "uv-load"] == [link.way for link in rebuilt.ways]


@pytest.mark.parametrize(
    ("record", "tag", "refuses", "why"),
    [
        (None, WHOLE.sha256, False, "its run has no release record"),
        (WHOLE, "other", False, "its release record is not the published one"),
        (WHOLE, WHOLE.sha256, True, "the server denies access: 403"),
    ],
)
def test_results_that_cannot_be_recorded_are_a_warning(
    store: Store, record: Record | None, tag: str, why: str, *, refuses: bool
) -> None:
    """
    The step has its result all the same; nothing is changed.
    """
    store.tag, store.refuses = tag, refuses
    if record is not None:
        store.add(record)

    found = store.recorded(store.folder / "none.json")

    assert ([why], tag) == (found, store.tag)


def test_a_record_in_a_file_must_be_the_published_one(store: Store) -> None:
    """
    One that was edited or published since is refused, and so is one without a version.
    """
    same = record_in(store.write("same.json", WHOLE), store.registry)
    with pytest.raises(ChainBroken, match="record"):
        record_in(store.write("edited.json", replace(WHOLE, release_key="edited")), store.registry)
    with pytest.raises(BadInput, match="has no version"):
        record_in(store.write("bare.json", BARE), store.registry)

    assert WHOLE == same


@pytest.mark.parametrize(("tested", "kept"), [("sha256:5", ["image", "uv-load"]), ("sha256:before", ["uv-load"])])
def test_results_of_an_image_that_was_built_again_meanwhile_are_left_out(
    store: Store, tested: str, kept: list[str]
) -> None:
    """
    The record names the new image by then, which nobody asked.
    """
    record = replace(WHOLE, verification=None)
    store.tag = record.sha256
    file = store.write("record.json", record)

    found = store.recorded(file, results=(RESULT, replace(RESULT, way="image", image=tested)))

    link = store.records.load(file).verification
    assert link is not None
    assert (kept, "sha256:5" if "image" in kept else "") == (sorted(way.way for way in link.ways), link.image)
    assert ([] if "image" in kept else ["its image changed while it was tested by `image`"]) == found
