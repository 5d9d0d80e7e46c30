"""A signed version, and everything plausible that somebody could put in its place: each is refused, with its name."""

import json
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.signing.statement import CHAIN, MODEL_CARD, PROVENANCE, SBOM, predicate_type
from tests.registries import registry
from tests.signers import Signers
from tests.sigstores import sigstore
from tests.waiting import happens

from .images import BASE, remove_image
from .sample_project import SampleProject, error
from .signed_versions import VERSION, kept, replace_record, rewrite, signed, stored_record, trust

CHAIN_BROKEN = 11
INDEX = "application/vnd.oci.image.index.v1+json"
LATER = pytest.mark.extended


def test_a_model_that_was_rewritten_with_its_record_and_all_tags_is_refused(
    sample: SampleProject, signers: Signers
) -> None:
    """
    Its digests fit each other, so that an audit without trust finds nothing; nobody else's signature fits.
    """
    signing, trusted = signed(sample, signers), trust(signers, "first")
    before = sample.run("promote", variables=trusted)
    rewrite(sample)

    without = sample.run("audit", VERSION)
    audited = sample.run("audit", VERSION, variables=trusted)
    verified = sample.run("verify-chain", VERSION, "--public-key", str(signers.folder / "first.pub"))
    promoted = sample.run("promote", variables=trusted)

    key = signing.outputs["signer"]
    reason = f"`model` of the release record is not what {key} signed"
    assert (5, True, 0) == (signing.outputs["attestation-count"], signing.outputs["signed"], before.code)
    assert (0, []) == (without.code, without.outputs["broken"])
    assert [(1, ["signature"])] * 2 == [(one.code, one.outputs["broken"]) for one in (audited, verified)]
    assert (1, ["gate-chain"]) == (promoted.code, promoted.rules)
    assert all(reason in one.stderr for one in (audited, verified, promoted)), audited.stderr
    assert "BEGIN PRIVATE KEY" not in "".join(one.stdout + one.stderr for one in (signing, before, audited))


@LATER
def test_what_was_signed_is_not_signed_again_and_its_files_are_valid_for_others(
    sample: SampleProject, signers: Signers
) -> None:
    """
    OpenSSF's own command verifies the model as the store has it, and refuses it once a file was changed.
    """
    signed(sample, signers)
    attestations = kept(sample, "signature/attestations.jsonl").read_text()
    program = signers.program.python.with_name("model_signing")
    key = ("--public_key", str(signers.folder / "first.pub"))
    command = (program, "verify", "key", *key, "--signature", kept(sample, "signature/model.sig"))

    again = signed(sample, signers)
    valid = subprocess.run((*command, sample.consumer.model), capture_output=True, text=True, check=False)
    rewrite(sample)
    changed = subprocess.run((*command, sample.consumer.model), capture_output=True, text=True, check=False)

    assert (False, attestations) == (
        again.outputs["signed"], kept(sample, "signature/attestations.jsonl").read_text()
    )  # fmt: skip
    assert (0, 1) == (valid.returncode, changed.returncode), valid.stderr
    found = signers.program.verify(tuple(attestations.splitlines()), signers.trusting("first"))
    assert [CHAIN, PROVENANCE, SBOM, SBOM, MODEL_CARD] == [predicate_type(bundle.payload) for bundle in found]


@LATER
def test_a_program_signs_that_is_not_in_the_checkout(sample: SampleProject, signers: Signers, tmp_path: Path) -> None:
    """
    As a key file would, also for those who verify; a copy of it in the checkout is not started.
    """
    text = f"#!/bin/sh\necho '::warning::from the signer' >&2\nopenssl dgst -sha256 -sign '{signers.folder}/first.pem'"
    outside, inside = tmp_path / "a signer", sample.folder / "signer"
    for file in (outside, inside):
        file.write_text(f"{text} | base64\n")
        file.chmod(0o755)
    public = ("--public-key", str(signers.folder / "first.pub"))

    refused = sample.run("sign", VERSION, "--signer", shlex.quote(str(inside)), *public)
    other = sample.run(
        "sign", VERSION, "--signer", shlex.quote(str(outside)), "--public-key", str(signers.folder / "second.pub")
    )
    signing = sample.run("sign", VERSION, "--signer", shlex.quote(str(outside)), *public)
    verified = sample.run("verify-chain", VERSION, *public)

    assert [2, 2, 0, 0] == [one.code for one in (refused, other, signing, verified)], signing.stderr
    assert "is in the checkout" in refused.stderr
    assert "is not a signature of the key" in other.stderr
    assert (5, signing.outputs["signer"]) == (signing.outputs["attestation-count"], verified.outputs["signer"])


def replacing_record(sample: SampleProject, file: Path, signers: Signers) -> Path:
    """A program that signs with the first key, and puts a record of another uv in the place of the published one."""
    record = stored_record(sample)
    other = replace(record, lock=replace(record.lock, uv="0.0.1"))
    forged = file.with_suffix(".json")
    forged.write_text(json.dumps(other.to_json()))
    statement = "UPDATE model_version_tags SET value = ? WHERE key = 'mlflow-uv.record-sha256'"
    file.write_text(
        f"""#!{sys.executable}
import shutil, sqlite3, subprocess, sys
shutil.copyfile({str(forged)!r}, {str(kept(sample, "record.json"))!r})
with sqlite3.connect({str(sample.store.path)!r}) as connection:
    connection.execute({statement!r}, ({other.sha256!r},))
key = {str(signers.folder / "first.pem")!r}
signed = subprocess.run(("openssl", "dgst", "-sha256", "-sign", key), stdin=sys.stdin, capture_output=True, check=True)
subprocess.run(("base64",), input=signed.stdout, check=True)
"""
    )
    file.chmod(0o755)
    return file


@LATER
def test_who_signs_with_a_program_does_it_again_as_the_error_says(
    sample: SampleProject, signers: Signers, tmp_path: Path
) -> None:
    """
    Another step changes the record meanwhile; the command names the program and its key, and no file with a key.
    """
    program = replacing_record(sample, tmp_path / "a signer", signers)
    public = str(signers.folder / "first.pub")

    changed = sample.run("sign", VERSION, "--signer", shlex.quote(str(program)), "--public-key", public)
    code, kind, what, fix = error(changed)
    again = sample.run(*shlex.split(fix.removeprefix("mlflow-uv ")))

    assert (CHAIN_BROKEN, "ChainBroken") == (code, kind)
    assert "another step changed the record while the version was signed" in what
    assert (0, True) == (again.code, again.outputs["signed"]), again.stderr


@LATER
def test_who_is_overwritten_each_time_signs_again_as_the_error_says(sample: SampleProject, signers: Signers) -> None:
    """
    With the key in the file that was named, once the others are done.
    """
    key = ("--signing-key", str(signers.folder / "first.pem"))

    process = sample.start("sign", VERSION, *key)

    def ended() -> bool:
        """Overwrite what is signed; whether the signer ended."""
        for file in kept(sample, "record.json").parent.glob("signature/attestations.jsonl"):
            file.write_text("")
        return process.poll() is not None

    assert happens(ended)
    *_, what, fix = error(sample.ended(process))
    again = sample.run(*shlex.split(fix.removeprefix("mlflow-uv ")))
    verified = sample.run("verify-chain", VERSION, "--public-key", str(signers.folder / "first.pub"))

    assert "the attestations of wine version 1 are not kept: other signers overwrite them at the same time" == what
    assert [0, 0] == [again.code, verified.code], again.stderr + verified.stderr


@LATER
def test_two_who_sign_at_the_same_time_are_both_kept(sample: SampleProject, signers: Signers) -> None:
    """
    Neither overwrites what the other attested.
    """
    keys = ("first", "second")
    processes = [
        sample.start("sign", VERSION, variables={"MLFLOW_UV_SIGNING_KEY": signers.text(f"{key}.pem")}) for key in keys
    ]

    results = [sample.ended(process) for process in processes]
    verified = [sample.run("verify-chain", VERSION, "--public-key", str(signers.folder / f"{key}.pub")) for key in keys]

    assert [0, 0] == [result.code for result in results], results[0].stderr + results[1].stderr
    assert [0, 0] == [result.code for result in verified], verified[0].stderr + verified[1].stderr
    assert 10 == len(kept(sample, "signature/attestations.jsonl").read_text().splitlines())


@LATER
def test_a_key_is_rotated_and_revoked(sample: SampleProject, signers: Signers) -> None:
    """
    A version keeps the signatures of both keys, and one that is valid is enough.
    """
    first = signed(sample, signers)
    untrusted = sample.run("audit", VERSION, variables=trust(signers, "second"))
    named = sample.run("verify-chain", VERSION, "--public-key", str(signers.folder / "second.pub"))
    hint, _, fix = named.answer["findings"][0]["fix"].partition("; else mlflow-uv ")
    signing = sample.run(*fix.replace("FILE", str(signers.folder / "second.pem")).split())
    identifier = first.outputs["signer"].removeprefix("key ")

    both = sample.run("audit", VERSION, variables=trust(signers, "first"))
    dropped = sample.run("audit", VERSION, variables=trust(signers, "second"))
    revoked = trust(signers, "first", "second", more=f'revoked = ["{identifier}"]')
    valid = sample.run("audit", VERSION, variables=revoked)
    old = sample.run("verify-chain", VERSION, "--public-key", str(signers.folder / "first.pub"))
    alone = sample.run("audit", VERSION, variables=trust(signers, "first", more=f'revoked = ["{identifier}"]'))

    assert (1, ["signature"]) == (untrusted.code, untrusted.outputs["broken"])
    assert f"if another signer should be trusted than that of `{signers.folder}/second.pub`, name it" == hint
    assert (1, 0, True) == (named.code, signing.code, signing.outputs["signed"]), signing.stderr
    assert f"the key {identifier} is not trusted" in untrusted.stderr
    assert [0, 0, 0] == [one.code for one in (both, dropped, valid)], both.stderr
    assert (1, True) == (alone.code, f"the key {identifier} is revoked" in alone.stderr)
    assert (0, f"key {identifier}", ["signature"]) == (
        old.code, old.outputs["signer"], old.outputs["unverified"],
    ), old.stderr  # fmt: skip


@LATER
def test_what_a_writer_adds_is_named_and_signing_again_replaces_it(sample: SampleProject, signers: Signers) -> None:
    """
    Another signer in the record with its tag, a bundle that cannot be read, and a signature of the model that is none.
    """
    signing = signed(sample, signers)
    attestations, model_signature = (kept(sample, f"signature/{name}") for name in ("attestations.jsonl", "model.sig"))
    record = stored_record(sample)
    assert record.signature is not None
    replace_record(sample, replace(record, signature=replace(record.signature, signer="ceo@bank.example (key 1234)")))
    bundle = json.loads(attestations.read_text().splitlines()[0])
    bundle["verificationMaterial"] = {"x509CertificateChain": {"certificates": [{"rawBytes": "Z2FyYmFnZQ=="}]}}
    attestations.write_text(f"{json.dumps(bundle)}\n{attestations.read_text()}")
    flags = ("--public-key", str(signers.folder / "first.pub"))

    verified = sample.run("verify-chain", VERSION, *flags)
    model_signature.write_text("garbage")
    spoilt = sample.run("verify-chain", VERSION, *flags)
    again = signed(sample, signers)
    repaired = sample.run("verify-chain", VERSION, *flags)

    signer = signing.outputs["signer"]
    assert (0, signer) == (verified.code, verified.outputs["signer"]), verified.stderr
    assert "ceo@bank.example" not in verified.stdout + verified.stderr
    assert (1, "", ["signature"]) == (spoilt.code, spoilt.outputs["signer"], spoilt.outputs["broken"])
    assert "model.sig in the store is not a signature of the model" in spoilt.stderr
    assert "mlflow-uv sign --version-uri models:/wine/1" in spoilt.answer["findings"][0]["fix"]
    assert (True, 0, signer) == (again.outputs["signed"], repaired.code, repaired.outputs["signer"]), repaired.stderr


@LATER
def test_versions_from_before_signing_are_a_case_of_their_own(sample: SampleProject, signers: Signers) -> None:
    """
    Refused, reported, or named by the digests of their models, as the project says; the fix signs them.
    """
    unsigned = sample.run("promote", variables=trust(signers, "first"))
    warned = sample.run("audit", VERSION, variables=trust(signers, "first", policy="warn"))
    digest = json.loads(sample.consumer.record.read_text())["model"]["sha256"]
    named = sample.run("audit", VERSION, variables=trust(signers, "first", more=f'unsigned = ["{digest}"]'))
    promoted = sample.run("promote", variables=trust(signers, "first", policy="warn"))

    assert (1, ["gate-chain"]) == (unsigned.code, unsigned.rules)
    assert "mlflow-uv sign --version-uri models:/wine/1" in unsigned.answer["findings"][0]["fix"]
    assert (0, ["signature"], []) == (warned.code, warned.outputs["unverified"], warned.outputs["broken"])
    assert (0, True) == (named.code, "signature" in named.outputs["holds"])
    assert (0, True) == (promoted.code, promoted.outputs["promoted"]), promoted.stderr
    assert any("has no attestation" in gate for gate in promoted.outputs["gates"])


@LATER
def test_a_version_that_nobody_trusted_signed_is_not_deployed(sample: SampleProject, signers: Signers) -> None:
    """
    Neither planned nor deployed, whether it is unsigned or somebody else signed it; the reason is the signature.

    Signed by the trusted key, what is missing is only its image.
    """
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(f'{manifest.read_text()}\n[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\n')
    sample.commit()
    command, trusted = ("deploy", VERSION, "--target", "prod"), trust(signers, "first")

    planned = sample.run(*command, "--dry-run", variables=trusted)
    unsigned = sample.run(*command, variables=trusted)
    signed(sample, signers, "second")
    untrusted = sample.run(*command, variables=trusted)
    signed(sample, signers)
    accepted = sample.run(*command, variables=trusted)

    assert [CHAIN_BROKEN] * 3 == [one.code for one in (planned, unsigned, untrusted)], unsigned.stderr
    assert all("the store has no attestation of wine version 1" in one.stderr for one in (planned, unsigned, untrusted))
    assert (2, True) == (accepted.code, "has no image to deploy" in accepted.stderr), accepted.stderr


@LATER
def test_an_old_signature_is_not_one_of_a_new_version(sample: SampleProject, signers: Signers) -> None:
    """
    The attestations of version 1, copied beside the record of version 2, are valid and about another version.
    """
    signed(sample, signers)
    retrained = sample.run("release", "--engine", "none", "--retrain")
    new = f"models:/wine/{retrained.outputs['version']}"
    old = kept(sample, "signature/attestations.jsonl")
    (beside,) = (sample.consumer.store / "artifacts").glob("*/*/artifacts/mlflow-uv/*/wine-*/2/record.json")
    (beside.parent / "signature").mkdir()
    (beside.parent / "signature" / old.name).write_bytes(old.read_bytes())

    refused = sample.run("audit", new, variables=trust(signers, "first"))

    assert (0, "models:/wine/2", 1) == (retrained.code, new, refused.code), retrained.stderr
    assert "signed wine version 1, and this is wine version 2" in refused.stderr


@LATER
@pytest.mark.parametrize("fault", ["removed", "emptied", "of another kind", "sbom", "card", "record"])
def test_an_attestation_that_is_gone_is_missed(sample: SampleProject, signers: Signers, fault: str) -> None:
    """
    The record still names the signer, which proves nothing.
    """
    signed(sample, signers)
    attestations = kept(sample, "signature/attestations.jsonl")
    if fault == "removed":
        attestations.unlink()
    elif fault == "record":
        kept(sample, "record.json").unlink()
    else:
        lines = attestations.read_text().splitlines()
        left = {"emptied": [], "of another kind": lines[1:], "sbom": [*lines[:2], *lines[3:]], "card": lines[:-1]}
        attestations.write_text("\n".join(left[fault]))

    refused = sample.run("audit", VERSION, variables=trust(signers, "first"))

    assert (1, True) == (refused.code, "signature" in refused.outputs["broken"]), refused.stderr
    reasons = {
        "sbom": "the store has no attestation of https://cyclonedx.org/bom as key ",
        "card": "attestation/model-card/v1 as key ",
        "record": "has no release record that could be signed",
    }
    assert reasons.get(fault, "the store has ") in refused.stderr


