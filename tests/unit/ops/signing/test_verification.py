"""Tests which attestations are about a version, and what each plausible and wrong one is refused for."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import StoreUnreachable
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.core.release.digests import sha256, tree_digest
from mlflow_uv.core.release.record import SignatureLink, VersionLink
from mlflow_uv.core.signing.statement import MODEL_FILES, STATEMENT, statements
from mlflow_uv.core.signing.trust_policy import TrustLevel, TrustPolicy
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.signing.trust import TrustSettings
from mlflow_uv.ops.signing.verification import (
    SignedVersion,
    from_signature,
    model_problems,
    place_problem,
    valid_signers,
)
from mlflow_uv.tools.signing.signer import TrustedKeys, VerifiedBundle
from mlflow_uv.tools.system.content import digests_in
from tests.messages import VERSION
from tests.unit.core.release.test_record import OTHER_IMAGE, WHOLE

NOBODY = TrustedKeys(keys=(), authorities=(), identities=(), revoked=())
DESCRIPTION = replace(VERSION, name="wine", version="7")


@pytest.fixture
def version(tmp_path: Path) -> SignedVersion:
    """Version 7 of wine, whose model has one file."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("weights")
    link = replace(WHOLE.model, sha256=tree_digest(digests_in(model)))
    return SignedVersion(description=DESCRIPTION, record=replace(WHOLE, model=link, signature=None), model=model)


def signed(version: SignedVersion, *, problem: str = "") -> VerifiedBundle:
    """The attestation of the chain of a version, as it is now."""
    assert version.record is not None
    payload = statements(version.record, digests_in(version.model), ())[0]
    return bundle_of(payload, problem=problem)


def provenance(version: SignedVersion) -> VerifiedBundle:
    """The attestation that is signed with the chain of a version."""
    assert version.record is not None
    return bundle_of(statements(version.record, digests_in(version.model), ())[1])


def bundle_of(payload: str, *, signer: str = "key 1", problem: str = "", untrusted: bool = False) -> VerifiedBundle:
    """A bundle with a statement, which has a payload only if it is trusted."""
    return VerifiedBundle(
        payload="" if problem else payload,
        signer=signer,
        problem=problem,
        statement=sha256(payload.encode()),
        untrusted=untrusted,
    )


def test_one_valid_attestation_among_others_is_enough(version: SignedVersion) -> None:
    """
    Statements of other kinds, and those of signers who are not trusted any more, do not count.
    """
    assert version.record is not None
    other = VerifiedBundle(payload=statements(version.record, (), ())[1], signer="key 1", problem="")
    revoked = signed(version, problem="the key 2 is revoked")

    assert "" == place_problem("the store", (other, revoked, signed(version), provenance(version)), version)
    assert "the store has no attestation of https://slsa.dev/provenance/v1 as key 1 signed it with the chain" == (
        place_problem("the store", (revoked, signed(version)), version)
    )


def test_an_attestation_that_is_missing_or_untrusted_is_named(version: SignedVersion) -> None:
    """
    With the place that has none, and the reason why each one there does not count.
    """
    untrusted = signed(version, problem="the key 2 is not trusted")
    assert version.record is not None
    other = VerifiedBundle(payload=statements(version.record, (), ())[1], signer="key 1", problem="")

    assert "the store has no attestation of wine version 7" == place_problem("the store", (), version)
    assert "the store has no attestation of wine version 7 that is trusted: the key 2 is not trusted" == (
        place_problem("the store", (untrusted, untrusted), version)
    )
    assert "the store has attestations, and none about the chain of wine version 7" == (
        place_problem("the store", (other,), version)
    )


def test_a_signature_of_another_version_is_not_replayed(version: SignedVersion) -> None:
    """
    Even if it is of the same model under another number.
    """
    assert version.record is not None
    older = replace(version.record, version=VersionLink(name="wine", version="6", model_id="m-1"))

    found = place_problem("the store", (signed(replace(version, record=older)),), version)

    assert "key 1 signed wine version 6, and this is wine version 7" == found


