"""Keys, certificates and the program that signs, with the packages of this program's lock."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlflow_uv.command.host import Host
from mlflow_uv.tools.signing.signer import KeptSignatures, SignedStatements, SigningKey, SigningProgram, TrustedKeys
from mlflow_uv.tools.system.process import SystemRunner
from tests.sharing import SharedFolder

ROOT = Path(__file__).resolve().parents[1]
MAKE_KEYS = """
import datetime, sys
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
folder = Path(sys.argv[1])
folder.mkdir()
FORMAT = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
def keep(name, key, encryption=serialization.NoEncryption()):
    (folder / f"{name}.pem").write_bytes(key.private_bytes(*FORMAT, encryption))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{name}.pub").write_bytes(public)
    return key
for name in ("first", "second"):
    keep(name, ec.generate_private_key(ec.SECP256R1()))
keep("edwards", ed25519.Ed25519PrivateKey.generate())
keep("locked", ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(b"word"))
keep("odd", ec.generate_private_key(ec.SECP256K1()))
now = datetime.datetime.now(datetime.timezone.utc)
def certificate(
    name, key, issuer, issuer_key, days, *, ca=False, signs=True, address="release@example.com", since=-30, usage=True,
    purpose=None,
):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    others = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                            "encipher_only", "decipher_only", "crl_sign"), False)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=-since)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if usage:
        key_usage = x509.KeyUsage(digital_signature=signs, key_cert_sign=ca and signs, **others)
        made = made.add_extension(key_usage, critical=True)
    if not ca:
        made = made.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    if purpose:
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    made = made.sign(issuer_key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made
for name, usage, signs in (
    ("authority", True, True), ("untrusted", True, True), ("plain", False, True), ("muted", True, False)
):
    root = keep(name, ec.generate_private_key(ec.SECP256R1()))
    certificate(name, root, None, root, 300, ca=True, usage=usage, signs=signs)
for name in ("plain", "muted"):
    root = serialization.load_pem_private_key((folder / f"{name}.pem").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()).subject
    certificate(f"of-{name}", keep(f"of-{name}", ec.generate_private_key(ec.SECP256R1())), issuer, root, 90)
root = serialization.load_pem_private_key((folder / "authority.pem").read_bytes(), None)
issuer = x509.load_pem_x509_certificate((folder / "authority.crt").read_bytes()).subject
for name, days, signs, address in (
    ("leaf", 90, True, "release@example.com"), ("expired", -1, True, "release@example.com"),
    ("mute", 90, False, "release@example.com"), ("other", 90, True, "intern@example.com"),
):
    certificate(name, keep(name, ec.generate_private_key(ec.SECP256R1())), issuer, root, days, signs=signs,
                address=address)
strange = serialization.load_pem_private_key((folder / "untrusted.pem").read_bytes(), None)
leaf = serialization.load_pem_private_key((folder / "leaf.pem").read_bytes(), None)
certificate("early", keep("early", ec.generate_private_key(ec.SECP256R1())), issuer, root, 90, since=30)
certificate("forged", leaf, issuer, strange, 90)
certificate("late", leaf, issuer, root, -1)
for name in ("clock", "other-clock"):
    root = keep(f"{name}-root", ec.generate_private_key(ec.SECP256R1()))
    of = certificate(f"{name}-root", root, None, root, 300, ca=True)
    oids = x509.ExtendedKeyUsageOID
    for kind, purpose in (("", oids.TIME_STAMPING), ("-mail", oids.EMAIL_PROTECTION)):
        key = keep(f"{name}{kind}", ec.generate_private_key(ec.SECP256R1()))
        certificate(f"{name}{kind}", key, of.subject, root, 300, purpose=purpose)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signers:
    """The program, and a folder with keys (`first.pem`, `first.pub`) and certificates (`leaf.crt`)."""

    program: SigningProgram
    folder: Path

    def private(self, name: str, *, certificate: str = "") -> SigningKey:
        """A private key, with a certificate if one is named."""
        chain = self.text(f"{certificate}.crt") if certificate else ""
        return SigningKey(shown=name, pem=self.text(f"{name}.pem"), certificates=chain)

    def text(self, file: str) -> str:
        """The text of a file."""
        return (self.folder / file).read_text()

    def trusting(
        self,
        *names: str,
        authorities: tuple[str, ...] = (),
        revoked: tuple[str, ...] = (),
        clocks: tuple[str, ...] = (),
    ) -> TrustedKeys:
        """Trust in public keys, in certificates of authorities for release@example.com, and in their time."""
        return TrustedKeys(
            keys=tuple(self.text(f"{name}.pub") for name in names),
            authorities=tuple(self.text(f"{name}.crt") for name in authorities),
            identities=("release@example.com",),
            revoked=revoked,
            timestamp_authorities=tuple(self.text(f"{name}-root.crt") for name in clocks),
        )

    def sign(self, key: SigningKey, model: Path, *statements: str, earlier: tuple[str, ...] = ()) -> SignedStatements:
        """Sign statements and the files of a model."""
        kept = KeptSignatures(bundles=earlier, model_signature="")
        return self.program.sign(statements, key, model, ignored=("registered_model_meta",), earlier=kept)


def make_signers(shared: SharedFolder) -> Signers:
    """The program in an environment with the packages of the group `signing`, and keys."""
    python = group_python(shared, "signing")
    keys = shared.make_once("signing-keys", lambda folder: _run(str(python), "-I", "-c", MAKE_KEYS, str(folder)))
    host = Host.of({"PATH": "/usr/bin:/bin", "HOME": str(keys)}, folder=keys, python=python)
    return Signers(program=SigningProgram(runner=SystemRunner({}), host=host, python=python), folder=keys)


def group_python(shared: SharedFolder, group: str) -> Path:
    """The interpreter of an environment with a group of this program's lock."""
    return shared.make_once(group, lambda folder: _environment(group, folder)) / "bin" / "python"


def _environment(group: str, folder: Path) -> None:
    uv = str(Path(sys.executable).parent / "uv")
    exported = _run(uv, "export", "--frozen", "--only-group", group, "--quiet", cwd=ROOT)
    listed = folder.with_suffix(".txt")
    listed.write_text(exported)
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    _run(uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "-r", str(listed))


def _run(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout
