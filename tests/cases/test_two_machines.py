"""Two machines with one tracking server that write the release record of one version."""

from pathlib import Path

import pytest

from tests.signers import Signers

from .sample_project import SampleProject, error
from .signed_versions import VERSION, stored_record, trust

pytestmark = pytest.mark.extended

CHAIN_BROKEN = 11


@pytest.fixture
def elsewhere(sample: SampleProject, tmp_path: Path) -> dict[str, str]:
    """The variables of a machine with the same store and project, and no record file and no locks in common."""
    home, own = tmp_path / "other home", sample.consumer.home
    (home / "state").mkdir(parents=True)
    (home / "state" / "stores").symlink_to(own / "state" / "stores")
    (home / "cache").symlink_to(own / "cache")
    return {"MLFLOW_UV_HOME": str(home)}


def test_a_signature_and_results_of_verify_at_the_same_time_are_both_kept(
    sample: SampleProject, signers: Signers, elsewhere: dict[str, str]
) -> None:
    """
    One machine signs while the other one tries a way of serving; the record of the store has both.
    """
    key = {"MLFLOW_UV_SIGNING_KEY": signers.text("first.pem")}

    processes = (
        sample.start("verify", VERSION, "--ways", "locked-load"),
        sample.start("sign", VERSION, variables={**elsewhere, **key}),
    )
    verified, signing = (sample.ended(process) for process in processes)
    audited = sample.run("audit", VERSION, variables=trust(signers, "first"))

    record = stored_record(sample)
    assert (0, 0) == (verified.code, signing.code), f"{verified.stderr}{signing.stderr}"
    assert record.verification is not None
    assert (["locked-load"], True) == ([way.way for way in record.verification.ways], record.signature is not None)
    assert (0, []) == (audited.code, audited.outputs["broken"]), audited.stderr


def test_a_release_goes_on_from_the_record_that_another_machine_wrote(
    sample: SampleProject, signers: Signers, elsewhere: dict[str, str]
) -> None:
    """
    A step alone refuses its record from before, with `release` as the fix, which keeps the signature.
    """
    variables = {**elsewhere, "MLFLOW_UV_SIGNING_KEY": signers.text("first.pem")}
    assert 0 == sample.run("sign", VERSION, variables=variables).code
    link = stored_record(sample).signature

    refused = sample.run("smoke-test")
    released = sample.run("release", "--engine", "none")
    audited = sample.run("audit", VERSION, variables=trust(signers, "first"))

    code, _, why, fix = error(refused)
    assert (CHAIN_BROKEN, True, "mlflow-uv release") == (code, "`record`" in why, fix)
    assert (0, "1") == (released.code, released.outputs["version"]), released.stderr
    assert (0, []) == (audited.code, audited.outputs["broken"]), audited.stderr
    assert "signature" in audited.outputs["holds"]
    assert link is not None
    assert link == stored_record(sample).signature
