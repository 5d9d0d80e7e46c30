"""Tests that a device behind PKCS#11 signs, AWS KMS, Google Cloud KMS and Azure Key Vault."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.tools.signing.external_key import ServiceKey
from mlflow_uv.tools.signing.signer import ExternalKey, KeptSignatures, SignedStatements, TrustedKeys
from mlflow_uv.tools.system.process import SystemRunner
from tests.azure_key_vault import CLIENT, LOGIN, SECRET, TENANT, VAULT, azure_key_vault
from tests.conftest import missing
from tests.sharing import SharedFolder
from tests.signers import Signers, group_python
from tests.stand_ins.web import listening
from tests.tunnels import certificates_for, proxy_to
from tests.waiting import CEILING_S

pytestmark = pytest.mark.installs

PIN = "739-secret-pin"
GOOGLE = Path(__file__).parents[2] / "google_kms_service.py"
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


def sign(signers: Signers, signer: ServiceKey, public_key: str, model: Path) -> SignedStatements:
    """Sign one statement and the files of a model."""
    key, nothing = ExternalKey(signer=signer, public_key=public_key), KeptSignatures(bundles=(), model_signature="")
    return signers.program.sign_elsewhere(("{}",), key, model, ignored=(), earlier=nothing)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_text("weights")
    return folder


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

    trusted = TrustedKeys(keys=(public,), authorities=(), identities=(), revoked=())
    found = signers.program.verify((*signed.bundles, signed.model_signature), trusted)
    (untrusted,) = signers.program.verify(signed.bundles, signers.trusting("first"))
    assert (["", ""], True) == ([one.problem for one in found], untrusted.untrusted)
    assert "the key `hsm:7?label=release` signs nothing" in str(wrong.value)
    assert "what it returned is not a signature of the key " in str(other.value.why)
    assert PIN not in f"{key(PIN)!r}{wrong.value}{other.value}"


@pytest.mark.extended
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


@pytest.mark.extended
def test_google_kms_signs_a_digest(signers: Signers, model: Path, tmp_path: Path, shared: SharedFolder) -> None:
    """
    By Google's real client and messages, which a proxy leads to a stand-in; what KMS does not find is said.
    """
    python, public = group_python(shared, "signing-gcpkms"), signers.text("first.pub")
    certificates = certificates_for(tmp_path / "google", "cloudkms.googleapis.com")
    shutil.copy(signers.folder / "first.pem", tmp_path / "google" / "signer.pem")
    account = google_account(tmp_path / "google")

    def key(proxy: str, version: str, account: Path = account) -> ServiceKey:
        variables = {
            "https_proxy": proxy, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificates.authority),
            "GOOGLE_APPLICATION_CREDENTIALS": str(account),
        }  # fmt: skip
        return ServiceKey(
            uri=f"gcpkms:projects/wine/locations/europe/keyRings/team/cryptoKeys/release/cryptoKeyVersions/{version}",
            public_key=public, pin="", python=python, runner=SystemRunner({}), host=host(tmp_path, **variables),
        )  # fmt: skip

    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with google_kms(python, tmp_path / "google") as port, proxy_to({"cloudkms.googleapis.com": port}) as proxy:
        signed = sign(signers, key(proxy, "1"), public, model)
        with pytest.raises(ToolFailed) as missing_key:
            sign(signers, key(proxy, "2"), public, model)
        with pytest.raises(ToolFailed) as denied:
            sign(signers, key(proxy, "1", google_account(stranger)), public, model)

    found = signers.program.verify((*signed.bundles, signed.model_signature), signers.trusting("first"))
    assert (["", ""], "['sha256'] 0") == ([one.problem for one in found], (tmp_path / "google" / "asked").read_text())
    assert "not found" in str(missing_key.value.why)
    assert "authentication credentials" in str(denied.value.why)


@pytest.mark.extended
def test_azure_key_vault_signs_a_digest(signers: Signers, model: Path, tmp_path: Path, shared: SharedFolder) -> None:
    """
    By Azure's real clients, which a proxy leads to a stand-in of the vault and of the login; a wrong secret is said.
    """
    python, public = group_python(shared, "signing-azurekms"), signers.text("first.pub")
    certificates = certificates_for(tmp_path / "azure", LOGIN, VAULT)
    asked: list[str] = []

    def key(proxy: str, name: str, secret: str = SECRET) -> ServiceKey:
        variables = {
            "HTTPS_PROXY": proxy, "REQUESTS_CA_BUNDLE": str(certificates.authority), "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": secret,
        }  # fmt: skip
        return ServiceKey(
            uri=f"azurekms://{VAULT}/keys/{name}/1", public_key=public, pin="", python=python,
            runner=SystemRunner({}), host=host(tmp_path, **variables),
        )  # fmt: skip

    with (
        azure_key_vault(signers.folder / "first.pem", public, certificates, asked) as port,
        proxy_to({LOGIN: port, VAULT: port}) as proxy,
    ):
        signed = sign(signers, key(proxy, "release"), public, model)
        with pytest.raises(ToolFailed) as missing_key:
            sign(signers, key(proxy, "payroll"), public, model)
        with pytest.raises(ToolFailed) as denied:
            sign(signers, key(proxy, "release", "wrong-secret-of-it"), public, model)

    found = signers.program.verify((*signed.bundles, signed.model_signature), signers.trusting("first"))
    assert ["", ""] == [one.problem for one in found]
    assert asked.count("POST /keys/release/1/sign ES256") == len(found), asked
    assert "KeyNotFound" in str(missing_key.value.why)
    assert (True, False) == ("Invalid client secret" in str(denied.value.why), "wrong-secret" in str(denied.value))


def google_account(folder: Path) -> Path:
    """The file of a service account; `account.pub` beside it is its public key."""
    key = folder / "account.pem"
    words = ("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key))
    subprocess.run(words, check=True, capture_output=True)
    public = ("openssl", "pkey", "-in", str(key), "-pubout", "-out", str(folder / "account.pub"))
    subprocess.run(public, check=True, capture_output=True)
    content = {
        "type": "service_account", "project_id": "wine", "private_key_id": "1", "private_key": key.read_text(),
        "client_email": "signer@wine.example", "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    file = folder / "account.json"
    file.write_text(json.dumps(content))
    return file


@contextmanager
def google_kms(python: Path, folder: Path) -> Iterator[int]:
    """The port of the stand-in."""
    command = (str(python), "-I", str(GOOGLE), str(folder))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(CEILING_S)
        process.stdout.close()


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

    with listening(Service) as url:
        yield url