@LATER
def test_an_expired_certificate_is_refused(sample: SampleProject, signers: Signers) -> None:
    """
    Nothing is signed with it, and it is refused where it takes the place of the valid one, as that one after its time.

    One that is valid is accepted, of the authority that the table of the project names.
    """
    (sample.folder / "authority.crt").write_text(signers.text("authority.crt"))
    manifest = sample.folder / "pyproject.toml"
    table = 'authorities = ["authority.crt"]\nidentities = ["release@example.com"]\n'
    manifest.write_text(f"{manifest.read_text()}\n[tool.mlflow-uv.trust]\n{table}")
    sample.commit()
    valid, expired = ("".join(signers.text(f"{name}.crt").splitlines()[1:-1]) for name in ("leaf", "expired"))

    unsigned = sample.run(
        "sign", VERSION, "--certificate", str(signers.folder / "expired.crt"),
        variables={"MLFLOW_UV_SIGNING_KEY": signers.text("expired.pem")},
    )  # fmt: skip
    signed(sample, signers, "leaf", "--certificate", str(signers.folder / "leaf.crt"))
    accepted = sample.run("audit", VERSION)
    attestations = kept(sample, "signature/attestations.jsonl")
    attestations.write_text(attestations.read_text().replace(valid, expired))
    refused = sample.run("audit", VERSION)

    assert (2, 0, 1) == (unsigned.code, accepted.code, refused.code), accepted.stderr
    assert "its certificate is valid from " in unsigned.stderr
    assert "its certificate is valid from " in refused.stderr


@LATER
def test_a_lock_that_was_changed_after_signing_is_named(sample: SampleProject, signers: Signers) -> None:
    """
    In the model, where the chain without signatures finds it, too.
    """
    signed(sample, signers)
    sample.consumer.edit(sample.consumer.model / "mlflow-uv" / "uv.lock", 'name = "six"\n', 'name = "sixer"\n')

    refused = sample.run("rollback", "--to", "1", variables=trust(signers, "first"))
    audited = sample.run("audit", VERSION, variables=trust(signers, "first"))

    assert refused.code != 0
    assert {"lock", "model", "signature"} <= {*audited.outputs["broken"]}
    assert "mlflow-uv/uv.lock" in audited.stderr


@LATER
def test_nothing_that_is_broken_is_signed(sample: SampleProject, signers: Signers) -> None:
    """
    A signature says that somebody verified the chain.
    """
    sample.consumer.edit(sample.consumer.model / "requirements.txt", "six==1.17.0", "six==1.16.0")

    refused = sample.run("sign", VERSION, "--signing-key", str(signers.folder / "first.pem"))

    assert CHAIN_BROKEN == refused.code
    assert [] == [*(sample.consumer.store / "artifacts").glob("**/signature")]


@LATER
def test_a_downloaded_model_is_verified_without_its_store(
    sample: SampleProject, signers: Signers, tmp_path: Path
) -> None:
    """
    With its attestations and a key; what was exchanged is named.
    """
    signed(sample, signers)
    (tmp_path / "b.jsonl").write_bytes(kept(sample, "signature/attestations.jsonl").read_bytes())
    flags = ("--attestations", str(tmp_path / "b.jsonl"), "--public-key", str(signers.folder / "first.pub"))
    unreachable = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}

    valid = sample.run("verify-chain", str(sample.consumer.model), *flags, variables=unreachable)
    rewrite(sample)
    changed = sample.run("verify-chain", str(sample.consumer.model), *flags, variables=unreachable)

    assert (0, VERSION) == (valid.code, valid.outputs["signed-version"]), valid.stderr
    assert (1, ["model"]) == (changed.code, changed.outputs["broken"])
    assert "python_model.pkl" in changed.stderr


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, registry_program: str) -> Iterator[str]:
    """A registry, without the API for referrers."""
    with registry(tmp_path_factory.mktemp("registry"), registry_program) as name:
        yield name


