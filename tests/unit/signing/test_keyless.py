"""Tests that Sigstore's certificates and log entries are used and verified, with a Sigstore of the test."""

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.signing.signer import (
    KeptSignatures,
    SignedStatements,
    TrustedKeys,
    VerifiedBundle,
    WorkflowIdentity,
)
from tests.signers import Signers
from tests.sigstores import sigstore
from tests.timestamp_authority import timestamp_authority

pytestmark = pytest.mark.installs

GITHUB = "https://token.actions.githubusercontent.com"
MAIN = "https://github.com/org/wine/.github/workflows/release.yml@refs/heads/main"
SHARED = "https://github.com/org/shared/.github/workflows/sign.yml@refs/heads/main"
WINE, VINE = (
    json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://example.com/size",
        "predicate": {},
    })
    for name in ("wine", "vine")
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Sigstore:
    """The folder of a Sigstore, the program, and a model."""

    folder: Path
    signers: Signers
    model: Path

    @property
    def trust(self) -> TrustedKeys:
        """Trust in the workflow on main."""
        return TrustedKeys(
            keys=(), authorities=(), identities=(), revoked=(),
            sigstore=(self.folder / "trusted_root.json").read_text(),
            issuers=(GITHUB,), repositories=("org/wine",), refs=("refs/heads/main",),
            workflows=("org/wine/.github/workflows/release.yml",),
        )  # fmt: skip

    def sign(self, token: str, *statements: str, earlier: SignedStatements | None = None) -> SignedStatements:
        """Sign with one of the tokens."""
        kept = KeptSignatures(
            bundles=earlier.bundles if earlier else (), model_signature=earlier.model_signature if earlier else ""
        )
        identity = WorkflowIdentity(
            shown=token,
            token=(self.folder / f"{token}.token").read_text(),
            sigstore=(self.folder / "config.json").read_text(),
        )
        return self.signers.program.sign_keyless(
            statements, identity, self.model, ignored=("registered_model_meta",), earlier=kept
        )

    def verify(self, trust: TrustedKeys, *bundles: str) -> list[VerifiedBundle]:
        """What is known about each bundle."""
        return [*self.signers.program.verify(bundles, trust)]


@pytest.fixture
def service(signers: Signers, tmp_path: Path) -> Iterator[Sigstore]:
    """A Sigstore of the test."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.pkl").write_text("weights")
    (model / "registered_model_meta").write_text("added")
    with sigstore(signers.program.python, tmp_path / "sigstore") as folder:
        yield Sigstore(folder=folder, signers=signers, model=model)


def test_a_workflow_signs_and_is_not_asked_to_sign_again(service: Sigstore, tmp_path: Path) -> None:
    """
    OpenSSF's own command verifies the model's signature, and another run of the workflow adds nothing.
    """
    signed = service.sign("main", WINE, VINE)
    again = service.sign("again", WINE, VINE, earlier=signed)
    other = service.sign("pull", WINE, earlier=signed)
    (tmp_path / "model.sig").write_text(signed.model_signature)
    command = (
        service.signers.program.python.with_name("model_signing"), "verify", "sigstore", service.model,
        "--signature", tmp_path / "model.sig", "--identity", MAIN, "--identity_provider", GITHUB,
        "--trust_config", service.folder / "config.json",
    )  # fmt: skip

    found = service.verify(service.trust, *signed.bundles, signed.model_signature)
    (service.model / "registered_model_meta").unlink()
    valid = subprocess.run(command, capture_output=True, text=True, check=False)
    (service.model / "model.pkl").write_text("others")
    changed = subprocess.run(command, capture_output=True, text=True, check=False)

    signer = f"{MAIN} (identity of {GITHUB})"
    assert [(signer, "")] * 3 == [(one.signer, one.problem) for one in found]
    assert [WINE, VINE] == [one.payload for one in found[:2]]
    assert (signer, signed) == (signed.signer, again)
    assert not {*other.bundles} & {*signed.bundles}
    assert (0, 1) == (valid.returncode, changed.returncode), valid.stdout + valid.stderr


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("pull", "for the ref refs/pull/7/merge, which is not trusted"),
        (
            "repository",
            f"evil/wine for refs/heads/main (identity of {GITHUB}), whom the project does not trust",
        ),
        ("issuer", "(identity of https://idp.evil.example), and the issuer is not trusted"),
        ("workflow", "other.yml@refs/heads/main (identity of"),
    ],
)
def test_another_identity_is_refused(service: Sigstore, token: str, why: str) -> None:
    """
    The same Sigstore gave it a certificate that is as valid.
    """
    (bundle,) = service.sign(token, WINE).bundles

    (found,) = service.verify(service.trust, bundle)

    assert (True, True, "") == (why in found.problem, found.untrusted, found.payload), found.problem


def test_the_name_of_a_workflow_is_trusted_in_its_own_repository_and_ref_alone(service: Sigstore) -> None:
    """
    Whoever calls a reusable workflow gets a certificate with the name of it.
    """
    named = replace(service.trust, identities=(MAIN, SHARED), repositories=(), refs=(), workflows=())
    calling = replace(named, repositories=("org/vine",), refs=("refs/heads/main",))
    other_workflow = replace(calling, workflows=(MAIN,))
    bundles = [service.sign(token, WINE).bundles[0] for token in ("main", "calling", "branch")]

    found = [one.problem for one in service.verify(named, *bundles)]
    found += [one.problem for trust in (calling, other_workflow) for one in service.verify(trust, bundles[1])]

    caller = f"it is signed by {SHARED} run by https://github.com/org/vine for refs/heads/main (identity of {GITHUB})"
    branch = f"it is signed by {MAIN} run by https://github.com/org/wine for refs/heads/topic (identity of {GITHUB})"
    unnamed = "whose repository is not in `repositories`"
    assert ["", f"{caller}, {unnamed}", f"{branch}, {unnamed}"] == found[:3]
    assert ["", f"{caller}, and the workflow is not trusted"] == found[3:]


def test_what_is_exchanged_in_a_bundle_is_refused(service: Sigstore) -> None:
    """
    The entry of another bundle, no time of a log, another statement, and a Sigstore that is not trusted.
    """
    first, second = (json.loads(bundle) for bundle in service.sign("main", WINE, VINE).bundles)
    entries = {**first, "verificationMaterial": {**first["verificationMaterial"]}}
    entries["verificationMaterial"]["tlogEntries"] = second["verificationMaterial"]["tlogEntries"]
    untimed = json.loads(json.dumps(first))
    del untimed["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    moved = json.loads(json.dumps(first))
    moved["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1"
    statement = {**first, "dsseEnvelope": {**first["dsseEnvelope"], "payload": second["dsseEnvelope"]["payload"]}}
    certificate = json.loads(json.dumps(first))
    certificate["verificationMaterial"]["certificate"]["rawBytes"] = "Z2FyYmFnZQ=="
    bundles = [json.dumps(one) for one in (entries, untimed, moved, statement, certificate)]
    public = replace(service.trust, sigstore="")

    valid, *found = service.verify(service.trust, json.dumps(first), *bundles)
    (untrusted,) = service.verify(public, json.dumps(first))

    assert "" == valid.problem
    assert [""] * 5 == [one.payload for one in found]
    assert all(one.problem for one in found), found
    assert "must contain an inclusion promise" in found[1].problem
    assert "it is signed without a key, and no Sigstore is trusted" == untrusted.problem


def test_a_log_entry_from_after_the_certificate_is_refused(service: Sigstore, tmp_path: Path) -> None:
    """
    As the bundle of another Sigstore is, whose trusted root is not that of the project.
    """
    (before,) = service.sign("main", WINE).bundles
    (service.folder / "clock").write_text("1")
    (late,) = service.sign("main", WINE).bundles
    with sigstore(service.signers.program.python, tmp_path / "other") as other:
        root = (other / "trusted_root.json").read_text()

    found = service.verify(service.trust, before, late)
    (strange,) = service.verify(replace(service.trust, sigstore=root), before)

    assert ["", True] == [found[0].problem, "is not one of the trusted Sigstore at that time" in found[1].problem]
    assert strange.untrusted


@pytest.mark.extended
def test_the_command_of_sigstore_verifies_an_attestation(service: Sigstore, tmp_path: Path) -> None:
    """
    By the digest of its subject; another digest, another identity and a changed statement are refused.
    """
    (bundle,) = service.sign("main", WINE).bundles
    changed = json.loads(bundle)
    changed["dsseEnvelope"]["payload"] = base64.b64encode(VINE.encode()).decode()
    for name, text in (("chain", bundle), ("changed", json.dumps(changed))):
        (tmp_path / f"{name}.json").write_text(text)
    program = (str(service.signers.program.python), "-I", "-m", "sigstore", "--trust-config")

    def verified(name: str, *, identity: str = MAIN, digest: str = "0" * 64) -> bool:
        command = (
            *program, str(service.folder / "config.json"), "verify", "identity", "--offline",
            "--bundle", str(tmp_path / f"{name}.json"), "--cert-identity", identity, "--cert-oidc-issuer", GITHUB,
            f"sha256:{digest}",
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "usage:" not in done.stderr, done.stderr
        return done.returncode == 0

    found = [
        verified("chain"), verified("chain", digest="1" * 64), verified("chain", identity=SHARED), verified("changed"),
    ]  # fmt: skip

    assert [True, False, False, False] == found


def test_a_token_that_fulcio_refuses_signs_nothing_and_is_not_shown(service: Sigstore) -> None:
    """
    Nor does one that cannot be read.
    """
    forged = (service.folder / "forged.token").read_text()
    (service.folder / "none.token").write_text("no token")

    reasons = []
    for token in ("expired", "audience", "subjectless"):
        with pytest.raises(BadInput) as raised:
            service.sign(token, WINE)
        reasons.append(raised.value.why)
    with pytest.raises(BadInput) as refused:
        service.sign("forged", WINE)
    with pytest.raises(BadInput) as unread:
        service.sign("none", WINE)

    assert str(refused.value.why).startswith("Sigstore does not sign: 400 ")
    assert [
        "the identity token has expired",
        "the identity token is for another audience than `sigstore`",
        "the identity token has no claim `sub`",
    ] == reasons
    assert "token is malformed" in str(unread.value.why)
    assert forged.split(".")[2] not in f"{refused.value} {refused.value.why}"


@pytest.mark.extended
def test_an_entry_of_rekor_2_counts_with_the_time_of_an_authority(signers: Signers, tmp_path: Path) -> None:
    """
    Its log states no time: a bundle without a timestamp is refused.

    So is one with that of another signature, of a clock that is a day off, or with the entry of another bundle.
    """
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.pkl").write_text("weights")
    chain = tuple(str(signers.folder / f"{name}.crt") for name in ("clock", "clock-root"))
    python = signers.program.python
    with (
        timestamp_authority(signers.folder, "clock", tmp_path / "clock") as url,
        sigstore(python, tmp_path / "sigstore", url, *chain) as folder,
    ):
        service = Sigstore(folder=folder, signers=signers, model=model)
        signed = service.sign("main", WINE, VINE)
    with (
        timestamp_authority(signers.folder, "clock", tmp_path / "off", clock="-1 days") as url,
        sigstore(python, tmp_path / "other", url, *chain) as folder,
    ):
        other = Sigstore(folder=folder, signers=signers, model=model)
        (late,) = other.sign("main", WINE).bundles
    wine, vine = (json.loads(bundle) for bundle in signed.bundles)
    material = wine["verificationMaterial"]
    (entry,) = material["tlogEntries"]
    strange = vine["verificationMaterial"]
    stamp = "timestampVerificationData"
    exchanged = [
        {**material, stamp: {"rfc3161Timestamps": []}},
        {**material, stamp: strange[stamp]},
        {**material, "tlogEntries": strange["tlogEntries"]},
    ]

    found = service.verify(
        service.trust, signed.bundles[0], signed.model_signature,
        *(json.dumps({**wine, "verificationMaterial": one}) for one in exchanged),
    )  # fmt: skip
    (too_early,) = other.verify(other.trust, late)

    assert ("hashedrekord", "0.0.2") == (entry["kindVersion"]["kind"], entry["kindVersion"]["version"])
    assert [True, True, False, False, False, False] == [one.problem == "" for one in (*found, too_early)], found