def test_a_record_that_was_rewritten_names_the_links(version: SignedVersion) -> None:
    """
    A record, its tags and its model that fit each other are not what was signed.
    """
    attestation = signed(version)
    (version.model / "MLmodel").write_text("weights of another model")
    assert version.record is not None
    forged = replace(
        version.record,
        model=replace(version.record.model, sha256=tree_digest(digests_in(version.model))),
        lock=replace(version.record.lock, sha256="9" * 64),
    )

    found = place_problem("the store", (attestation,), replace(version, record=forged))

    assert "`lock`, `model` of the release record is not what key 1 signed" == found


def test_files_of_the_model_that_changed_are_named(version: SignedVersion) -> None:
    """
    Where the record was left as it was.
    """
    attestation = signed(version)
    (version.model / "MLmodel").write_text("others")
    (version.model / "hook.py").write_text("")

    found = place_problem("the store", (attestation,), version)

    assert "`model` is not what key 1 signed: MLmodel, hook.py" == found


def test_the_record_leads_to_the_statement(version: SignedVersion) -> None:
    """
    It may be that of another signer, who signed after a step added something to the record.
    """
    assert version.record is not None
    attestation = signed(version)
    right = SignatureLink(signer="key 1", statement=sha256(attestation.payload.encode()))
    both = (attestation, provenance(version))

    found = [
        place_problem("the store", both, replace(version, record=replace(version.record, signature=link)))
        for link in (right, replace(right, statement="0" * 64))
    ]

    added = replace(version.record, alias=None)
    assert added != version.record
    later = signed(replace(version, record=added), problem="the key 2 is not trusted")
    rotated = replace(version, record=replace(added, signature=replace(right, statement=later.statement)))
    lost = "the release record names a statement of which the store has no attestation"
    assert ["", lost] == found
    assert "" == place_problem("the store", (*both, later), rotated)


def test_the_signer_is_the_one_whose_signature_was_verified(version: SignedVersion) -> None:
    """
    Never the one whom the record names, one who is not trusted, or one who signed another version.
    """
    assert version.record is not None
    payload = signed(version).payload
    older = replace(version.record, version=VersionLink(name="wine", version="6", model_id="m-1"))
    other = replace(signed(replace(version, record=older)), signer="key 3")
    untrusted = bundle_of(payload, signer="key 2", problem="the key 2 is not trusted", untrusted=True)
    link = SignatureLink(signer="ceo@bank.example (key 9)", statement=sha256(payload.encode()))
    forged = replace(version, record=replace(version.record, signature=link))

    found = valid_signers((bundle_of(payload), other, bundle_of(payload, signer="key 4"), untrusted), forged)

    assert ("key 1", "key 4") == found


def resources(version: SignedVersion, **parts: object) -> str:
    """The statement of OpenSSF Model Signing about the files of a version."""
    listed = [
        {"name": str(path), "algorithm": "sha256", "digest": digest} for path, digest in digests_in(version.model)
    ]
    content = {"_type": STATEMENT, "predicateType": MODEL_FILES, "predicate": {"resources": listed}}
    return json.dumps({**content, **parts})


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        ({}, None, ""),
        ({"problem": "it is not a Sigstore bundle"}, LinkState.BROKEN, "it is not a Sigstore bundle"),
        ({"problem": "the key 2 is not trusted", "untrusted": True}, LinkState.UNVERIFIED, "the key 2 is not trusted"),
        ({"payload": "chain"}, LinkState.BROKEN, "it is not about the files of a model"),
        ({"payload": "others"}, LinkState.BROKEN, "it is of other files: MLmodel"),
    ],
)
def test_the_signature_of_the_model_is_verified_where_it_is(
    version: SignedVersion, fault: dict[str, Any], state: LinkState | None, reason: str
) -> None:
    """
    One that its own command would refuse is named; an earlier signer's is left to the next one who signs.
    """
    payloads = {
        "chain": signed(version).payload,
        "others": resources(version).replace(dict(digests_in(version.model))[PurePosixPath("MLmodel")], "0" * 64),
    }
    payload = payloads.get(str(fault.get("payload")), resources(version))

    found = [*model_problems(bundle_of(payload, **{k: v for k, v in fault.items() if k != "payload"}), version)]

    assert ([] if state is None else [state]) == [check.state for check in found]
    assert all(check.reason.startswith("model.sig in the store ") and reason in check.reason for check in found)


