"""Tests where the attestations of a version are kept."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import digest_of
from mlflow_uv.core.signing.statement import STATEMENT
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.signing.attestations import (
    BUNDLE_TYPE,
    add_to_store,
    attach_to_image,
    bundles_in,
    in_store,
    require_kept,
    with_image,
)
from mlflow_uv.tools.mlflow.errors import NotInStore
from mlflow_uv.tools.oci.referrers import Attachment
from mlflow_uv.tools.signing.signer import KeptSignatures
from tests.messages import VERSION
from tests.unit.core.release.test_record import OTHER_IMAGE

STATEMENT_OF_SBOM = json.dumps({"_type": STATEMENT, "predicateType": "https://cyclonedx.org/bom"})
BUNDLE = json.dumps({"dsseEnvelope": {"payload": base64.b64encode(STATEMENT_OF_SBOM.encode()).decode()}})
AGAIN = "sign as before"
PUSHED = replace(OTHER_IMAGE, digest="sha256:" + "5" * 64)


class Store:
    """The artifacts of a run, and the documents with an image."""

    def __init__(self) -> None:
        self.artifacts: dict[str, str] = {}
        self.attachments: list[Attachment] = []

    def log_record(self, run_id: str, *, file: Path, path: str) -> None:
        """See StoreClient."""
        self.artifacts[f"{run_id}:{path}"] = file.read_text()

    def download_record(self, run_id: str, *, path: str, destination: Path) -> None:
        """See StoreClient."""
        if f"{run_id}:{path}" not in self.artifacts:
            raise NotInStore(what="nothing there")
        destination.write_text(self.artifacts[f"{run_id}:{path}"])

    def attach(self, name: str, digest: str, attachment: Attachment) -> int:
        """See Registries."""
        assert (name, digest) == (PUSHED.tag, PUSHED.digest)
        self.attachments.append(attachment)
        return len(attachment.content)

    def attached(self, name: str, digest: str, media_type: str) -> tuple[bytes, ...]:
        """See Registries."""
        return tuple(one.content for one in self.attachments if one.media_type == media_type)


def registry(store: Store) -> RegistryClient:
    """A client of both."""
    return cast("RegistryClient", SimpleNamespace(client=store, tools=SimpleNamespace(registries=store, clock=store)))


def test_what_is_kept_in_a_run_is_found_again() -> None:
    """
    Beside the record of that version, so that another version of the same model has its own.
    """
    store, kept = Store(), KeptSignatures(bundles=('{"a": 1}', '{"b": 2}'), model_signature="{}")

    size = add_to_store(registry(store), VERSION, kept)

    other = replace(VERSION, version=f"{VERSION.version}0")
    assert (kept, 20) == (in_store(registry(store), VERSION), size)
    assert KeptSignatures(bundles=(), model_signature="") == in_store(registry(store), other)


def test_a_version_without_a_run_has_nothing() -> None:
    """
    It was made by hand, or its run was deleted.
    """
    found = in_store(registry(Store()), replace(VERSION, run_id=None))

    assert KeptSignatures(bundles=(), model_signature="") == found


def test_a_bundle_with_an_image_says_what_it_is_about() -> None:
    """
    Tools that look for an SBOM select it by the type of its predicate.
    """
    store = Store()

    sent = attach_to_image(registry(store), PUSHED, (BUNDLE,))

    (attachment,) = store.attachments
    assert (len(BUNDLE), BUNDLE_TYPE, (BUNDLE,)) == (sent, attachment.media_type, with_image(registry(store), PUSHED))
    assert "https://cyclonedx.org/bom" == attachment.annotations["dev.sigstore.bundle.predicateType"]
    assert digest_of(BUNDLE.encode()) == digest_of(attachment.content)


def test_a_file_has_a_bundle_in_each_line() -> None:
    """
    Empty lines and repeated ones do not count.
    """
    assert ("{}", "[]") == bundles_in("{}\n\n[]\n{}\n")


class Contended(Store):
    """A store that another signer, who read it before, writes after each of the first writes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.waited: list[float] = []

    def log_record(self, run_id: str, *, file: Path, path: str) -> None:
        """See StoreClient."""
        super().log_record(run_id, file=file, path=path)
        if self.times > 0:
            self.times -= 1
            self.artifacts[f"{run_id}:{path}"] = "theirs\n"

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.waited.append(seconds)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_another_signer_overwrites_at_the_same_time_is_added_again(times: int) -> None:
    """
    Beside what that signer wrote.
    """
    store, ours = Contended(times), KeptSignatures(bundles=("ours",), model_signature="")
    client = registry(store)

    add_to_store(client, VERSION, ours)
    require_kept(client, VERSION, None, ours, AGAIN)

    assert {"ours", *(["theirs"] if times else [])} == {*in_store(client, VERSION).bundles}
    assert times + 1 == len(store.waited)


def test_what_is_overwritten_each_time_is_not_called_signed() -> None:
    """
    The attempts end.
    """
    client, ours = registry(Contended(99)), KeptSignatures(bundles=("ours",), model_signature="")

    add_to_store(client, VERSION, ours)

    with pytest.raises(ToolFailed, match="are not kept") as raised:
        require_kept(client, VERSION, None, ours, AGAIN)

    assert AGAIN == raised.value.fix


def test_what_the_registry_lost_is_attached_again() -> None:
    """
    The store has it still.
    """
    store, ours = Contended(0), KeptSignatures(bundles=(BUNDLE,), model_signature="")
    client = registry(store)
    add_to_store(client, VERSION, ours)

    require_kept(client, VERSION, PUSHED, ours, AGAIN)

    assert (BUNDLE,) == with_image(client, PUSHED)


def test_signatures_that_are_there_are_not_written_again() -> None:
    """
    In whatever order.
    """
    client = registry(Store())
    add_to_store(client, VERSION, KeptSignatures(bundles=("a", "b"), model_signature="s"))

    assert 0 == add_to_store(client, VERSION, KeptSignatures(bundles=("a",), model_signature="s"))


def test_a_signer_without_a_signature_of_the_model_removes_a_spoilt_one() -> None:
    """
    It is that of the last signer, and one with Ed25519 makes none.
    """
    client = registry(Store())
    add_to_store(client, VERSION, KeptSignatures(bundles=("a",), model_signature="garbage"))

    add_to_store(client, VERSION, KeptSignatures(bundles=("a",), model_signature=""))

    assert KeptSignatures(bundles=("a",), model_signature="") == in_store(client, VERSION)
