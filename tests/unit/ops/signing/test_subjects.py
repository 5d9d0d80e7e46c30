"""Tests images and folders that are verified with a file of attestations, without a store; with the real program."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.signing.statement import SBOM, statements
from mlflow_uv.core.signing.trust_policy import TrustPolicy
from mlflow_uv.ops.signing.subjects import checked_image, checked_model
from mlflow_uv.ops.signing.trust import TrustSettings
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.system.content import digests_in
from mlflow_uv.tools.toolbox import Tools
from tests.sharing import SharedFolder
from tests.signers import Signers, make_signers
from tests.unit.core.release.test_record import WHOLE

pytestmark = pytest.mark.installs

DIGEST, OTHER = f"sha256:{'5' * 64}", f"sha256:{'7' * 64}"


@pytest.fixture(scope="module")
def signers(shared: SharedFolder) -> Signers:
    """See make_signers."""
    return make_signers(shared)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A downloaded model, with the file that MLflow adds."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("weights")
    (folder / "registered_model_meta").write_text("added")
    return folder


@pytest.fixture
def attestations(signers: Signers, model: Path, tmp_path: Path) -> Path:
    """A file with the attestations of a version with that model and an image, signed by the first key."""
    link = replace(WHOLE.model, sha256=tree_digest(digests_in(model)))
    assert WHOLE.image is not None
    image = replace(WHOLE.image, kind="image", digest=DIGEST)
    texts = statements(replace(WHOLE, model=link, image=image), digests_in(model), ((SBOM, {}),))
    signed = signers.sign(signers.private("first"), model, *texts)
    file = tmp_path / "attestations.jsonl"
    file.write_text("".join(f"{bundle}\n" for bundle in signed.bundles))
    return file


def trusting(signers: Signers, name: str) -> TrustSettings:
    """Trust in one key."""
    return TrustSettings(policy=TrustPolicy(keys=(name,)), keys=signers.trusting(name), origin=name)


def tools_of(signers: Signers, *, answers: bool = False) -> Tools:
    """Tools whose environment for signing is there; the registry has DIGEST under a tag, or does not answer."""
    program = signers.program
    inventory = '{"installed": [], "marker_environment": {"python_full_version": "3.11.7", "sys_platform": "linux"}}'
    environment = SimpleNamespace(python=program.python, make_once=lambda *_, **__: None)

    def digest_of_tag(_: str) -> str:
        if not answers:
            raise RegistryUnanswered("nobody answers")
        return DIGEST

    return cast(
        "Tools",
        SimpleNamespace(
            host=SimpleNamespace(ours=Path(__file__).resolve().parents[4], python=program.python, variables={}),
            runner=program.runner,
            servers=SimpleNamespace(inventory=lambda _: inventory),
            environments=SimpleNamespace(serving=lambda _: environment),
            registries=SimpleNamespace(digest_of_tag=digest_of_tag, attached=lambda *_: ()),
        ),
    )


def test_a_downloaded_model_is_verified_without_a_store(signers: Signers, model: Path, attestations: Path) -> None:
    """
    With a bundle and a key; a changed file, an added one and another key are refused by name.
    """
    tools = tools_of(signers)

    valid = checked_model(model, attestations, trusting(signers, "first"), tools)
    untrusted = checked_model(model, attestations, trusting(signers, "second"), tools)
    (model / "hook.py").write_text("import os")
    changed = checked_model(model, attestations, trusting(signers, "first"), tools)

    assert [LinkState.HOLDS, LinkState.HOLDS] == [check.state for check in valid.checks]
    assert ["signature"] == [check.link for check in untrusted.checks if check.state is LinkState.BROKEN]
    assert "is not trusted" in untrusted.checks[0].reason
    assert ("model", "`model` is not what was signed: hook.py") == (changed.checks[1].link, changed.checks[1].reason)


def test_an_image_is_verified_by_its_digest(signers: Signers, attestations: Path) -> None:
    """
    Without its registry where the digest is given; a tag that moved to another image is refused.
    """
    tools, trust = tools_of(signers), trusting(signers, "first")

    valid = checked_image(f"wine@{DIGEST}", attestations, trust, tools)
    moved = checked_image(f"wine@{OTHER}", attestations, trust, tools)
    by_tag = checked_image("wine:7", attestations, trust, tools_of(signers, answers=True))
    removed = checked_image("wine:7", None, trust, tools_of(signers, answers=True))

    assert [LinkState.HOLDS] * 4 == [check.state for check in (*valid.checks, *by_tag.checks)]
    assert f"`image` is {OTHER}, and wine version 7 was signed with {DIGEST}" == moved.checks[1].reason
    assert (LinkState.BROKEN, "there is no attestation of wine:7") == (
        removed.checks[0].state, removed.checks[0].reason,
    )  # fmt: skip


def test_a_registry_that_does_not_answer_is_not_an_image_without_attestations(signers: Signers) -> None:
    """
    It ends with the reason.
    """
    with pytest.raises(BadInput, match="`wine:7` cannot be verified") as raised:
        checked_image("wine:7", None, trusting(signers, "first"), tools_of(signers))

    assert "nobody answers" == raised.value.why


def test_a_statement_that_was_taken_away_is_missed(signers: Signers, model: Path, attestations: Path) -> None:
    """
    The chain lists what was signed with it; another SBOM of the same signer does not take the place of it.
    """
    chain, provenance, sbom = attestations.read_text().splitlines()
    tools = tools_of(signers)
    (other,) = signers.sign(signers.private("first"), model, statements(WHOLE, (), ((SBOM, {"a": 1}),))[2]).bundles
    reasons = []

    for lines in ((chain, provenance), (chain, provenance, other), (chain, provenance, sbom)):
        attestations.write_text("".join(f"{line}\n" for line in lines))
        found = checked_model(model, attestations, trusting(signers, "first"), tools)
        reasons.append([check.reason for check in found.checks if check.state is LinkState.BROKEN])

    absent = "has no attestation of https://cyclonedx.org/bom as key "
    assert [1, 1, 0] == [len(found) for found in reasons]
    assert all(absent in found[0] for found in reasons[:2]), reasons
