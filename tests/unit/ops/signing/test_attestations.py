"""Tests where the attestations of a version are kept."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from mlflow_uv.core.image.composition import digest_of
from mlflow_uv.core.signing.statement import STATEMENT
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.signing.attestations import (
    BUNDLE_TYPE,
    attach_to_image,
    bundles_in,
    in_store,
    keep_in_store,
    with_image,
)
from mlflow_uv.tools.mlflow.errors import NotInStore
from mlflow_uv.tools.oci.referrers import Attachment
from mlflow_uv.tools.signing.signer import KeptSignatures
from tests.messages import VERSION
from tests.unit.core.release.test_record import OTHER_IMAGE

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
    return cast("RegistryClient", SimpleNamespace(client=store, tools=SimpleNamespace(registries=store)))


def test_what_is_kept_in_a_run_is_found_again() -> None:
    """
    Beside the record of that version, so that another version of the same model has its own.
    """
    store, kept = Store(), KeptSignatures(bundles=('{"a": 1}', '{"b": 2}'), model_signature="{}")

    size = keep_in_store(registry(store), VERSION, kept)

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
    statement = json.dumps({"_type": STATEMENT, "predicateType": "https://cyclonedx.org/bom"})
    bundle = json.dumps({"dsseEnvelope": {"payload": base64.b64encode(statement.encode()).decode()}})
    store = Store()

    sent = attach_to_image(registry(store), PUSHED, (bundle,))

    (attachment,) = store.attachments
    assert (len(bundle), BUNDLE_TYPE, (bundle,)) == (sent, attachment.media_type, with_image(registry(store), PUSHED))
    assert "https://cyclonedx.org/bom" == attachment.annotations["dev.sigstore.bundle.predicateType"]
    assert digest_of(bundle.encode()) == digest_of(attachment.content)


def test_a_file_has_a_bundle_in_each_line() -> None:
    """
    Empty lines and repeated ones do not count.
    """
    assert ("{}", "[]") == bundles_in("{}\n\n[]\n{}\n")
