"""Contract: of two machines that change the record of one version at once, the second one is told of the first."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contracts.payload_worker import Worker

TAG = "mlflow-uv.record-sha256"


@dataclass(frozen=True, kw_only=True)
class Version:
    """Version 1 of a registered model."""

    worker: Worker
    name: str

    def digest(self) -> str:
        """The digest of its record in the registry."""
        return str(self.worker.ask("describe-version", name=self.name, version="1")["tags"][TAG])

    def changed(self, worker: Worker, before: str | None, after: str, **tags: str) -> str:
        """What a machine is told that replaces a record by another one."""
        request = {"name": self.name, "version": "1", "tags": {**tags, TAG: after}, "replaces": before}
        return str(worker.ask("tag-record", **request)["digest"])


def registered(worker: Worker, tmp_path: Path, *, tags: dict[str, str]) -> Version:
    """Version 1 of a new registered model, with these tags."""
    folder, name = tmp_path / "model", f"wine-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
    run = worker.ask("create-run", experiment="records", tags={}, run_name="ours")["run_id"]
    model = worker.ask("log-folder", folder=str(folder), name="tiny", run_id=run)["model_id"]
    asked = {"model_sha256": "d", "tags": tags, "description": "", "timeout_s": 30}
    worker.ask("find-or-create-version", name=name, model_id=model, **asked)
    return Version(worker=worker, name=name)


@pytest.fixture
def version(workers: tuple[Worker, Worker], tmp_path: Path) -> Version:
    """A version whose record is `first`."""
    return registered(workers[0], tmp_path, tags={TAG: "first"})


def test_of_two_machines_that_change_one_record_one_does(version: Version, workers: tuple[Worker, Worker]) -> None:
    """
    Both read `first`. Whoever comes second is told the digest of the other one, and changes nothing.
    """
    before, found = "first", []
    for turn in range(4):
        with ThreadPoolExecutor(2) as threads:
            asked = [
                threads.submit(version.changed, worker, before, f"{turn} of {at}") for at, worker in enumerate(workers)
            ]
        told = {one.result() for one in asked}
        found.append(told == {version.digest()})
        before = version.digest()

    assert [True] * 4 == found


def test_a_record_that_is_not_the_one_that_was_read_stays(version: Version, workers: tuple[Worker, Worker]) -> None:
    """
    With all other tags; a request that is repeated after its response was lost finds its own digest.
    """
    one, two = workers
    told = [
        version.changed(one, "first", "second", state="new"),
        version.changed(two, "first", "third", state="other"),
        version.changed(one, "first", "second", state="new"),
    ]

    tags = version.worker.ask("describe-version", name=version.name, version="1")["tags"]
    assert (["second"] * 3, "second", "new") == (told, tags[TAG], tags["state"])
    assert "fourth" == version.changed(two, "second", "fourth")


def test_of_two_machines_that_register_one_version_one_writes_its_first_record(
    workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    """
    The other one gets the digest of that record, reads it, and replaces it with the results of both.
    """
    version = registered(workers[0], tmp_path, tags={})

    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(version.changed, worker, None, f"of {at}") for at, worker in enumerate(workers)]
    digests = {each.result() for each in asked}

    assert {version.digest()} == digests
    assert "of both" == version.changed(workers[1], version.digest(), "of both")
