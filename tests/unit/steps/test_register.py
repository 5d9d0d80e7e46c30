"""Tests that register keeps what another machine publishes about the same version."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.release.record import Record, SignatureLink
from mlflow_uv.ops.lineage.publication import RecordReplaced
from mlflow_uv.payloads.messages.registry import TagRecord
from mlflow_uv.payloads.messages.tags import RECORD_DIGEST
from mlflow_uv.steps.register import publish_with_earlier_results
from tests.unit.core.release.test_record import WHOLE
from tests.unit.ops.verify.test_recording import Store

SIGNED = replace(WHOLE, verification=None, alias=None, exports=None, signature=None)
LOGGED = replace(SIGNED, image=None)
SIGNATURE = SignatureLink(signer="a key", statement="8" * 64)


def published(store: Store) -> Record:
    """The record after a register of a version."""
    registry = store.registry
    release = cast("Any", SimpleNamespace(client=store, project=None))
    return publish_with_earlier_results(LOGGED, store.folder / "record.json", release, registry.tools)


def test_what_another_machine_publishes_between_reading_and_writing_is_kept(tmp_path: Path) -> None:
    """
    Its signature is read again, and is in the record, in the file and under the digest in the registry.
    """
    store = Store(folder=tmp_path, tag=SIGNED.sha256)
    store.add(SIGNED)
    store.others = [replace(SIGNED, signature=SIGNATURE)]

    record = published(store)

    expected = replace(LOGGED, signature=SIGNATURE)
    assert (expected, expected, expected.sha256, []) == (
        record,
        store.records.load(tmp_path / "record.json"),
        store.tag,
        store.others,
    )


def test_a_version_without_a_record_gets_the_first_one(tmp_path: Path) -> None:
    """
    The request says that the version has none.
    """
    requests: list[TagRecord] = []

    class New(Store):
        def describe_version(self, name: str, version: str) -> Any:
            return replace(super().describe_version(name, version), tags={})

        def tag_record(self, request: TagRecord) -> str:
            requests.append(request)
            return request.tags[RECORD_DIGEST]

    record = published(New(folder=tmp_path))

    assert ([(None, "registered")], LOGGED) == (
        [(request.replaces, request.tags["mlflow-uv.state"]) for request in requests],
        record,
    )


def test_a_version_that_others_write_all_the_time_is_an_error(tmp_path: Path) -> None:
    """
    The file of this machine stays as it is.
    """
    store = Store(folder=tmp_path, tag=SIGNED.sha256)
    store.add(SIGNED)
    store.others = [replace(SIGNED, signature=replace(SIGNATURE, signer=f"key {number}")) for number in range(9)]

    with pytest.raises(RecordReplaced, match="record"):
        published(store)

    assert (4, False, None) == (
        len(store.others),
        (tmp_path / "record.json").exists(),
        store.records.staged(tmp_path / "record.json"),
    )
