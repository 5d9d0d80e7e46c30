"""Tests that a certificate that has expired counts with the time of a trusted authority, and only then."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from tests.conftest import missing
from tests.signers import Signers
from tests.timestamp_authority import timestamp_authority

pytestmark = pytest.mark.installs

LATER = pytest.mark.extended

DAY_BEFORE = "-2 days"  # the certificate `late` expired one day ago
EXPIRED = "its certificate is valid from "


@pytest.fixture(autouse=True)
def faketime() -> None:
    """What moves the clock of an authority."""
    if shutil.which("faketime") is None:
        missing("faketime is not installed: apt-get install faketime")


def timed(signers: Signers, model: Path, folder: Path, *, name: str = "clock", clock: str = DAY_BEFORE) -> str:
    """A statement that the key of `leaf` signed, with a timestamp, and with its certificate that has expired since."""
    with timestamp_authority(signers.folder, name, folder, clock=clock) as url:
        key = replace(signers.private("leaf", certificate="leaf"), timestamp_authority=url)
        (bundle,) = signers.sign(key, model, "{}").bundles
    valid, late = ("".join(signers.text(f"{one}.crt").splitlines()[1:-1]) for one in ("leaf", "late"))
    assert valid in bundle
    return bundle.replace(valid, late)


def test_an_expired_certificate_counts_with_the_time_at_which_it_signed(signers: Signers, tmp_path: Path) -> None:
    """
    Not without the timestamp, with that of another signature or of a stranger, or from after the certificate.
    """
    bundle = timed(signers, tmp_path, tmp_path / "before")
    content = json.loads(bundle)
    other = json.loads(timed(signers, tmp_path, tmp_path / "other"))
    later = timed(signers, tmp_path, tmp_path / "later", clock="+0 days")
    strange = timed(signers, tmp_path, tmp_path / "strange", name="other-clock")
    stamps = content["verificationMaterial"].pop("timestampVerificationData")
    without = json.dumps(content)
    replayed = {**content["verificationMaterial"]}
    replayed["timestampVerificationData"] = other["verificationMaterial"]["timestampVerificationData"]
    swapped = json.dumps({**content, "verificationMaterial": replayed})
    garbage = bundle.replace(stamps["rfc3161Timestamps"][0]["signedTimestamp"], base64.b64encode(b"none").decode())
    trusted = signers.trusting(authorities=("authority",), clocks=("clock",))

    found = [
        one.problem for one in signers.program.verify((bundle, without, swapped, later, strange, garbage), trusted)
    ]
    nobody = signers.program.verify((bundle,), signers.trusting(authorities=("authority",)))[0].problem

    assert "" == found[0]
    assert [True] * 6 == [problem.startswith(EXPIRED) for problem in (*found[1:], nobody)], found


@LATER
def test_a_certificate_for_other_purposes_gives_no_time(signers: Signers, tmp_path: Path) -> None:
    """
    Of the same root: openssl itself does not make a timestamp with it.
    """
    folder = tmp_path / "keys"
    folder.mkdir()
    for kind in ("crt", "pem"):
        shutil.copy(signers.folder / f"clock-mail.{kind}", folder / f"mail.{kind}")
        shutil.copy(signers.folder / f"clock-root.{kind}", folder / f"mail-root.{kind}")

    with timestamp_authority(folder, "mail", tmp_path / "authority") as url, pytest.raises(BadInput) as raised:
        signers.sign(replace(signers.private("first"), timestamp_authority=url), tmp_path, "{}")

    assert f"the authority for timestamps {url} gives none" in str(raised.value.why)


@LATER
def test_what_has_a_timestamp_is_not_signed_again(signers: Signers, tmp_path: Path) -> None:
    """
    And what was signed without one is, once an authority is named.
    """
    key = signers.private("first")
    plain = signers.sign(key, tmp_path, "{}")
    with timestamp_authority(signers.folder, "clock", tmp_path / "authority") as url:
        first = signers.sign(replace(key, timestamp_authority=url), tmp_path, "{}", earlier=plain.bundles)
        again = signers.sign(replace(key, timestamp_authority=url), tmp_path, "{}", earlier=first.bundles)
    later = signers.sign(key, tmp_path, "{}", earlier=first.bundles)

    assert (False, True, True) == tuple(one.bundles == first.bundles for one in (plain, again, later))
    assert "timestampVerificationData" in first.model_signature


def test_an_authority_that_does_not_answer_ends_the_signing(signers: Signers, tmp_path: Path) -> None:
    """
    Nothing is signed without the time that was asked for.
    """
    key = replace(signers.private("first"), timestamp_authority="http://127.0.0.1:9/tsr")

    with pytest.raises(BadInput) as raised:
        signers.sign(key, tmp_path, "{}")

    assert "the authority for timestamps http://127.0.0.1:9/tsr gives none" in str(raised.value.why)