@pytest.mark.parametrize(
    ("level", "states"),
    [
        (TrustLevel.OFF, []),
        (TrustLevel.WARN, [LinkState.UNVERIFIED]),
        (TrustLevel.REQUIRE, [LinkState.BROKEN]),
    ],
)
def test_the_policy_decides_what_a_version_without_a_signature_is(
    version: SignedVersion, level: TrustLevel, states: list[LinkState]
) -> None:
    """
    Also where the store does not answer: what cannot be verified is not valid.
    """

    def unreachable(*_: object, **__: object) -> None:
        raise StoreUnreachable(what="the tracking server does not answer", why="down")

    registry = cast("RegistryClient", SimpleNamespace(client=SimpleNamespace(download_record=unreachable)))
    trust = TrustSettings(policy=TrustPolicy(policy=level, keys=("k",)), keys=NOBODY, origin="pyproject.toml")

    checks = from_signature(version, registry, trust).checks

    assert states == [check.state for check in checks]
    assert {"the attestations in the store cannot be read: down"} >= {check.reason for check in checks}


@pytest.mark.parametrize(
    ("level", "state"), [(TrustLevel.REQUIRE, LinkState.BROKEN), (TrustLevel.WARN, LinkState.UNVERIFIED)]
)
def test_a_record_that_was_removed_is_refused_where_signatures_are_required(
    version: SignedVersion, level: TrustLevel, state: LinkState
) -> None:
    """
    Elsewhere nobody can tell such a version from one that never had a record: its tags can be removed, too.
    """
    trust = TrustSettings(policy=TrustPolicy(policy=level, keys=("k",)), keys=NOBODY, origin="pyproject.toml")

    found = from_signature(replace(version, record=None), cast("RegistryClient", None), trust)

    assert [(state, "wine version 7 has no release record that could be signed")] == [
        (check.state, check.reason) for check in found.checks
    ]


def test_a_model_from_before_signing_is_named_by_its_digest(version: SignedVersion) -> None:
    """
    Nobody can give another model that digest; a version without a record has none.
    """
    assert version.record is not None
    version = replace(version, record=replace(version.record, image=None))
    assert version.record is not None
    policy = TrustPolicy(keys=("k",), unsigned=(version.record.model.sha256,))
    trust = TrustSettings(policy=policy, keys=NOBODY, origin="pyproject.toml")
    registry = cast("RegistryClient", None)

    found = from_signature(version, registry, trust)
    (older,), (without,) = found.checks, from_signature(replace(version, record=None), registry, trust).checks

    assert (LinkState.HOLDS, LinkState.BROKEN, ()) == (older.state, without.state, found.signers)
    assert "wine version 7 has no release record that could be signed" == without.reason


@pytest.mark.parametrize(
    ("digest", "listed", "holds"),
    [("", "1" * 64, True), ("sha256:" + "5" * 64, "5" * 64, True), ("sha256:" + "5" * 64, "1" * 64, False)],
)
def test_an_image_from_before_signing_is_listed_too(
    version: SignedVersion, digest: str, listed: str, *, holds: bool
) -> None:
    """
    Another image with a record that fits it has another digest; the id counts only for one that was not pushed.
    """
    assert version.record is not None
    image = replace(OTHER_IMAGE, kind="image", id="sha256:" + "1" * 64, digest=digest)
    model = version.record.model.sha256
    version = replace(version, record=replace(version.record, image=image))
    registry = cast("RegistryClient", None)

    found = []
    for digests in ((model,), (model, listed)):
        policy = TrustPolicy(keys=("k",), unsigned=digests)
        trust = TrustSettings(policy=policy, keys=NOBODY, origin="pyproject.toml")
        found += [check.state for check in from_signature(version, registry, trust).checks]

    assert [LinkState.BROKEN, LinkState.HOLDS if holds else LinkState.BROKEN] == found
