"""Tests that a step changes its own link of a release record, in the run and in the file of this machine."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ChainBroken
from mlflow_uv.core.release.record import ExportedModel, ExportsLink, Record, SignatureLink
from mlflow_uv.ops.conversion.exported_model import record_export
from mlflow_uv.ops.lineage.publication import RecordChange, RecordReplaced, publish_change
from mlflow_uv.ops.lineage.record_update import NotPublished, update_published
from mlflow_uv.ops.signing.signing import with_signature
from mlflow_uv.tools.mlflow.records import Records
from tests.unit.core.release.test_record import OTHER_IMAGE, WHOLE
from tests.unit.ops.verify.test_recording import Store
from tests.waiting import CEILING_S

LINK = SignatureLink(signer="a key", statement="8" * 64)
EXPORTED = ExportedModel(
    format="onnx", model_id="m-2", sha256="6" * 64, file_sha256="7" * 64, original="4" * 64, name="", version=""
)
WINE = ("wine", "7")
# What another step published after the one that is tested had read the record.
NEWER = replace(WHOLE, verification=None, alias=None, exports=None, signature=None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A registry with a newer record, which is in its run and in the file of the project in `tmp_path`."""
    store = Store(folder=tmp_path, tag=NEWER.sha256)
    store.add(NEWER)
    store.records.save(store.records.path(None, tmp_path), NEWER)
    return store


def files_of(store: Store) -> list[Path]:
    """The file of the project."""
    return [store.records.path(None, store.folder)]


def everywhere(store: Store) -> tuple[Record, Record]:
    """The record in the run, which the registry has the digest of, and that in the file of the project."""
    copy = store.folder / "copy.json"
    copy.write_text(store.artifacts[store.artifact])
    record = store.records.load(copy)
    assert record.sha256 == store.tag
    return record, store.records.load(store.records.path(None, store.folder))


def sign(current: Record) -> Record:
    """Add the link of a signature of the record as it was before."""
    return with_signature(current, WHOLE, LINK, "sign as before")


def test_a_signature_is_added_to_the_newest_record_in_the_run_and_on_this_machine(store: Store) -> None:
    """
    Both are equal then, and have what another step changed since the signer read the record.
    """
    signed = update_published(WINE, sign, files_of(store), store.registry)

    assert replace(NEWER, signature=LINK) == signed
    assert (signed, signed) == everywhere(store)


def test_a_record_that_was_changed_on_this_machine_is_not_taken_for_the_published_one(store: Store) -> None:
    """
    The file stays as it is, so that the step that reads it refuses it; the run gets the signature without the change.
    """
    forged = replace(NEWER, image=OTHER_IMAGE)
    store.records.save(store.records.path(None, store.folder), forged)

    update_published(WINE, sign, files_of(store), store.registry)

    assert (replace(NEWER, signature=LINK), forged) == everywhere(store)


def test_a_file_whose_publication_was_interrupted_is_replaced_too(store: Store) -> None:
    """
    It has the record from before, and the published one is staged for it.
    """
    file = store.records.path(None, store.folder)
    store.records.save(file, WHOLE)
    store.records.stage(file, NEWER)

    signed = update_published(WINE, sign, files_of(store), store.registry)

    assert (signed, signed, None) == (*everywhere(store), store.records.staged(file))


def test_what_was_signed_must_not_have_changed(store: Store) -> None:
    """
    Another image is one that nobody signed; links that no signature covers may differ.
    """
    with pytest.raises(ChainBroken, match="record") as raised:
        update_published(
            WINE, lambda current: with_signature(current, replace(WHOLE, image=OTHER_IMAGE), LINK, "sign as before"),
            files_of(store), store.registry,
        )  # fmt: skip

    assert "while the version was signed" in raised.value.why
    assert "sign as before" == raised.value.fix
    assert (NEWER, NEWER) == everywhere(store)


def test_an_export_keeps_what_another_step_added_meanwhile(store: Store) -> None:
    """
    A signature and the export in another format stay; one in the same format is replaced, and a second run adds none.
    """
    other, old = replace(EXPORTED, format="tflite"), replace(EXPORTED, model_id="m-old")
    subject = cast("Any", SimpleNamespace(name="wine", version="7"))
    update_published(
        WINE, lambda record: replace(record, signature=LINK, exports=ExportsLink(models=(old, other))),
        files_of(store), store.registry,
    )  # fmt: skip

    found = [*record_export(EXPORTED, subject, store.folder, store.registry)]
    tag = store.tag
    found += record_export(EXPORTED, subject, store.folder, store.registry)

    expected = replace(NEWER, signature=LINK, exports=ExportsLink(models=(other, EXPORTED)))
    assert ([], tag, expected, expected) == (found, store.tag, *everywhere(store))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda store: store.artifacts.clear(), "has no release record"),
        (lambda store: store.add(WHOLE), "is not the published one"),
    ],
)
def test_a_record_that_is_not_the_published_one_gets_no_link(
    store: Store, spoil: Callable[[Store], None], why: str
) -> None:
    """
    The digest in the registry stays; an export says so in a warning.
    """
    store.records.path(None, store.folder).unlink()
    spoil(store)
    subject = cast("Any", SimpleNamespace(name="wine", version="7"))

    with pytest.raises(NotPublished, match="record") as raised:
        update_published(WINE, sign, files_of(store), store.registry)
    (finding,) = record_export(EXPORTED, subject, store.folder, store.registry)

    assert (True, True, NEWER.sha256) == (why in raised.value.why, why in finding.why, store.tag)


def test_what_another_machine_wrote_meanwhile_is_kept(store: Store) -> None:
    """
    It published between the reading and the writing here: the signature is added to that record, and nothing is lost.

    The file of the project, which has the record from before, is not the published one any more, and stays.
    """
    other = replace(NEWER, exports=ExportsLink(models=(EXPORTED,)))
    store.others.append(other)

    signed = update_published(WINE, sign, files_of(store), store.registry)

    assert (replace(other, signature=LINK), signed.sha256) == (signed, store.tag)
    assert (signed, NEWER, None) == (*everywhere(store), store.records.staged(files_of(store)[0]))


def test_a_record_that_others_go_on_changing_is_left_as_they_wrote_it(store: Store) -> None:
    """
    The step ends after some attempts, and says what happened.
    """
    store.others += [replace(NEWER, exports=ExportsLink(models=(replace(EXPORTED, name=str(at)),))) for at in range(9)]

    with pytest.raises(RecordReplaced, match="record") as raised:
        update_published(WINE, sign, files_of(store), store.registry)

    assert "on another machine" in raised.value.why
    assert (4, 4) == (len(store.others), int(everywhere(store)[0].exports.models[0].name))  # type: ignore[union-attr]


def test_a_step_of_a_release_does_not_overwrite_what_another_machine_wrote(store: Store) -> None:
    """
    The image of one machine would take the place of the signature of another one; the file stays as it was.
    """
    (file,) = files_of(store)
    store.others.append(replace(NEWER, signature=LINK))
    change = RecordChange(before=NEWER, after=replace(NEWER, image=OTHER_IMAGE))

    with pytest.raises(RecordReplaced):
        publish_change(change, file, store.registry.client, store.registry.tools)

    assert (replace(NEWER, signature=LINK), NEWER) == everywhere(store)
    assert None is store.records.staged(file)


def test_an_update_waits_for_a_release_that_writes_the_file_and_not_for_the_release_that_it_is_part_of(
    store: Store,
) -> None:
    """
    The lock of another process is waited for; that of the own release is held already.
    """
    (file,) = files_of(store)
    order, release = list[str](), Records(store.host)
    waits = threading.Event()

    def update() -> None:
        update_published(WINE, sign, [file], store.registry)
        order.append("updated")

    with release.locked(file, waiting=lambda: None):
        store.on_message = lambda _: waits.set()
        thread = threading.Thread(target=update)
        thread.start()
        assert waits.wait(CEILING_S)
        order.append("released")
    thread.join()
    with store.records.locked(file, waiting=lambda: None):
        update_published(WINE, lambda record: replace(record, signature=None), [file], store.registry)

    assert (["released", "updated"], NEWER) == (order, everywhere(store)[0])
