"""Tests what a key signs again, and what it keeps."""

import json
from pathlib import Path

import pytest

from mlflow_uv.core.signing.statement import differing_resources
from mlflow_uv.tools.signing.signer import KeptSignatures
from mlflow_uv.tools.system.content import digests_in
from tests.signers import Signers

pytestmark = pytest.mark.installs

STATEMENT = json.dumps({
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "wine", "digest": {"sha256": "0" * 64}}],
    "predicateType": "https://example.com/größe",
    "predicate": {},
})  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model, with a file that MLflow adds on download."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_text("weights")
    (folder / "registered_model_meta").write_text("added")
    return folder


def test_a_signature_of_the_model_is_kept_only_if_it_is_valid(signers: Signers, model: Path) -> None:
    """
    One of another signer, of other files, or garbage is replaced when the version is signed again.
    """
    key, ignored = signers.private("first"), ("registered_model_meta",)
    valid = signers.sign(key, model, STATEMENT)
    other = signers.sign(signers.private("second"), model, STATEMENT)
    (model / "model.pkl").write_text("others")
    changed = signers.sign(key, model, STATEMENT)
    (model / "model.pkl").write_text("weights")

    kept = {
        earlier: signers.program.sign(
            (STATEMENT,), key, model, ignored=ignored,
            earlier=KeptSignatures(bundles=valid.bundles, model_signature=earlier),
        )
        for earlier in (valid.model_signature, other.model_signature, changed.model_signature, "garbage", "{}")
    }  # fmt: skip

    assert {valid.bundles} == {found.bundles for found in kept.values()}
    assert [True, False, False, False, False] == [earlier == found.model_signature for earlier, found in kept.items()]
    (verified,) = signers.program.verify((kept["garbage"].model_signature,), signers.trusting("first"))
    assert () == differing_resources(verified.payload, digests_in(model))


def test_what_was_signed_is_not_signed_again(signers: Signers, model: Path) -> None:
    """
    By the same key; another one signs for itself.
    """
    first = signers.sign(signers.private("first"), model, STATEMENT)

    again = signers.sign(signers.private("first"), model, STATEMENT, earlier=("[", *first.bundles))
    other = signers.sign(signers.private("second"), model, STATEMENT, earlier=first.bundles)

    assert (first.bundles, False) == (again.bundles, first.bundles == other.bundles)
