"""Tests whom a certificate of Fulcio names, and who of them is trusted, with the packages of this program's lock."""

import json
import subprocess
from pathlib import Path

import pytest

import mlflow_uv
from tests.sharing import SharedFolder
from tests.signers import group_python

pytestmark = pytest.mark.installs

MODULE = Path(mlflow_uv.__file__).parent / "serving" / "model" / "identities.py"
# A certificate with the extensions of Fulcio, and what the module says of it for each policy.
PROGRAM = """
import datetime, importlib.util, json, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
spec = importlib.util.spec_from_file_location("identities", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
def certificate(name, issuer, repository, ref):
    made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([])).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=True)
    for number, value in ((8, issuer), (12, repository), (14, ref)):
        if value:
            oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
            content = bytes([12, len(value)]) + value.encode()
            made = made.add_extension(x509.UnrecognizedExtension(oid, content), critical=False)
    return made.sign(key, hashes.SHA256())
answers = []
for given, trust in json.load(sys.stdin):
    identity = module.Identity(certificate(*given))
    try:
        identity.require_trusted(trust)
        answers.append("")
    except module.Untrusted as error:
        answers.append(str(error))
print(json.dumps(answers))
"""
ISSUER, REPOSITORY = "https://issuer.example", "https://github.com/org/wine"
NAME = f"{REPOSITORY}/.github/workflows/release.yml@refs/heads/main"
MAIN = (NAME, ISSUER, REPOSITORY, "refs/heads/main")
TRUST = {"issuers": [ISSUER], "identities": [], "repositories": ["org/wine"], "refs": ["refs/heads/*"], "workflows": []}


def test_a_workflow_is_trusted_for_its_issuer_repository_ref_and_file(shared: SharedFolder) -> None:
    """
    And a person by name, without a repository; each exchange is named.
    """
    untrusted = (NAME, ISSUER, "https://github.com/evil/wine", "refs/heads/main")
    named = {**TRUST, "repositories": [], "refs": [], "identities": [NAME]}
    cases = [
        (MAIN, TRUST, ""),
        (MAIN, {**TRUST, "workflows": ["org/wine/.github/workflows/release.yml"]}, ""),
        (MAIN, named, ""),
        (("mailto:a@example.com", ISSUER, "", ""), {**named, "identities": ["mailto:a@example.com"]}, ""),
        (MAIN, {**TRUST, "issuers": ["https://other.example"]}, "the issuer is not trusted"),
        (MAIN, {**TRUST, "refs": ["refs/tags/*"]}, "for the ref refs/heads/main, which is not trusted"),
        (MAIN, {**TRUST, "workflows": ["org/wine/.github/workflows/other.yml"]}, "the workflow is not trusted"),
        (untrusted, TRUST, "whom the project does not trust"),
        (untrusted, named, "whose repository is not in `repositories`"),
    ]

    done = subprocess.run(
        (group_python(shared, "signing"), "-I", "-c", PROGRAM, MODULE),
        input=json.dumps([(given, trust) for given, trust, _ in cases]), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert [] == [
        one for one, (_, _, why) in zip(found, cases, strict=True) if why not in one or bool(one) != bool(why)
    ]
