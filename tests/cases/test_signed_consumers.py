"""A signed version in which one thing was exchanged, and every step and server that uses it next: each refuses it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlflow_uv.tools.mlflow.model_server import SERVING
from tests.ports import free_port
from tests.signers import Signers
from tests.waiting import CEILING_S

from .sample_project import SampleProject
from .signed_versions import kept, rewrite, signed, trust

pytestmark = pytest.mark.extended

CHAIN_BROKEN, NOT_SIGNED = 11, 3
DEPLOYMENT = '\n[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\n'


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What a consumer meets: the version, whom it trusts, and what each step and the server say; the server may not."""

    version: str
    trusted: Mapping[str, str]
    message: str
    server_message: str = ""


def store_of(sample: SampleProject, version: str) -> tuple[Path, Path]:
    """The attestations of a version in the store, and the files of its model there."""
    pattern = f"*/*/artifacts/mlflow-uv/*/wine-*/{version}/record.json"
    (record,) = (sample.consumer.store / "artifacts").glob(pattern)
    model_id = json.loads(record.read_text())["model"]["model_id"]
    (model,) = (sample.consumer.store / "artifacts").glob(f"*/models/{model_id}/artifacts")
    return record.parent / "signature" / "attestations.jsonl", model


def second_version(sample: SampleProject, signers: Signers) -> None:
    """Version 2, trained again, and signed by the same key."""
    retrained = sample.run("release", "--engine", "none", "--retrain")
    assert (0, "2") == (retrained.code, retrained.outputs["version"]), retrained.stderr
    variables = {"MLFLOW_UV_SIGNING_KEY": signers.text("first.pem")}
    assert 0 == sample.run("sign", "models:/wine/2", variables=variables).code


def another_signer(sample: SampleProject, signers: Signers) -> Exchanged:
    """All attestations are by somebody whom the project does not trust."""
    signed(sample, signers, "second")
    return Exchanged(
        version="1",
        trusted=trust(signers, "first"),
        message="is not trusted",
        server_message="Nobody whom VERIFY names",
    )


def another_model(sample: SampleProject, signers: Signers) -> Exchanged:
    """Version 1 has the valid attestations of version 2, another model by the same signer."""
    signed(sample, signers)
    second_version(sample, signers)
    store_of(sample, "1")[0].write_bytes(store_of(sample, "2")[0].read_bytes())
    return Exchanged(
        version="1", trusted=trust(signers, "first"), message="signed wine version 2, and this is wine version 1",
        server_message="is not wine version 2 as the key",
    )  # fmt: skip


def an_old_signature(sample: SampleProject, signers: Signers) -> Exchanged:
    """Version 2 has the valid attestations of version 1."""
    signed(sample, signers)
    second_version(sample, signers)
    store_of(sample, "2")[0].write_bytes(store_of(sample, "1")[0].read_bytes())
    return Exchanged(
        version="2", trusted=trust(signers, "first"), message="signed wine version 1, and this is wine version 2",
        server_message="is not wine version 1 as the key",
    )  # fmt: skip


def a_rewritten_record(sample: SampleProject, signers: Signers) -> Exchanged:
    """Model, record and tags fit each other, as whoever can write to the tracking server can make them."""
    signed(sample, signers)
    rewrite(sample)
    return Exchanged(
        version="1", trusted=trust(signers, "first"), message="`model` of the release record is not what key",
        server_message="python_model.pkl",
    )  # fmt: skip


def no_attestation(sample: SampleProject, signers: Signers) -> Exchanged:
    """The file with the attestations is gone; the record still names the signer."""
    signed(sample, signers)
    kept(sample, "signature/attestations.jsonl").unlink()
    return Exchanged(
        version="1", trusted=trust(signers, "first"), message="the store has ", server_message="cannot be read"
    )


def an_expired_certificate(sample: SampleProject, signers: Signers) -> Exchanged:
    """The certificate in the attestations, which was valid, has expired since; a server knows keys alone."""
    signed(sample, signers, "leaf", "--certificate", str(signers.folder / "leaf.crt"))
    attestations = kept(sample, "signature/attestations.jsonl")
    valid, expired = ("".join(signers.text(f"{name}.crt").splitlines()[1:-1]) for name in ("leaf", "expired"))
    attestations.write_text(attestations.read_text().replace(valid, expired))
    table = f'authorities = ["""{signers.text("authority.crt")}"""]\nidentities = ["release@example.com"]\n'
    return Exchanged(version="1", trusted={"MLFLOW_UV_TRUST": table}, message="its certificate is valid from ")


def another_lock(sample: SampleProject, signers: Signers) -> Exchanged:
    """The lock in the model was changed after signing, where the chain without signatures finds it, too."""
    signed(sample, signers)
    sample.consumer.edit(sample.consumer.model / "mlflow-uv" / "uv.lock", 'name = "six"\n', 'name = "sixer"\n')
    return Exchanged(version="1", trusted=trust(signers, "first"), message="lock", server_message="mlflow-uv/uv.lock")


FAULTS = (
    another_signer, another_model, an_old_signature, a_rewritten_record, no_attestation, an_expired_certificate,
    another_lock,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.replace("_", " "))
def test_whoever_uses_the_version_next_refuses_it(
    sample: SampleProject, signers: Signers, fault: Callable[[SampleProject, Signers], Exchanged]
) -> None:
    """
    With the link and the reason: promote, deploy, audit, verify-chain, and a server that verifies its model.
    """
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(f"{manifest.read_text()}{DEPLOYMENT}")
    sample.commit()
    exchanged = fault(sample, signers)
    uri, trusted = f"models:/wine/{exchanged.version}", exchanged.trusted

    audited = sample.run("audit", uri, variables=trusted)
    verified = sample.run("verify-chain", uri, variables=trusted)
    promoted = sample.run("promote", "--candidate", exchanged.version, variables=trusted)
    planned = sample.run("deploy", uri, "--target", "prod", "--dry-run", variables=trusted)
    deployed = sample.run("deploy", uri, "--target", "prod", variables=trusted)
    server = started(*store_of(sample, exchanged.version), signers.text("first.pub"))

    runs = (audited, verified, promoted, planned, deployed)
    assert [1, 1, 1, CHAIN_BROKEN, CHAIN_BROKEN] == [one.code for one in runs], deployed.stderr
    assert [True, True] == ["signature" in one.outputs["broken"] for one in (audited, verified)], audited.stderr
    assert {"gate-chain"} == {*promoted.rules}
    assert [True] * 5 == [exchanged.message in one.stderr for one in runs], "\n".join(one.stderr for one in runs)
    if exchanged.server_message:
        assert (NOT_SIGNED, True) == (server[0], exchanged.server_message in server[1]), server


def started(attestations: Path, model: Path, key: str) -> tuple[int, str]:
    """The exit code and the last line of a server that verifies a model, which is before it imports MLflow."""
    variables = {
        "PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(free_port()), "MLFLOW_UV_MODEL": str(model),
        "VERIFY": key, "ATTESTATIONS": str(attestations),
    }  # fmt: skip
    command = (sys.executable, "-I", str(SERVING))
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=CEILING_S)
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]
