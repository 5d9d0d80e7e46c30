"""What sign refuses before it signs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import Severity
from mlflow_uv.command.settings import KEYS
from mlflow_uv.command.step import fields_of
from mlflow_uv.steps.sign import Inputs, run, unverified_timestamps
from mlflow_uv.tools.signing.signer import ExternalKey, SigningKey
from mlflow_uv.tools.toolbox import Tools


def tools(folder: Path, **variables: str) -> Tools:
    """A host with variables of the job."""
    return cast("Tools", SimpleNamespace(host=SimpleNamespace(folder=folder, variables=variables)))


def test_nothing_is_signed_without_a_key(tmp_path: Path) -> None:
    """
    Neither the store nor the project is looked at before.
    """
    with pytest.raises(BadInput, match="no key to sign with is given") as raised:
        run(Inputs(version_uri="models:/wine/1"), tools(tmp_path))

    assert "--signing-key FILE" in str(raised.value.fix)


@pytest.mark.parametrize(("content", "why"), [("secret words", "no key or certificate"), (None, "is not read")])
def test_a_file_that_is_no_key_is_named_without_its_content(tmp_path: Path, content: str | None, why: str) -> None:
    """
    Also where it is not there.
    """
    if content is not None:
        (tmp_path / "release.pem").write_text(content)

    with pytest.raises(BadInput) as raised:
        run(Inputs(version_uri="models:/wine/1", signing_key=Path("release.pem")), tools(tmp_path))

    message = str(raised.value)
    assert (True, True, False) == (why in message, "release.pem" in message, "secret" in message)


@pytest.mark.parametrize(
    ("authority", "roots", "strict", "severities"),
    [
        ("", (), False, []),
        ("https://tsa.example/tsr", ("PEM",), True, []),
        ("https://user:word@tsa.example/tsr", (), False, [Severity.WARNING]),
        ("https://user:word@tsa.example/tsr", (), True, [Severity.ERROR]),
    ],
    ids=["none", "verified", "unverified", "strict"],
)
def test_timestamps_that_nobody_verifies_are_named(
    authority: str, roots: tuple[str, ...], strict: bool, severities: list[Severity]
) -> None:
    """
    With a key here or elsewhere; anybody between this machine and the authority could have made them.
    """
    stamped: dict[str, Any] = {"timestamp_authority": authority, "timestamp_roots": roots}
    elsewhere = ExternalKey(signer=cast("Any", None), public_key="", **stamped)
    here = SigningKey(shown="a key", pem="", **stamped)

    found = [[*unverified_timestamps(signer, strict=strict)] for signer in (here, elsewhere)]

    assert [severities] * 2 == [[finding.severity for finding in findings] for findings in found]
    assert not any("word" in finding.what for finding in found[0])
    assert [] == [*unverified_timestamps(None, strict=True)]


def test_a_checkout_names_no_key() -> None:
    """
    A setting could make a job read a file of the machine as a key, or sign by another certificate.
    """
    named = {"signing-key", "certificate", "signer", "public-key", "sigstore", "timestamp-authority"}
    ours = {field.kebab for field in fields_of(Inputs)} & named

    assert (named, set()) == (ours, ours & KEYS)


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ({"signer": ("/bin/true",)}, "`signer` has no public key"),
        ({"signer": ("/bin/true",), "signing_key": Path("release.pem")}, "`signer` signs without a file of a key"),
        ({"public_key": Path("release.pub")}, "`public-key` has no effect"),
        ({"sigstore": "public", "timestamp_authority": "https://tsa.example"}, "`sigstore` signs without a key"),
        ({"sigstore": "public", "signer": ("awskms:key",)}, "`sigstore` signs without a key"),
    ],
)
def test_two_ways_of_signing_are_an_error(tmp_path: Path, inputs: dict[str, Any], what: str) -> None:
    """
    And so is one without its public key.
    """
    with pytest.raises(BadInput) as raised:
        run(Inputs(version_uri="models:/wine/1", **inputs), tools(tmp_path))

    assert what == raised.value.what
