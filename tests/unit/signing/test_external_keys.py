"""Tests that a key elsewhere signs: a program, a device behind PKCS#11, and AWS KMS."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.tools.signing.external_key import ExternalKey, KeyElsewhere, ServiceKey, SignerProgram
from mlflow_uv.tools.signing.signer import KeptSignatures, SignedStatements
from mlflow_uv.tools.system.process import SystemRunner
from tests.conftest import missing
from tests.sharing import SharedFolder
from tests.signers import Signers, group_python

pytestmark = pytest.mark.installs

PIN = "739-secret-pin"
# Signs what it reads with a key file, as a user would write it around the command of any vault.
PROGRAM = "#!/bin/sh\nopenssl dgst -sha256 -sign '{key}' | base64\n"
# Prints what in a response is not as botocore describes it.
SHAPES = """
import json, sys
import botocore.session
from botocore.validate import ParamValidator
model = botocore.session.get_session().get_service_model("kms")
response = json.loads(sys.stdin.read())
for name in ("Signature",):
    response[name] = response[name].encode()
print(ParamValidator().validate(response, model.operation_model("Sign").output_shape).generate_report())
"""


def host(folder: Path, **variables: str) -> Host:
    """A host with variables of the job."""
    return Host.of({"PATH": os.environ["PATH"], "HOME": str(folder), **variables}, folder=folder, python=Path("python"))


def sign(signers: Signers, signer: KeyElsewhere, public_key: str, model: Path, **more: Any) -> SignedStatements:
    """Sign one statement and the files of a model."""
    key = ExternalKey(signer=signer, public_key=public_key, certificates=more.get("certificates", ""))
    kept = KeptSignatures(bundles=more.get("earlier", ()), model_signature=more.get("earlier_model", ""))
    return signers.program.sign_elsewhere(("{}",), key, model, ignored=(), earlier=kept)


def program(folder: Path, text: str, said: list[str], *, timeout_s: float = 60.0, **variables: str) -> SignerProgram:
    """A program with this text; what it says on standard error is collected."""
    file = folder / "a signer"
    file.write_text(text)
    file.chmod(0o755)
    caller = {"PATH": os.environ["PATH"], **variables}
    return SignerProgram(
        argv=(str(file),), runner=SystemRunner(caller), host=host(folder, **variables), say=said.append,
        timeout_s=timeout_s,
    )  # fmt: skip


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
        ("#!/bin/sh\necho $VAULT_TOKEN\n", ToolFailed, "is not one signature in Base64"),
        ("#!/bin/sh\necho AAAA\n", BadInput, "what it returned is not a signature of the key "),
        ("#!/bin/sh\n", ToolFailed, "is not one signature in Base64"),
        ("#!/bin/sh\necho token $VAULT_TOKEN is denied >&2; exit 3\n", ToolFailed, "it ended with exit code 3"),
        ("#!/bin/sh\nsleep 900 & wait\n", ToolFailed, "it was stopped"),
    ],
)
def test_a_program_that_signs_something_else_signs_nothing(
    signers: Signers, model: Path, tmp_path: Path, text: str, error: type[Exception], why: str
) -> None:
    """
    With another key, without a signature, or never; what it prints on standard output is not shown.

    A secret of the caller is masked in its messages.
    """
    said: list[str] = []
    text = text.replace("{second}", str(signers.folder / "second.pem"))
    hangs = "sleep" in text
    signer = program(tmp_path, text, said, timeout_s=1.0 if hangs else 60.0, VAULT_TOKEN="hvs.CAESIJ")

    with pytest.raises(error) as raised:
        sign(signers, signer, signers.text("first.pub"), model)

    shown = f"{raised.value}{said}"
    assert (True, False, False) == (why in shown, "hvs.CAESIJ" in shown, "::set-output" in shown), shown
    assert ["token *** is denied"] == said or "denied" not in text


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


def test_a_device_signs_by_pkcs11(signers: Signers, model: Path, tmp_path: Path, shared: SharedFolder) -> None:
    """
    SoftHSM2 is the device; the key never leaves it, and a wrong PIN, or the public key of another one, signs nothing.
    """
    module = next(iter(Path("/usr/lib").glob("**/libsofthsm2.so")), None)
    if module is None or shutil.which("pkcs11-tool") is None:
        missing("SoftHSM2 is not installed: apt-get install softhsm2 opensc")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    variables = {"SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"), "PYKCS11LIB": str(module)}

    def device(*words: str) -> None:
        subprocess.run(words, env={"PATH": os.environ["PATH"], **variables}, check=True, capture_output=True)

    device("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", PIN, "--so-pin", "so-pin")
    tool = ("pkcs11-tool", "--module", str(module), "--token-label", "release", "--login", "--pin", PIN)
    device(*tool, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "07", "--label", "signer")
    device(*tool, "--read-object", "--type", "pubkey", "--id", "07", "--output-file", str(tmp_path / "key.der"))
    shown = ("openssl", "pkey", "-pubin", "-inform", "DER", "-in", str(tmp_path / "key.der"))
    public = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    python = group_python(shared, "signing-hsm")

    def key(pin: str) -> ServiceKey:
        return ServiceKey(
            uri="hsm:7?label=release", public_key=public, pin=pin, python=python, runner=SystemRunner({}),
            host=host(tmp_path, **variables),
        )  # fmt: skip

    signed = sign(signers, key(PIN), public, model)
    with pytest.raises(ToolFailed) as wrong:
        sign(signers, key("1234"), public, model)
    with pytest.raises(BadInput) as other:
        sign(signers, key(PIN), signers.text("first.pub"), model)

    (tmp_path / "key.pub").write_text(public)
    trusted = signers.trusting("first")
    assert ["the key"] == [one.problem[:7] for one in signers.program.verify(signed.bundles, trusted)]
    found = signers.program.verify((*signed.bundles, signed.model_signature), _trusting(trusted, public))
    assert ["", ""] == [one.problem for one in found]
    assert "the key `hsm:7?label=release` signs nothing" in str(wrong.value)
    assert "what it returned is not a signature of the key " in str(other.value.why)
    assert PIN not in f"{key(PIN)!r}{wrong.value}{other.value}"


def test_aws_kms_signs_a_digest(signers: Signers, model: Path, tmp_path: Path, shared: SharedFolder) -> None:
    """
    By a real boto3, against a stand-in whose response has botocore's own shape; what KMS denies is said.
    """
    python, exchanges = group_python(shared, "signing-awskms"), list[dict[str, Any]]()
    public = signers.text("first.pub")

    def key(uri: str, url: str) -> ServiceKey:
        variables = {
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "alice", "AWS_SECRET_ACCESS_KEY": "none-is-needed",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }  # fmt: skip
        return ServiceKey(
            uri=uri, public_key=public, pin="", python=python, runner=SystemRunner({}),
            host=host(tmp_path, **variables),
        )  # fmt: skip

    with kms(signers.folder / "first.pem", exchanges) as url:
        signed = sign(signers, key("awskms:alias/release", url), public, model)
        with pytest.raises(ToolFailed) as denied:
            sign(signers, key("awskms:alias/payroll", url), public, model)

    found = signers.program.verify((*signed.bundles, signed.model_signature), signers.trusting("first"))
    shapes = subprocess.run(
        (python, "-I", "-c", SHAPES), input=json.dumps(exchanges[0]), capture_output=True, text=True, check=True
    )
    assert (["", ""], "") == ([one.problem for one in found], shapes.stdout.strip())
    assert "NotFoundException" in str(denied.value.why)


def _trusting(trusted: Any, public: str) -> Any:
    return type(trusted)(keys=(public,), authorities=(), identities=(), revoked=())


@contextmanager
def kms(key: Path, exchanges: list[dict[str, Any]]) -> Iterator[str]:
    """The URL of a KMS with one key, `alias/release`, in the protocol of AWS; it keeps its responses."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            signed = "AWS4-HMAC-SHA256" in self.headers.get("Authorization", "")
            if not signed or self.headers["X-Amz-Target"] != "TrentService.Sign":
                self.reply(403, {"__type": "AccessDeniedException", "message": "not allowed"})
            elif asked["KeyId"] != "alias/release":
                self.reply(400, {"__type": "NotFoundException", "message": f"no key {asked['KeyId']}"})
            else:
                assert ("DIGEST", "ECDSA_SHA_256") == (asked["MessageType"], asked["SigningAlgorithm"])
                words = ("openssl", "pkeyutl", "-sign", "-inkey", str(key), "-pkeyopt", "digest:sha256")
                digest = base64.b64decode(asked["Message"])
                signature = subprocess.run(words, input=digest, capture_output=True, check=True).stdout
                answer = {
                    "KeyId": "arn:aws:kms:eu-central-1:111122223333:key/1234",
                    "Signature": base64.b64encode(signature).decode(),
                    "SigningAlgorithm": "ECDSA_SHA_256",
                }
                exchanges.append(answer)
                self.reply(200, answer)

        def reply(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
