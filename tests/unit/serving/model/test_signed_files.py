"""Tests that a server loads only a model whose files a trusted key signed."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import ADDED_ON_DOWNLOAD as ADDED
from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.signing.statement import CHAIN as CHAIN_TYPE
from mlflow_uv.core.signing.statement import statements
from mlflow_uv.serving.model.signed_files import ADDED_ON_DOWNLOAD, CHAIN, NotSigned, SignedModelTrust, require_signed
from mlflow_uv.tools.system.content import digests_in
from tests.sharing import SharedFolder
from tests.signers import Signers, make_signers
from tests.unit.core.release.test_record import WHOLE

pytestmark = pytest.mark.installs


@pytest.fixture(scope="module")
def signers(shared: SharedFolder) -> Signers:
    """See make_signers."""
    return make_signers(shared)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A mounted model, with the file that MLflow adds."""
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("weights")
    (folder / "data" / "größe.bin").write_text("1")
    (folder / "registered_model_meta").write_text("added")
    return folder


def trusting(signers: Signers, model: Path, *, key: str = "first", by: str = "first") -> SignedModelTrust:
    """SignedModelTrust in a key, with the attestations that another one may have made."""
    record = replace(WHOLE, model=replace(WHOLE.model, sha256=tree_digest(digests_in(model))))
    signed = signers.sign(signers.private(by), model, *statements(record, digests_in(model), ()))
    file = model.parent / "attestations.jsonl"
    file.write_text("\n".join(("{}", "[", *signed.bundles)))
    return SignedModelTrust(keys=signers.text(f"{key}.pub"), attestations=str(file), name="", version="")


@pytest.mark.parametrize("key", ["first", "edwards"])
def test_a_model_that_a_trusted_key_signed_is_loaded(signers: Signers, model: Path, key: str) -> None:
    """
    The key may be in a file, beside others, and the attestations in the variable itself.
    """
    trust = trusting(signers, model, key=key, by=key)
    (model.parent / "keys.pub").write_text(signers.text("second.pub") + trust.keys)

    inline = replace(trust, attestations=Path(trust.attestations).read_text())
    given = (trust, replace(trust, keys=str(model.parent / "keys.pub")), inline)
    messages = [str(require_signed(model, one)) for one in given]

    identifier = hashlib.sha256(trust.keys.encode()).hexdigest()
    assert [f"The model in {model} is wine version 7, as the key {identifier} signed it."] * 3 == messages
    assert (CHAIN_TYPE, {*ADDED}) == (CHAIN, {*ADDED_ON_DOWNLOAD})


@pytest.mark.parametrize("fault", ["changed", "added", "removed", "linked", "pipe"])
def test_a_file_that_was_exchanged_is_named(signers: Signers, model: Path, fault: str) -> None:
    """
    Before anything of the model is loaded.
    """
    trust, file = trusting(signers, model), model / "data" / "größe.bin"
    (model.parent / "other").mkdir()
    match fault:
        case "changed":
            file.write_text("2")
        case "added":
            (model / "sitecustomize.py").write_text("")
        case "removed":
            file.unlink()
        case "linked":
            (model / "code").symlink_to(model.parent / "other")
        case _:
            os.mkfifo(model / "pipe")

    with pytest.raises(NotSigned) as raised:
        require_signed(model, trust)

    names = {"added": "sitecustomize.py", "linked": "code is a link", "pipe": "pipe is not a file"}
    assert names.get(fault, "data/größe.bin") in str(raised.value)


def test_another_signer_another_version_and_changed_attestations_are_refused(signers: Signers, model: Path) -> None:
    """
    Each with what is wrong, and nothing that cannot be read counts as valid.
    """
    untrusted = trusting(signers, model, by="second")
    trust = trusting(signers, model)
    lines = Path(trust.attestations).read_text().splitlines()
    bundle = json.loads(lines[2])
    bundle["dsseEnvelope"]["payload"] = json.loads(lines[3])["dsseEnvelope"]["payload"]
    forged = model.parent / "forged.jsonl"
    forged.write_text(json.dumps(bundle))
    Path(untrusted.attestations).write_text("\n".join(lines))
    cases = {
        "Nobody whom VERIFY names signed": replace(trust, keys=signers.text("second.pub")),
        "wine version 7, and not any name version 8, as MODEL_NAME": replace(trust, version="8"),
        "wine version 7, and not vine version any, as MODEL_NAME": replace(trust, name="vine"),
        "Nobody whom VERIFY names signed a model": replace(trust, attestations=str(forged)),
        "cannot be read": replace(trust, attestations="/nowhere"),
        "cannot be used": replace(trust, keys="-----BEGIN CERTIFICATE-----"),
    }
    messages = []

    for case in cases.values():
        with pytest.raises(NotSigned) as raised:
            require_signed(model, case)
        messages.append(str(raised.value))

    assert [True] * len(cases) == [text in message for text, message in zip(cases, messages, strict=True)], messages
    signed = require_signed(model, replace(trust, name="wine", version="7"))
    assert ("wine", "7") == (signed.name, signed.version)
