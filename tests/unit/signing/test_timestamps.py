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
from tests.timestamp_authority import fixed_answer, timestamp_authority

pytestmark = pytest.mark.installs

LATER = pytest.mark.extended

DAY_BEFORE = "-2 days"  # the certificate `late` expired one day ago
EXPIRED = "its certificate is valid from "


@pytest.fixture(autouse=True)
def faketime() -> None:
    """What moves the clock of an authority."""
    if shutil.which("faketime") is None:
        missing("faketime is not installed: apt-get install faketime")


def on_clock(signers: Signers, folder: Path, clock: str) -> Signers:
    """The same program on a machine whose clock is as far off."""
    python = folder / f"python {clock}"
    python.write_text(f"#!/bin/sh\nexec faketime '{clock}' '{signers.program.python}' \"$@\"\n")
    python.chmod(0o755)
    return replace(signers, program=replace(signers.program, python=python))


def stamped(signers: Signers, model: Path, folder: Path, *, name: str = "clock", clock: str = DAY_BEFORE) -> str:
    """A statement that the key of `leaf` signed, with a timestamp, both on a clock that is as far off."""
    with timestamp_authority(signers.folder, name, folder, clock=clock) as url:
        key = replace(signers.private("leaf", certificate="leaf"), timestamp_authority=url)
        (bundle,) = on_clock(signers, folder, clock).sign(key, model, "{}").bundles
    return bundle


def stamp_of(bundle: str) -> bytes:
    """The timestamp of a bundle."""
    (stamp,) = json.loads(bundle)["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    return base64.b64decode(stamp["signedTimestamp"])


def with_stamps(bundle: str, *stamps: bytes) -> str:
    """A bundle with other timestamps."""
    content = json.loads(bundle)
    listed = [{"signedTimestamp": base64.b64encode(stamp).decode()} for stamp in stamps]
    content["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": listed}
    return json.dumps(content)


def timed(signers: Signers, model: Path, folder: Path, *, name: str = "clock", clock: str = DAY_BEFORE) -> str:
    """A statement that the key of `leaf` signed, with a timestamp, and with its certificate that has expired since."""
    bundle = stamped(signers, model, folder, name=name, clock=clock)
    valid, late = ("".join(signers.text(f"{one}.crt").splitlines()[1:-1]) for one in ("leaf", "late"))
    assert valid in bundle
    return bundle.replace(valid, late)


def test_an_expired_certificate_counts_with_the_time_at_which_it_signed(signers: Signers, tmp_path: Path) -> None:
    """
    Not without the timestamp, with that of another signature or authority, or from after the certificate.
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
    hint = "which counts only with `timestamp-authorities`"
    assert [False, True] == [hint in "".join(found), nobody.endswith(hint)]


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


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param("rejection", "its status is 2 and not 0, granted"),
        pytest.param("another signature", "it is that of another signature"),
        pytest.param("another request", "it is the answer to another request", marks=LATER),
        pytest.param("granted without a token", "it cannot be read", marks=LATER),
        pytest.param("no timestamp", "gives none", marks=LATER),
    ],
)
def test_an_answer_that_gives_no_time_ends_the_signing(signers: Signers, tmp_path: Path, answer: str, why: str) -> None:
    """
    A rejection, and what was the answer to somebody else: nothing is signed without the time that was asked for.
    """
    key = signers.private("edwards")  # a key whose signature of the same content is the same
    statement = '{"a": 1}' if answer == "another signature" else "{}"
    replies = {
        "rejection": b"0\x050\x03\x02\x01\x02", "granted without a token": b"0\x050\x03\x02\x01\x00",
        "no timestamp": b"x",
    }  # fmt: skip
    if answer not in replies:
        with timestamp_authority(signers.folder, "clock", tmp_path / "authority") as url:
            (first,) = signers.sign(replace(key, timestamp_authority=url), tmp_path, "{}").bundles
        replies[answer] = stamp_of(first)

    with fixed_answer(replies[answer]) as url, pytest.raises(BadInput) as raised:
        signers.sign(replace(key, timestamp_authority=url), tmp_path, statement)

    problem = str(raised.value.why)
    assert (True, True) == (f"the authority for timestamps {url} gives " in problem, why in problem)


@pytest.mark.parametrize(
    ("clock", "root", "why"),
    [
        pytest.param("+400 days", "", "more than 5 minutes from that of this machine"),
        pytest.param("-10 minutes", "", "more than 5 minutes from that of this machine", marks=LATER),
        pytest.param("+0 days", "other-clock", "it leads to none of the `timestamp-authorities`", marks=LATER),
        pytest.param("+1 minutes", "clock", "", marks=LATER),
    ],
)
def test_a_clock_that_is_off_and_an_authority_that_is_not_trusted_end_the_signing(
    signers: Signers, tmp_path: Path, clock: str, root: str, why: str
) -> None:
    """
    Their timestamp would count for nobody once the certificate has expired.
    """
    roots = (signers.text(f"{root}-root.crt"),) if root else ()
    key = replace(signers.private("leaf", certificate="leaf"), timestamp_roots=roots)

    with timestamp_authority(signers.folder, "clock", tmp_path / "authority", clock=clock) as url:
        try:
            signers.sign(replace(key, timestamp_authority=url), tmp_path, "{}")
            problem = ""
        except BadInput as error:
            problem = str(error.why)

    assert (bool(why), True) == (f"{url} gives one that does not count" in problem, why in problem)


def test_an_earlier_timestamp_that_does_not_count_is_none(signers: Signers, tmp_path: Path) -> None:
    """
    Whoever writes to the store cannot keep a version from getting a timestamp; one that counts is kept.
    """
    good = stamped(signers, tmp_path, tmp_path / "good")
    strange = stamped(signers, tmp_path, tmp_path / "strange", name="other-clock")
    unusable = [with_stamps(good, *stamps) for stamps in ((b"x",), (), (stamp_of(strange),), (b"x",) * 8)]
    usable = with_stamps(good, b"x", stamp_of(good))

    with timestamp_authority(signers.folder, "clock", tmp_path / "authority") as url:
        key = replace(signers.private("leaf", certificate="leaf"), timestamp_authority=url)
        trusting = replace(key, timestamp_roots=(signers.text("clock-root.crt"),))
        (anew,) = signers.sign(key, tmp_path, "{}", earlier=(*unusable,)).bundles
        (trusted,) = signers.sign(trusting, tmp_path, "{}", earlier=(*unusable, strange)).bundles
        (kept,) = signers.sign(trusting, tmp_path, "{}", earlier=(*unusable, usable, strange)).bundles

    assert (False, False) == (anew in unusable, trusted in (*unusable, strange))
    assert usable == kept


def test_an_authority_that_does_not_answer_ends_the_signing(signers: Signers, tmp_path: Path) -> None:
    """
    Nothing is signed without the time that was asked for.
    """
    key = replace(signers.private("first"), timestamp_authority="http://127.0.0.1:9/tsr")

    with pytest.raises(BadInput) as raised:
        signers.sign(key, tmp_path, "{}")

    assert "the authority for timestamps http://127.0.0.1:9/tsr gives none" in str(raised.value.why)