@LATER
@pytest.mark.engine
def test_an_image_is_signed_with_its_version(sample: SampleProject, signers: Signers, host: str) -> None:
    """
    A tag that moved, and attestations that were taken from the registry, are refused by image and by version.

    Neither promoted nor deployed, as well.
    """
    manifest, trusted = sample.folder / "pyproject.toml", trust(signers, "first")
    manifest.write_text(f'{manifest.read_text()}\n[tool.mlflow-uv.deploy.prod]\ntarget = "compose"\n')
    sample.commit()
    built = sample.run("build-image", "--engine", "docker", "--push", "--image", f"{host}/cellar/signed")
    tested = sample.run("smoke-test")
    name, digest = built.outputs["image"], built.outputs["image-digest"]
    remove_image(built.outputs["image-id"])
    signing = signed(sample, signers)
    flags = ("--public-key", str(signers.folder / "first.pub"))

    valid = sample.run("verify-chain", name, *flags)
    for words in (("tag", BASE, name), ("push", "--quiet", name), ("rmi", name)):
        subprocess.run(("docker", *words), check=True, capture_output=True)
    moved = sample.run("verify-chain", name, *flags)
    promoted = sample.run("promote", variables=trusted)
    planned = sample.run("deploy", VERSION, "--target", "prod", "--dry-run", variables=trusted)
    by_digest = sample.run("verify-chain", f"{name.rpartition(':')[0]}@{digest}", *flags)
    empty = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    url = f"http://{host}/v2/cellar/signed/manifests/{digest.replace(':', '-')}"
    request = urllib.request.Request(url, data=empty, headers={"Content-Type": INDEX}, method="PUT")
    with urllib.request.urlopen(request):
        pass
    removed = sample.run("audit", VERSION, variables=trusted)

    assert [0, 0, 0] == [one.code for one in (built, tested, valid)], valid.stderr
    assert "with the image" in signing.answer["summary"]
    assert VERSION == valid.outputs["signed-version"]
    assert (1, ["signature"]) == (moved.code, moved.outputs["broken"]), moved.stderr
    assert (1, ["gate-chain"], CHAIN_BROKEN) == (promoted.code, promoted.rules, planned.code), promoted.stderr
    assert [True, True] == ["image" in one.stderr for one in (promoted, planned)]
    assert (1, ["image"]) == (by_digest.code, by_digest.outputs["broken"]), by_digest.stderr  # the tag of its version
    assert {"signature", "image"} == {*removed.outputs["broken"]}
    assert f"the registry, of {name}, has no attestation of wine version 1" in removed.stderr


@LATER
def test_a_version_is_signed_by_a_workflow_without_a_key(
    sample: SampleProject, signers: Signers, tmp_path: Path
) -> None:
    """
    Another ref of the same repository is not trusted, and what was signed is the version, file by file.
    """
    with sigstore(signers.program.python, tmp_path / "sigstore") as folder:
        root = json.dumps((folder / "trusted_root.json").read_text())
        settings = 'repositories = ["org/wine"]\nrefs = ["{}"]\n'
        trusting, others = (
            {"MLFLOW_UV_TRUST": f"sigstore = {root}\n{settings.format(ref)}"}
            for ref in ("refs/heads/main", "refs/tags/v*")
        )
        unsigned = sample.run("audit", VERSION, variables=trusting)
        fix = unsigned.answer["findings"][0]["fix"].removeprefix("mlflow-uv ")
        pull, main, again = (
            sample.run(
                *fix.replace("FILE", str(folder / "config.json")).split(),
                variables={"MLFLOW_UV_IDENTITY_TOKEN": (folder / f"{name}.token").read_text()},
            )
            for name in ("pull", "main", "again")
        )  # fmt: skip
        token = (folder / "main.token").read_text()

    audited = sample.run("audit", VERSION, variables=trusting)
    other = sample.run("audit", VERSION, variables=others)
    rewrite(sample)
    rewritten = sample.run("audit", VERSION, variables=trusting)

    assert f"sign --version-uri {VERSION} --sigstore FILE" == fix
    assert [(0, True), (0, True), (0, False)] == [(one.code, one.outputs["signed"]) for one in (pull, main, again)]
    assert (0, True) == (audited.code, "signature" in audited.outputs["holds"]), audited.stderr
    assert (1, ["signature"]) == (other.code, other.outputs["broken"])
    assert "which is not trusted" in other.stderr
    assert (1, ["signature"]) == (rewritten.code, rewritten.outputs["broken"])
    assert "`model` of the release record is not what https://github.com/org/wine/" in rewritten.stderr
    assert token not in "".join(one.stdout + one.stderr for one in (pull, main, again, audited))
