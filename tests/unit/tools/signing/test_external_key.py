"""Tests that a program of the user signs, and that one that does something else signs nothing."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.tools.signing.external_key import SignerProgram
from mlflow_uv.tools.signing.signer import ExternalKey, KeptSignatures, SignedStatements
from mlflow_uv.tools.system.process import SystemRunner
from tests.sharing import SharedFolder
from tests.signers import Signers, make_signers
from tests.waiting import first_that_is_long_enough

pytestmark = pytest.mark.installs

LATER = pytest.mark.extended

# Signs what it reads with a key file, as a user would write it around the command of any vault.
PROGRAM = "#!/bin/sh\nopenssl dgst -sha256 -sign '{key}' | base64\n"


@pytest.fixture(scope="session")
def signers(shared: SharedFolder) -> Signers:
    """See make_signers."""
    return make_signers(shared)


def sign(signers: Signers, signer: SignerProgram, public_key: str, model: Path, **more: Any) -> SignedStatements:
    """Sign one statement and the files of a model."""
    key = ExternalKey(signer=signer, public_key=public_key, certificates=more.get("certificates", ""))
    kept = KeptSignatures(bundles=more.get("earlier", ()), model_signature=more.get("earlier_model", ""))
    return signers.program.sign_elsewhere(("{}",), key, model, ignored=(), earlier=kept)


def program(folder: Path, text: str, lines: list[str], *, timeout_s: float = 60.0, **variables: str) -> SignerProgram:
    """A program with this text; what it says on standard error is collected."""
    file = folder / "a signer"
    file.write_text(text)
    file.chmod(0o755)
    caller = {"PATH": os.environ["PATH"], **variables}
    host = Host.of(caller, folder=folder, python=folder)
    runner = SystemRunner(caller)
    return SignerProgram(argv=(str(file),), runner=runner, host=host, say=lines.append, timeout_s=timeout_s)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_text("weights")
    return folder


def test_a_program_signs_and_is_not_asked_for_what_it_signed(signers: Signers, model: Path, tmp_path: Path) -> None:
    """
    The bundles are those of its key, and OpenSSF's own command verifies the model; with a certificate as well.
    """
    signer = program(tmp_path, PROGRAM.format(key=signers.folder / "leaf.pem"), [])
    public, certificate = signers.text("leaf.pub"), signers.text("leaf.crt")

    signed = sign(signers, signer, public, model)
    certified = sign(signers, signer, public, model, certificates=certificate)
    silent = program(tmp_path, "#!/bin/sh\nexit 9\n", [])
    again = sign(signers, silent, public, model, earlier=signed.bundles, earlier_model=signed.model_signature)
    (tmp_path / "model.sig").write_text(signed.model_signature)
    verified = subprocess.run(
        (signers.program.python.with_name("model_signing"), "verify", "key", "--public_key",
         signers.folder / "leaf.pub", "--signature", tmp_path / "model.sig", model),
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    by_key = signers.program.verify((*signed.bundles, signed.model_signature), signers.trusting("leaf"))
    by_name = signers.program.verify(certified.bundles, signers.trusting(authorities=("authority",)))
    assert ["", "", ""] == [one.problem for one in (*by_key, *by_name)]
    assert (signed, 0) == (again, verified.returncode), verified.stderr
    assert certified.signer.startswith("release@example.com (key ")


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        (PROGRAM.format(key="{second}"), BadInput, "what it returned is not a signature of the key "),
        ("#!/bin/sh\necho '::set-output name=x::y'\n", ToolFailed, "is not one signature in Base64"),
        pytest.param("#!/bin/sh\necho $VAULT_TOKEN\n", ToolFailed, "is not one signature in Base64", marks=LATER),
        pytest.param(
            "#!/bin/sh\necho AAAA\n", BadInput, "what it returned is not a signature of the key ", marks=LATER
        ),
        pytest.param("#!/bin/sh\n", ToolFailed, "is not one signature in Base64", marks=LATER),
        ("#!/bin/sh\necho token $VAULT_TOKEN is denied >&2; exit 3\n", ToolFailed, "it ended with exit code 3"),
    ],
)
def test_a_program_that_signs_something_else_signs_nothing(
    signers: Signers, model: Path, tmp_path: Path, text: str, error: type[Exception], why: str
) -> None:
    """
    With another key, or without a signature; what it prints on standard output is not shown.

    A secret of the caller is masked in its messages.
    """
    lines: list[str] = []
    text = text.replace("{second}", str(signers.folder / "second.pem"))
    signer = program(tmp_path, text, lines, VAULT_TOKEN="hvs.CAESIJ")

    with pytest.raises(error) as raised:
        sign(signers, signer, signers.text("first.pub"), model)

    shown = f"{raised.value}{lines}"
    assert (True, False, False) == (why in shown, "hvs.CAESIJ" in shown, "::set-output" in shown), shown
    assert ["token *** is denied"] == lines or "denied" not in text


def test_a_program_that_never_signs_is_stopped(signers: Signers, model: Path, tmp_path: Path) -> None:
    """
    What it said until then is shown, without the secret of the caller.
    """

    def attempt(limit_s: float) -> tuple[str, list[str]] | None:
        lines: list[str] = []
        text = "#!/bin/sh\necho waits for $VAULT_TOKEN >&2; sleep 900 & wait\n"
        signer = program(tmp_path, text, lines, timeout_s=limit_s, VAULT_TOKEN="hvs.CAESIJ")
        with pytest.raises(ToolFailed) as raised:
            sign(signers, signer, signers.text("first.pub"), model)
        return (str(raised.value), lines) if lines else None

    what, lines = first_that_is_long_enough(attempt, first_s=1.0)

    assert ("it was stopped" in what, "hvs.CAESIJ" in what, ["waits for ***"]) == (True, False, lines)


@LATER
def test_a_program_gets_no_key_of_ours_and_no_credentials_of_the_store(
    signers: Signers, model: Path, tmp_path: Path
) -> None:
    """
    It gets what it needs to log in to a service.
    """
    text = f"#!/bin/sh\nenv > '{tmp_path}/seen'\n" + PROGRAM.format(key=signers.folder / "first.pem").partition("\n")[2]
    signer = program(
        tmp_path, text, [], MLFLOW_UV_SIGNING_KEY="k", MLFLOW_TRACKING_PASSWORD="p", PYTHONPATH="/evil",
        VAULT_TOKEN="v", ACTIONS_ID_TOKEN_REQUEST_TOKEN="r", GITHUB_ENV="/tmp/e", MLFLOW_UV_SIGNING_PIN="n",
    )  # fmt: skip

    sign(signers, signer, signers.text("first.pub"), model)

    seen = {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert {"VAULT_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "PATH"} <= seen
    assert set() == seen & {
        "MLFLOW_UV_SIGNING_KEY", "MLFLOW_UV_SIGNING_PIN", "MLFLOW_TRACKING_PASSWORD", "PYTHONPATH", "GITHUB_ENV",
    }  # fmt: skip
